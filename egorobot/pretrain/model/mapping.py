"""From the tensors of a CLIP-like checkpoint to those of an EgoVideo.

The names on the left are the official EgoVideo's: `visual.*`, `textual.*` and `logit_scale`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.patches import resize_places, resize_times
from egorobot.pretrain.model.text import CaptionTokenizer

Shapes = Mapping[str, tuple[int, ...]]

# A block of the vision tower, theirs and ours.
BLOCK_PARTS = {
    "ln_1.weight": "norm1.weight",
    "ln_1.bias": "norm1.bias",
    "attn.in_proj_weight": "attn.qkv.weight",
    "attn.in_proj_bias": "attn.qkv.bias",
    "attn.out_proj.weight": "attn.proj.weight",
    "attn.out_proj.bias": "attn.proj.bias",
    "ln_2.weight": "norm2.weight",
    "ln_2.bias": "norm2.bias",
    "mlp.c_fc.weight": "mlp.fc1.weight",
    "mlp.c_fc.bias": "mlp.fc1.bias",
    "mlp.c_proj.weight": "mlp.fc2.weight",
    "mlp.c_proj.bias": "mlp.fc2.bias",
}


@dataclass(frozen=True)
class Rule:
    """How one tensor of ours comes about.

    Attributes:
        target: its name.
        sources: names of the tensors that it is made of; none for a constant.
        make: makes it of them.
        how: what was done, where it is more than another name or shape.
        needed: whether a model without it would be another one.
    """

    target: str
    sources: tuple[str, ...]
    make: Callable[..., Tensor] = lambda tensor: tensor
    how: str = ""
    needed: bool = True


@dataclass
class Report:
    """What became of the tensors of a checkpoint.

    Attributes:
        mapped: names in the checkpoint, and what of ours each became.
        made: names of ours that are no plain copies, and how they came about.
        left: names in the checkpoint that were not used, and why.
        kept: names of ours that the checkpoint has nothing for, and why.
        notes: what else is worth knowing, a line each.
    """

    mapped: dict[str, list[str]] = field(default_factory=dict)
    made: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        return asdict(self)


def translate(rules: Iterable[Rule], tensors: Mapping[str, Tensor], shapes: Shapes) -> tuple[dict[str, Tensor], Report]:
    """Return what `rules` make of `tensors`, as far as `shapes` has a place for it.

    Args:
        rules: see `tower_rules`.
        tensors: of the checkpoint, by the official names.
        shapes: names and shapes of the model's tensors.

    Returns:
        float32 tensors by our names, and what became of every name on both sides.
    """
    weights: dict[str, Tensor] = {}
    report = Report(kept=dict.fromkeys(shapes, "nothing makes it"))
    for rule in rules:
        if rule.target not in shapes:
            continue
        if absent := [name for name in rule.sources if name not in tensors]:
            report.kept[rule.target] = f"it has no '{absent[0]}'"
            continue
        made = _make(rule, tensors)
        if made is None or tuple(made.shape) != shapes[rule.target]:
            misfits = {name: f"its {name} {tuple(tensors[name].shape)} does not fit" for name in rule.sources}
            report.kept[rule.target] = " and ".join(misfits.values())
            report.left |= {name: "does not fit" for name in misfits if name not in report.mapped}
            continue
        weights[rule.target] = made.clone(memory_format=torch.contiguous_format)  # no two share their memory
        del report.kept[rule.target]
        for name in rule.sources:
            report.mapped.setdefault(name, []).append(rule.target)
            report.left.pop(name, None)
        if rule.how:
            report.made[rule.target] = rule.how
    unknown = [name for name in tensors if name not in report.mapped and name not in report.left]
    report.left |= dict.fromkeys(unknown, "not known")
    return weights, report


def _make(rule: Rule, tensors: Mapping[str, Tensor]) -> Tensor | None:
    """Return what `rule` makes; None where a tensor has another shape than any such tensor has."""
    try:
        return rule.make(*(tensors[name].float() for name in rule.sources))
    except (RuntimeError, IndexError):
        return None


def tower_rules(config: EgoVideoConfig, tensors: Mapping[str, Tensor]) -> Iterator[Rule]:
    """Yield the rules for both towers and their projections.

    Args:
        config: of the model that is filled; other image sizes and frame counts than the
            checkpoint's are met by interpolation.
        tensors: of the checkpoint, by the official names.
    """
    yield from _embedding_rules("slow", config.image_size // config.patch_size, config.num_slow, tensors)
    yield from _embedding_rules("fast", config.fast_image_size // config.fast_patch_size, config.num_frames, tensors)
    for i in range(config.depth):
        for theirs, ours in BLOCK_PARTS.items():
            yield Rule(f"vision.blocks.{i}.{ours}", (f"visual.transformer.resblocks.{i}.{theirs}",))
    for stream in ("slow", "fast"):
        how, needed = _copied("visual.ln_post", stream), stream == "slow"
        for part in ("weight", "bias"):
            yield Rule(f"vision.{stream}_pooling.norm.{part}", (f"visual.ln_post.{part}",), how=how, needed=needed)
        source = "visual.image_projection"
        how = _copied(source, stream)
        yield Rule(f"{stream}_projection.weight", (source,), lambda matrix: matrix.mT, how, needed=False)
    yield from _text_rules(config, tensors)
    yield Rule("log_scale", ("logit_scale",), lambda scale: scale.reshape(1), needed=False)


def _copied(source: str, stream: str) -> str:
    return "" if stream == "slow" else f"copied from {source}: both streams of the official code share it"


def _embedding_rules(stream: str, side: int, frames: int, tensors: Mapping[str, Tensor]) -> Iterator[Rule]:
    into, needed = f"vision.{stream}_embedding", stream == "slow"
    place, time = "visual.positional_embedding", "visual.temporal_embedding"
    how = _copied("visual.conv1.weight", stream)
    yield Rule(f"{into}.patches.weight", ("visual.conv1.weight",), _to_convolution, how, needed)
    how = "visual.class_embedding and the first row of visual.positional_embedding, added"
    sources = ("visual.class_embedding", place)
    yield Rule(f"{into}.class_token", sources, lambda token, places: token + places[0], how, needed)
    here = isqrt(len(tensors[place]) - 1) if place in tensors else side
    how = _copied(place, stream) if here == side else f"{place} interpolated from {here} to {side} patches a side"
    yield Rule(f"{into}.spatial", (place,), lambda places: _to_grid(places[1:], side), how, needed)
    now = len(tensors[time]) if time in tensors else frames
    how = _copied(time, stream) if now == frames else f"{time} interpolated from {now} to {frames} frames"
    yield Rule(f"{into}.temporal", (time,), lambda times: resize_times(times, frames), how, needed=False)
    for part in ("weight", "bias"):
        how = _copied(f"visual.ln_pre.{part}", stream)
        yield Rule(f"{into}.norm.{part}", (f"visual.ln_pre.{part}",), how=how, needed=needed)


def _text_rules(config: EgoVideoConfig, tensors: Mapping[str, Tensor]) -> Iterator[Rule]:
    ours, theirs = "text.transformer.", "textual."
    tokenizer = CaptionTokenizer(config.vocabulary, config.context_length, config.text_causal)
    ids, special = list(tokenizer.index), tokenizer.num_special
    yield Rule(
        f"{ours}token_embedding.weight",
        (f"{theirs}token_embedding.weight",),
        lambda table: torch.cat([table.new_zeros(special, table.shape[1]), table[ids]]),
        f"{special} rows of zeros for padding and unknown tokens, then those of the vocabulary" if special else "",
    )
    length = config.context_length
    yield Rule(f"{ours}positional_embedding", (f"{theirs}positional_embedding",), lambda places: places[:length])
    for i in range(config.text_depth):
        for part in BLOCK_PARTS:
            name = f"transformer.resblocks.{i}.{part}"
            yield Rule(ours + name, (theirs + name,))
    for name in ("ln_final.weight", "ln_final.bias"):
        yield Rule(ours + name, (theirs + name,))
    yield Rule(f"{ours}text_projection", (f"{theirs}text_projection",), needed=False)


def _to_convolution(weight: Tensor) -> Tensor:
    """Return a patch embedding (C, 3, p, p), also where it is saved as a matrix (C, 3*p*p)."""
    if weight.ndim != 2:
        return weight
    side = isqrt(weight.shape[1] // 3)
    return weight.reshape(len(weight), 3, side, -1)


def _to_grid(places: Tensor, side: int) -> Tensor:
    """Return the embeddings (N, C) of a square of patches as (side, side, C)."""
    here = isqrt(len(places))
    return resize_places(places.reshape(here, -1, places.shape[1]), side, side)

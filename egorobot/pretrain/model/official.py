"""Checkpoints of the official EgoVideo (https://github.com/InternRobotics/EgoHOD), with and without adapters."""

import argparse
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from egorobot.errors import UserError
from egorobot.pretrain.model.config import SIZES, EgoVideoConfig
from egorobot.pretrain.model.folder import expected_shapes
from egorobot.pretrain.model.mapping import Report, Rule, tower_rules, translate
from egorobot.pretrain.model.text import bpe

HEAD_WIDTH = 64  # channels of an attention head, in every tower of the official code
FRAMES = SIZES["b"]  # with adapters: the official code has 4 and 16 frames written into it, at any size

WRAPPERS = ("state_dict", "model")
FLASH_NAMES = {  # as the same tensors are called when trained with flash attention
    ".attn.Wqkv.weight": ".attn.in_proj_weight",
    ".attn.Wqkv.bias": ".attn.in_proj_bias",
    ".mlp.fc1.": ".mlp.c_fc.",
    ".mlp.fc2.": ".mlp.c_proj.",
}
UNUSED = {
    r"\.adapter\.conv2d\.": "allocated by the official code and never used",
    r"\.adapter_2\.": "a second adapter, allocated by the official code and never used",
}
SHAPED_BY = (  # the tensors that tell the sizes
    "visual.class_embedding",
    "visual.positional_embedding",
    "visual.conv1.weight",
    "visual.image_projection",
    "visual.transformer.resblocks.0.mlp.c_fc.weight",
    "textual.positional_embedding",
    "textual.token_embedding.weight",
    "textual.text_projection",
    "textual.transformer.resblocks.0.mlp.c_fc.weight",
)


@dataclass(frozen=True)
class Converted:
    """An official checkpoint as an EgoVideo.

    Attributes:
        config: its sizes.
        weights: its tensors, float32, by our names.
        report: what became of each tensor of the file, by the names in the file.
    """

    config: EgoVideoConfig
    weights: dict[str, Tensor]
    report: Report


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors in a checkpoint file, out of their wrapper, by the names in the file.

    Nothing in the file is executed.

    Args:
        path: what `torch.save` wrote: the tensors, or a dictionary with them at `state_dict` or `model`.

    Raises:
        UserError: it is missing, damaged, or wants to run code.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}: check the path")
    try:
        with torch.serialization.safe_globals([argparse.Namespace]):  # the options, which stand beside the weights
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        names = re.findall(r"GLOBAL ([\w.]+)", str(error))
        reason = f"it holds code ({names[0]})" if names else "it is no file of torch.save, or holds code"
        raise UserError(
            f"cannot read {path}: {reason}; where you trust it, load it with torch.load and save its state_dict alone"
        ) from error
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise UserError(f"cannot read {path} ({type(error).__name__}): it is damaged, download it again") from error
    return _unwrap(content, path)


def _unwrap(content: Any, path: Path) -> dict[str, Tensor]:
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise UserError(f"{path} holds a {type(content).__name__}, no weights by name: choose another file")
    return {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}


def convert_official(checkpoint: Mapping[str, Tensor], num_slow: int | None = None) -> Converted:
    """Return the EgoVideo that computes what the official code makes of `checkpoint`.

    Without adapters that is the low-rate stream alone; with adapters it is both streams and
    their fusion. Both pool the class token and use plain GELU.

    Args:
        checkpoint: as `read_checkpoint` returns it.
        num_slow: frames of the low-rate stream; None is what the file was trained with. Others
            are met by interpolating the temporal embedding, as the official code does.

    Raises:
        UserError: it is of another model, or holds numbers that are not finite.
    """
    names = {_official_name(name): name for name in checkpoint}
    if len(names) < len(checkpoint):
        twice = [name for name in checkpoint if name not in names.values()]
        raise UserError(f"the checkpoint has {_first(twice)} in two spellings: save the model's state_dict alone")
    tensors = {name: checkpoint[original] for name, original in names.items()}
    if missing := [name for name in SHAPED_BY if name not in tensors]:
        raise UserError(f"no checkpoint of the official EgoVideo: it has no {_first(missing)}")
    try:
        config = _config_of(tensors, num_slow)
    except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"no checkpoint of the official EgoVideo: its shapes make no model ({error})") from error
    shapes = expected_shapes(config)
    rules = [*tower_rules(config, tensors), *_own_rules(config, tensors)]
    weights, report = translate(rules, tensors, shapes)
    if faults := list(dict.fromkeys(report.kept.values())):
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise UserError(f"no checkpoint of the official EgoVideo: {faults[0]}{more}")
    if broken := [name for name in report.mapped if not torch.isfinite(tensors[name]).all()]:
        raise UserError(f"the checkpoint holds numbers that are not finite in {_first(broken)}: download it again")
    report.left = {name: _why_left(name, why) for name, why in report.left.items()}
    report.mapped = {names[name]: targets for name, targets in report.mapped.items()}
    report.left = {names[name]: why for name, why in report.left.items()}
    return Converted(config, weights, report)


def _official_name(name: str) -> str:
    """Return `name` without what data-parallel training puts before it, and as it is without flash attention."""
    while name.startswith("module."):
        name = name.removeprefix("module.")
    for theirs, usual in FLASH_NAMES.items():
        name = name.replace(theirs, usual)
    return name


def _first(names: list[str]) -> str:
    return f"'{names[0]}'" + (f" and {len(names) - 1} more" if len(names) > 1 else "")


def _why_left(name: str, why: str) -> str:
    return next((reason for pattern, reason in UNUSED.items() if re.search(pattern, name)), why)


def _config_of(tensors: Mapping[str, Tensor], num_slow: int | None) -> EgoVideoConfig:
    """Return the sizes that the shapes of `tensors` tell."""
    width = tensors["visual.class_embedding"].numel()
    patch = isqrt(tensors["visual.conv1.weight"].numel() // (3 * width))
    image = patch * isqrt(len(tensors["visual.positional_embedding"]) - 1)
    context, text_width = tensors["textual.positional_embedding"].shape
    depth = _count_blocks(tensors, "visual")
    if len(tensors["textual.token_embedding.weight"]) < bpe().vocab_size:
        raise ValueError("its vocabulary is not CLIP's")
    adapters = sum(f"visual.transformer.resblocks.{i}.adapter.gamma" in tensors for i in range(depth))
    times = tensors.get("visual.temporal_embedding")
    frames = 1 if times is None else len(times)
    return EgoVideoConfig(
        size=_size_name(width, depth, patch),
        num_slow=num_slow or (FRAMES.num_slow if adapters else frames),
        fast_ratio=FRAMES.fast_ratio if adapters else 1,
        # The official code spreads frames over a clip, whatever its length.
        frame_rate=FRAMES.frame_rate if adapters else FRAMES.frame_rate / FRAMES.fast_ratio,
        image_size=image,
        patch_size=patch,
        fast_image_size=image,
        fast_patch_size=patch,
        width=width,
        depth=depth,
        heads=max(1, width // HEAD_WIDTH),
        joint_dim=tensors["visual.image_projection"].shape[1],
        text_width=text_width,
        text_depth=_count_blocks(tensors, "textual"),
        text_heads=max(1, text_width // HEAD_WIDTH),
        mlp_ratio=len(tensors["visual.transformer.resblocks.0.mlp.c_fc.weight"]) / width,
        adapter_window=1,
        adapter_blocks=adapters,
        pooling="cls",
        activation="gelu",
        streams="both" if adapters else "slow",
        text_causal=True,
        context_length=context,
    )


def _count_blocks(tensors: Mapping[str, Tensor], tower: str) -> int:
    found = [re.match(rf"{tower}\.transformer\.resblocks\.(\d+)\.", name) for name in tensors]
    return len({match.group(1) for match in found if match})


def _size_name(width: int, depth: int, patch: int) -> str:
    named = {(size.width, size.depth, size.patch_size): name for name, size in SIZES.items()}
    return named.get((width, depth, patch), f"{width}x{depth}")


def _own_rules(config: EgoVideoConfig, tensors: Mapping[str, Tensor]) -> Iterator[Rule]:
    """Yield the rules for what CLIP does not have: frames, adapters, fusion."""
    if "visual.temporal_embedding" not in tensors:
        how = "zeros: the file is of a model of single images"
        for stream, frames in (("slow", config.num_slow), ("fast", config.num_frames)):
            shape = (frames, config.width)
            yield Rule(f"vision.{stream}_embedding.temporal", (), lambda shape=shape: torch.zeros(shape), how)
    for i in range(config.depth):
        ours, theirs = f"vision.blocks.{i}.adapter", f"visual.transformer.resblocks.{i}.adapter"
        for part in ("weight", "bias"):
            yield Rule(f"{ours}.down.{part}", (f"{theirs}.down_proj.{part}",))
            yield Rule(f"{ours}.up.{part}", (f"{theirs}.up_proj.{part}",))
        yield Rule(f"{ours}.mix.weight", (f"{theirs}.dwconv.weight",), lambda kernel: kernel[..., None, None])
        yield Rule(f"{ours}.mix.bias", (f"{theirs}.dwconv.bias",))
        yield Rule(f"{ours}.point.weight", (f"{theirs}.conv.weight",), lambda kernel: kernel.squeeze(-1))
        yield Rule(f"{ours}.point.bias", (f"{theirs}.conv.bias",))
        yield Rule(f"{ours}.scale", (f"{theirs}.gamma",), lambda scale: scale.reshape(1))
    yield Rule("fusion.weight", ("slowfast_projection",), lambda matrix: matrix.mT)
    bias = torch.zeros(config.joint_dim)
    yield Rule("fusion.bias", (), lambda: bias, "zeros: the official fusion has no bias")

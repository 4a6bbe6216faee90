"""Weights of open_clip's CLIP models (https://github.com/mlfoundations/open_clip) to start pre-training from."""

from collections.abc import Iterator
from typing import Any

import open_clip
import torch

from egorobot.errors import UserError
from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.egovideo import EgoVideo
from egorobot.pretrain.model.frames import PIXEL_MEAN, PIXEL_STD
from egorobot.pretrain.model.mapping import Report, Rule, tower_rules, translate

# open_clip's names and the official EgoVideo's; the rest of the text tower has no prefix of its own.
RENAMED = {"visual.proj": "visual.image_projection", "logit_scale": "logit_scale"}


def config_changes(name: str) -> dict[str, Any]:
    """Return the fields of an `EgoVideoConfig` with which the weights called `name` are what they were trained as.

    Args:
        name: as for `load_open_clip`.

    Raises:
        UserError: open_clip has no such model.
    """
    model_name, source = _split(name)
    quick = _model_config(model_name).get("quick_gelu") or open_clip.get_pretrained_cfg(model_name, source).get(
        "quick_gelu"
    )
    return {"activation": "quick_gelu" if quick else "gelu", "text_causal": True, "vocabulary": ()}


def load_open_clip(model: EgoVideo, name: str) -> Report:
    """Fill both towers of `model` with the weights called `name`, and return what became of them.

    Other image sizes are met by interpolation. What CLIP does not have stays as it is
    (adapters, temporal embeddings), but for the fusion, which starts as the mean of both streams.

    Args:
        model: of the same widths and depths; `get_size("b", **config_changes(name))` is for ViT-B-16.
        name: `<model>/<tag>` as open_clip spells them (`ViT-B-16/openai`), or
            `<model>/<path>` of a checkpoint of that model.

    Raises:
        UserError: no such model or tag, its weights cannot be had, or it has other sizes.
    """
    clip = _create(name)
    if not _is_plain(clip):
        raise UserError(f"open_clip:{name} is not built like CLIP's ViT: take ViT-B-16 or ViT-L-14, say")
    _check_heads(clip, model.config, name)
    tensors = {_official_name(key): tensor for key, tensor in clip.state_dict().items()}
    shapes = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    rules = [*tower_rules(model.config, tensors), *_fusion_rules(model.config)]
    weights, report = translate(rules, tensors, shapes)
    for rule in rules:
        if rule.needed and rule.target in shapes and rule.target not in weights:
            fault = report.kept[rule.target]
            raise UserError(f"open_clip:{name} is no '{model.config.size}': {fault}, for {rule.target}")
    report.notes = _notes(clip, model.config, name)
    model.load_state_dict(weights, strict=False)
    return report


def _split(name: str) -> tuple[str, str]:
    model_name, _, source = name.partition("/")
    if not source:
        raise UserError(f"'{name}' names no weights: write <model>/<tag>, say ViT-B-16/openai, or <model>/<path>")
    return model_name, source


def _model_config(model_name: str) -> dict[str, Any]:
    config = open_clip.get_model_config(model_name)
    if config is None:
        raise UserError(f"open_clip has no model '{model_name}': open_clip.list_models() lists them")
    return config


def _create(name: str) -> Any:
    """Return the open_clip model, downloaded if need be; its libraries raise errors of many kinds."""
    model_name, source = _split(name)
    _model_config(model_name)
    quick = config_changes(name)["activation"] == "quick_gelu"
    try:
        return open_clip.create_model(model_name, source, force_quick_gelu=quick, require_pretrained=True)
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise UserError(
            f"cannot get the weights of open_clip:{name} ({type(error).__name__}: {lines[0][:160]}): "
            "check the tag, connect to the internet once, or write <model>/<path of a checkpoint>"
        ) from error


def _is_plain(clip: Any) -> bool:
    """Tell whether `clip` has open_clip's own two towers, and norms before the blocks."""
    return isinstance(clip, open_clip.CLIP) and hasattr(clip.visual, "ln_pre") and hasattr(clip.visual, "transformer")


def _check_heads(clip: Any, config: EgoVideoConfig, name: str) -> None:
    """Raise UserError where attention is cut into other heads, which no shape tells."""
    for tower, ours, blocks in (
        ("heads", config.heads, clip.visual.transformer.resblocks),
        ("text_heads", config.text_heads, clip.transformer.resblocks),
    ):
        if blocks[0].attn.num_heads != ours:
            raise UserError(f"open_clip:{name} has {blocks[0].attn.num_heads} {tower}, the model {ours}: take its size")


def _official_name(key: str) -> str:
    if key.startswith("visual.") or key == "logit_scale":
        return RENAMED.get(key, key)
    return f"textual.{key}"


def _fusion_rules(config: EgoVideoConfig) -> Iterator[Rule]:
    """Yield the rules that fuse two streams of the same projection into their mean."""
    source, how = ("visual.image_projection",), "the mean of both streams, which start from the same projection"
    halves = torch.eye(config.joint_dim).repeat(1, 2) / 2
    yield Rule("fusion.weight", source, lambda _: halves, how, needed=False)
    yield Rule("fusion.bias", source, lambda _: torch.zeros(config.joint_dim), "zeros", needed=False)


def _notes(clip: Any, config: EgoVideoConfig, name: str) -> list[str]:
    notes = []
    if (trained := config_changes(name)["activation"]) != config.activation:
        notes.append(f"the weights were trained with activation={trained}, the model has {config.activation}")
    if not config.text_causal:
        notes.append("the weights were trained with a causal text tower, the model has text_causal=false")
    pixels = open_clip.get_model_preprocess_cfg(clip)
    if (tuple(pixels["mean"]), tuple(pixels["std"])) != (PIXEL_MEAN, PIXEL_STD):
        notes.append("the weights were trained with pixels that were normalised in another way than EgoVideo's")
    if (joint := clip.text_projection.shape[1]) != config.joint_dim:
        notes.append(
            f"the weights project to {joint} dimensions, the model to {config.joint_dim}: its projections are drawn "
            f"(model.joint_dim={joint} takes theirs)"
        )
    return notes

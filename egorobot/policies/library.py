"""Encoders from timm and open_clip: from their hubs, or from a folder.

Pretrained weights come through the libraries' own downloads into their own caches.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import open_clip
import timm
import torch
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save_file
from timm.data.config import resolve_model_data_config
from timm.models import save_for_hf
from torch import nn

from egorobot.errors import UserError
from egorobot.files import atomic_path, write_json
from egorobot.policies.image_encoder import ImageEncoder
from egorobot.policies.registry import CONFIG_FILE, OPEN_CLIP_CONFIG_FILE, unknown
from egorobot.policies.transforms import open_clip_transform, timm_transform

WEIGHTS_FILE = "model.safetensors"

T = TypeVar("T")


def timm_encoder(name: str, device: torch.device | None = None) -> ImageEncoder:
    """Return a pretrained timm model as an encoder; embeddings are its pooled features.

    Args:
        name: as timm spells it, with its tag: `vit_base_patch16_224.mae`; also
            `hf-hub:<organisation>/<model>`.
        device: where it computes; None is the GPU where there is one.

    Raises:
        UserError: no such model or tag, or its weights cannot be had.
    """
    if not name.startswith(("hf-hub:", "hf_hub:")):
        pretrained = timm.list_models(pretrained=True)
        if name not in pretrained and name not in {p.split(".")[0] for p in pretrained}:
            raise unknown("timm model", name, pretrained, "timm.list_models(pretrained=True) lists them")
    full_name = f"timm:{name}"
    model = _fetch(full_name, lambda: timm.create_model(name, pretrained=True, num_classes=0))
    return from_timm(full_name, model, device)


def from_timm(name: str, model: nn.Module, device: torch.device | None = None) -> ImageEncoder:
    """Return any timm model without its classifier as an encoder called `name`."""
    return ImageEncoder(name, model, timm_transform(resolve_model_data_config(model)), device)


def open_clip_encoder(name: str, device: torch.device | None = None) -> ImageEncoder:
    """Return the image tower of a pretrained open_clip model as an encoder.

    Args:
        name: `<model>/<tag>`, as open_clip spells them: `ViT-B-16/openai`; also
            `hf-hub:<organisation>/<model>`.
        device: where it computes; None is the GPU where there is one.

    Raises:
        UserError: no such model or tag, or its weights cannot be had.
    """
    full_name = f"open_clip:{name}"
    if name.startswith("hf-hub:"):
        return from_open_clip(full_name, _fetch(full_name, lambda: open_clip.create_model(name)), device)
    model_name, _, tag = name.partition("/")
    if tag not in open_clip.list_pretrained_tags_by_model(model_name):
        names = [f"{m}/{t}" for m, t in open_clip.list_pretrained()]
        raise unknown("open_clip model", name, names, "write open_clip:<model>/<tag>, say open_clip:ViT-B-16/openai")
    model = _fetch(full_name, lambda: open_clip.create_model(model_name, tag))
    return from_open_clip(full_name, model, device)


def from_open_clip(name: str, model: Any, device: torch.device | None = None) -> ImageEncoder:
    """Return the image tower of any open_clip model as an encoder called `name`."""
    transform = open_clip_transform(open_clip.get_model_preprocess_cfg(model))
    return ImageEncoder(name, model.visual, transform, device)


def hub_folder(name: str) -> Path:
    """Return a folder with the encoder of that name on the Hugging Face Hub, downloaded if need be.

    Args:
        name: `hf-hub:<organisation>/<model>`.

    Raises:
        UserError: there is none, or it cannot be had.
    """
    from huggingface_hub import snapshot_download

    repository = name.partition(":")[2]
    return Path(_fetch(name, lambda: snapshot_download(repository, allow_patterns=["*.json", "*.safetensors"])))


def load_timm_folder(name: str, folder: Path, device: torch.device | None = None) -> ImageEncoder:
    """Return the encoder in a folder of timm's own format (`config.json`, `model.safetensors`).

    Raises:
        UserError: the folder is damaged.
    """
    source = f"local-dir:{folder}"
    model = _read(folder, lambda: timm.create_model(source, pretrained=True, num_classes=0))
    return from_timm(name, model, device)


def load_open_clip_folder(name: str, folder: Path, device: torch.device | None = None) -> ImageEncoder:
    """Return the encoder in a folder of open_clip's own format (`open_clip_config.json`, weights).

    Raises:
        UserError: the folder is damaged.
    """
    model = _read(folder, lambda: open_clip.create_model(f"local-dir:{folder}", require_pretrained=True))
    return from_open_clip(name, model, device)


def save_timm_folder(model: nn.Module, folder: str | Path) -> None:
    """Write a timm model as a folder that `load_encoder` and timm itself read."""
    save_for_hf(model, str(folder), model_config={"model_type": "timm"}, safe_serialization=True)


def save_open_clip_folder(model: Any, model_config: dict[str, Any], folder: str | Path) -> None:
    """Write an open_clip model as a folder that `load_encoder` and open_clip itself read.

    Args:
        model: the whole model, both towers.
        model_config: its sizes: `open_clip.get_model_config(<model name>)`.
        folder: made if need be.
    """
    folder = Path(folder)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, temporary)
    with atomic_path(folder / OPEN_CLIP_CONFIG_FILE) as temporary:
        save_config_for_hf(model, temporary, model_config)
    write_json(folder / CONFIG_FILE, {"model_type": "open_clip"})


def _fetch(name: str, create: Callable[[], T]) -> T:
    """Return what `create` returns, or say in one line that its weights cannot be had.

    The hubs raise errors of half a dozen libraries, hence the broad clause.
    """
    try:
        return create()
    except Exception as error:
        raise UserError(
            f"cannot get the weights of {name} ({_first_line(error)}): connect to the internet once, "
            "or pass a folder that holds the model"
        ) from error


def _read(folder: Path, create: Callable[[], T]) -> T:
    """Return what `create` returns, or say that the files in `folder` are damaged."""
    try:
        return create()
    except Exception as error:
        raise UserError(f"encoder folder {folder} is damaged ({_first_line(error)}): copy or save it again") from error


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__

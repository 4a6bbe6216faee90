"""From the name of an encoder to the encoder."""

import difflib
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from egorobot.errors import UserError
from egorobot.policies.encoder import Encoder, NamedEncoder, check_encoder
from egorobot.pretrain.shipped import SHIPPED, shipped_folder

if TYPE_CHECKING:
    from egorobot.pretrain.model import EgoVideo

CONFIG_FILE = "config.json"
OPEN_CLIP_CONFIG_FILE = "open_clip_config.json"

NO_ENCODER = "state"  # the policy reads the simulator's state: the upper bound
END_TO_END = "end_to_end"  # the policy learns its own image network
CONTROLS = ("random_vit", "random_egovideo", "thumbnail", "blank")
NAMES = (SHIPPED, *CONTROLS, NO_ENCODER)
FORMS = (
    f"{', '.join(NAMES)}, timm:<model>, open_clip:<model>/<tag>, a folder, <organisation>/<model> on the Hugging Face "
    "Hub, or module:function for an encoder of your own"
)


def load_encoder(name: str, device: torch.device | None = None) -> Encoder:
    """Return the encoder called `name`.

    Args:
        name: one of

            - `egovideo_nano`: the weights that ship with the package;
            - `timm:<model>`, as timm spells it: `timm:vit_base_patch16_224.mae`;
            - `open_clip:<model>/<tag>`: `open_clip:ViT-B-16/openai`;
            - a folder with `config.json` and `model.safetensors`: one of
              `egorobot.pretrain`, of timm or of open_clip;
            - `<organisation>/<model>`, or `hf-hub:<organisation>/<model>`: such a folder on
              the Hugging Face Hub;
            - `module:function`: what calling the function returns, if it is an `Encoder`;
            - `random_vit`: a small vision transformer with random weights;
            - `random_egovideo`: what ships, with random weights;
            - `thumbnail`: the latest frame's colours in 14 x 14 cells;
            - `blank`: sees nothing.
        device: where it computes; None is the GPU where there is one. Not for
            `module:function`.

    Raises:
        UserError: no such encoder, its weights cannot be had, or its folder is damaged.

    >>> load_encoder("blank").dim
    1
    """
    if name in (NO_ENCODER, END_TO_END):
        raise UserError(f"'{name}' is no encoder: it says what a policy reads instead of one")
    if name == SHIPPED:
        return _load_egovideo(name, shipped_folder(), device)
    if name in CONTROLS:
        from egorobot.policies import controls

        if name == "random_egovideo":
            return _on_device(name, controls.random_egovideo(), device)
        if name == "random_vit":
            return controls.random_vit(device)
        return controls.ThumbnailEncoder() if name == "thumbnail" else controls.BlankEncoder()
    kind, _, rest = name.partition(":")
    if kind in ("timm", "open_clip", "hf-hub") and rest:
        return _load_from_library(name, kind, rest, device)
    if name and Path(name).is_dir():
        return load_folder(name, Path(name), device)
    if rest and kind.replace(".", "").isidentifier() and rest.isidentifier():
        return _call(kind, rest)
    if "/" in name and _may_be_on_hub(name):
        return _load_from_library(name, "hf-hub", name, device)
    raise unknown("encoder", name, [*NAMES, "timm:<model>", "open_clip:<model>/<tag>"], f"choose {FORMS}")


def unknown(kind: str, name: str, names: Sequence[str], hint: str) -> UserError:
    """Return the error for a `name` that is none of `names`, with the closest of them."""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return UserError(f"unknown {kind} '{name}': " + (f"did you mean {', '.join(close)}?" if close else hint))


def _load_from_library(name: str, kind: str, rest: str, device: torch.device | None) -> Encoder:
    from egorobot.policies import library  # timm and open_clip, slow to import

    if kind == "timm":
        return library.timm_encoder(rest, device)
    if kind == "open_clip":
        return library.open_clip_encoder(rest, device)
    return load_folder(name, library.hub_folder(f"hf-hub:{rest}"), device)


def _may_be_on_hub(name: str) -> bool:
    from egorobot.pretrain.model.hub import is_repo_id  # slow to import

    return is_repo_id(name)


def find_encoder(name: str, folder: str | None, device: torch.device | None = None) -> Encoder:
    """Return the encoder called `name`; if that is a folder no longer there, the one in `folder`.

    Relative names depend on where we stand, absolute ones on the machine: one of them
    usually still holds.

    Raises:
        UserError: see `load_encoder`.
    """
    moved = folder is not None and not Path(name).is_dir() and Path(folder).is_dir()
    return load_encoder(folder if moved and folder is not None else name, device)


def load_folder(name: str, folder: Path, device: torch.device | None = None) -> Encoder:
    """Return the encoder saved in `folder`, of whichever kind its files say, under `name`.

    Raises:
        UserError: it holds no encoder, or a damaged one.
    """
    kind = _folder_kind(folder)
    if kind == "egovideo":
        return _load_egovideo(name, folder, device)
    if kind not in ("timm", "open_clip"):
        raise UserError(f"{folder / CONFIG_FILE} has model_type {kind!r}: egovideo, timm or open_clip is needed")
    from egorobot.policies import library

    load = library.load_timm_folder if kind == "timm" else library.load_open_clip_folder
    return load(name, folder, device)


def _folder_kind(folder: Path) -> Any:
    if (folder / OPEN_CLIP_CONFIG_FILE).exists():
        return "open_clip"
    path = folder / CONFIG_FILE
    if not path.exists():
        raise UserError(f"{folder} is not an encoder folder (no {CONFIG_FILE}): choose {FORMS}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        return "timm" if "architecture" in config else config.get("model_type")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise UserError(f"encoder folder {folder} is damaged ({path.name}: {error}): copy or save it again") from error


def _load_egovideo(name: str, folder: Path, device: torch.device | None) -> NamedEncoder:
    from egorobot.pretrain.model import EgoVideo

    return _on_device(name, EgoVideo.from_pretrained(folder), device)


def _on_device(name: str, encoder: "EgoVideo", device: torch.device | None) -> NamedEncoder:
    if device is not None or torch.cuda.is_available():
        encoder.to(device or torch.device("cuda"))
    return NamedEncoder(name, encoder)


def _call(module: str, function: str) -> Encoder:
    """Return what `function` of `module` makes; modules are also looked for where we stand."""
    where = f"{module}:{function}"
    here = str(Path.cwd())
    added = here not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise unknown("encoder", where, NAMES, f"there is no module '{error.name}'; choose {FORMS}") from error
    except AttributeError as error:
        raise UserError(f"module '{module}' has no '{function}': write encoder=module:function") from error
    finally:
        if added:
            sys.path.remove(here)
    return check_encoder(make(), where)

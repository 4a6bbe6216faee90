"""An encoder on disk: a folder with `config.json` and `model.safetensors`."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from egorobot.errors import UserError
from egorobot.files import atomic_path, write_text
from egorobot.pretrain.model.config import EgoVideoConfig

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"


def config_json(config: EgoVideoConfig) -> str:
    """Return `config` as the text of `config.json`."""
    return json.dumps(config.to_dict(), indent=1) + "\n"


def write_folder(folder: str | Path, config: EgoVideoConfig, weights: dict[str, Tensor]) -> None:
    """Write a model into `folder`: the weights first, so that a `config.json` has its weights beside it."""
    folder = Path(folder)
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        temporary.write_bytes(save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}))
    write_text(folder / CONFIG_FILE, config_json(config))


def read_folder(folder: str | Path) -> tuple[EgoVideoConfig, dict[str, Tensor]]:
    """Return the configuration and the weights in `folder`, checked against each other.

    Raises:
        UserError: the folder is missing, damaged, or holds something else.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"no encoder folder at {folder}: check the path, or make one with python -m egorobot.pretrain")
    config = _read_config(folder / CONFIG_FILE)
    weights = _read_weights(folder / WEIGHTS_FILE)
    expected = expected_shapes(config)
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if wrong := sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name)):
        raise UserError(
            f"{folder / WEIGHTS_FILE} does not fit {CONFIG_FILE} beside it "
            f"({len(wrong)} tensors differ, '{wrong[0]}' first): copy the folder again"
        )
    if not all(torch.isfinite(tensor).all() for tensor in weights.values()):
        raise UserError(f"{folder / WEIGHTS_FILE} holds numbers that are not finite: copy or train it again")
    return config, weights


def _read_config(path: Path) -> EgoVideoConfig:
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        return EgoVideoConfig.from_dict(values)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {path.parent} is not an encoder folder") from error
    except (OSError, ValueError, TypeError, ZeroDivisionError) as error:
        raise UserError(f"{path} is not the configuration of an EgoVideo ({error}): copy the folder again") from error


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing: {path.parent} is not a whole encoder folder") from error
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is damaged ({error}): copy the folder again, or train the encoder again") from error


def expected_shapes(config: EgoVideoConfig) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the tensors of a model of these sizes."""
    from egorobot.pretrain.model.egovideo import EgoVideo  # it imports this module

    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in EgoVideo(config).state_dict().items()}

"""Run folders: where a training run lives, its configuration and its result.

A run folder holds `config.yaml`, `policy.pth`, `metrics/`, `result.json` and `videos/`.
"""

import importlib.metadata
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from egorobot.errors import UserError
from egorobot.files import digest, write_json

SCHEMA = 1
STAGES = ("demos", "embed", "train", "eval")

# What a run's outcome depends on; all else in a config is about where and how fast.
DECISIVE = (
    "task", "protocol.name", "camera", "image_size", "render", "encoder", "policy", "seed", "num_demos", "demo_seed",
    "episodes", "eval_max",
)  # fmt: skip

_NUMBER = (int, float)
_EVAL = {
    "checkpoint": str, "episodes": int, "successes": int, "success_rate": _NUMBER, "ci95": list, "ci_method": str,
    "episode_seeds": list, "outcomes": list,
}  # fmt: skip
_FIELDS: dict[str, Any] = {
    "schema": int,
    "task": str,
    "protocol": str,
    "camera": (str, list),
    "encoder": {"name": str, "fingerprint": str, "dim": int},
    "policy": str,
    "num_demos": int,
    "seed": int,
    "eval": _EVAL,
    "eval_max": (dict, type(None)),
    "wall_time_s": dict.fromkeys(STAGES, _NUMBER),
    "versions": {"egorobot": str, "mujoco": str, "robomimic": str, "torch": str},
    "render_fingerprint": str,
    "git_commit": (str, type(None)),
}
# Where a run has them: options that are not the defaults, the file that it learnt from, and how its encoder was made.
_MORE_FIELDS = {"overrides": dict, "dataset": str, "dataset_fingerprint": str, "pretrain": dict, "trainer": str}


def path_safe(name: str) -> str:
    """Return `name` as one path component: `timm:vit_tiny` becomes `timm_vit_tiny`."""
    safe = re.sub(r"[^\w.+-]+", "_", name).strip("_.") or "_"
    return safe if len(safe) <= 100 else f"{safe[-80:]}_{digest(name)}"


def plain(value: Any) -> Any:
    """Return an option's value, resolved, as plain Python."""
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def shorten(value: Any) -> str:
    """Return `value` as JSON of at most 120 characters, for messages."""
    text = json.dumps(value)
    return text if len(text) <= 120 else text[:117] + "…"


def read_config(folder: str | Path) -> DictConfig:
    """Return the options that the run in `folder` was made with.

    Raises:
        UserError: `folder` is not a run folder, or its config is damaged.
    """
    path = Path(folder) / "config.yaml"
    if not path.exists():
        raise UserError(f"{folder} is not a run folder (no config.yaml): train_bc makes one")
    try:
        config = OmegaConf.load(path)
    except (yaml.YAMLError, OSError, ValueError) as error:
        raise UserError(f"{path} is damaged: {error}") from error
    if not isinstance(config, DictConfig):
        raise UserError(f"{path} is not the config of a run")
    missing = [key for key in DECISIVE if OmegaConf.select(config, key) is None]
    if missing:
        raise UserError(f"{path} is not the config of a run: it lacks {missing[0]}")
    return config


def write_result(folder: str | Path, result: dict[str, Any]) -> None:
    """Write `result.json` atomically, refusing what `read_result` would refuse."""
    path = Path(folder) / "result.json"
    check_result(result, path)
    write_json(path, result)


def read_result(folder: str | Path) -> dict[str, Any]:
    """Return the checked `result.json` of a run.

    Raises:
        UserError: it is missing, is not JSON, or does not hold what schema 1 asks for.
    """
    path = Path(folder) / "result.json"
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"no result.json in {folder}: the run has not finished, train_bc goes on with it") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    check_result(result, path)
    return result


def check_result(result: Any, where: str | Path) -> None:
    """Check `result` against schema 1.

    Raises:
        UserError: a field is missing, has another type, or contradicts another; `where`
            is named in the message.
    """
    if not isinstance(result, dict) or result.get("schema") != SCHEMA:
        raise UserError(f"{where}: not a result of schema {SCHEMA}")
    _check_fields(result, _FIELDS, where, "")
    _check_fields(result, {key: kind for key, kind in _MORE_FIELDS.items() if key in result}, where, "")
    _check_eval(result["eval"], where, "eval")
    if result["eval_max"] is not None:
        _check_fields(result["eval_max"], _EVAL, where, "eval_max.")
        _check_eval(result["eval_max"], where, "eval_max")


def _check_fields(values: dict[str, Any], fields: dict[str, Any], where: str | Path, prefix: str) -> None:
    for key, kind in fields.items():
        if key not in values:
            raise UserError(f"{where}: '{prefix}{key}' is missing")
        nested = isinstance(kind, dict)
        value, expected = values[key], dict if nested else kind
        if not isinstance(value, expected) or isinstance(value, bool):
            raise UserError(f"{where}: '{prefix}{key}' is {shorten(value)}, of the wrong type")
        if nested:
            _check_fields(value, kind, where, f"{prefix}{key}.")


def _check_eval(evaluation: dict[str, Any], where: str | Path, name: str) -> None:
    outcomes, seeds, n = evaluation["outcomes"], evaluation["episode_seeds"], evaluation["episodes"]
    if n < 1 or not len(outcomes) == len(seeds) == n:
        raise UserError(f"{where}: '{name}' has {n} episodes, {len(outcomes)} outcomes and {len(seeds)} seeds")
    if not all(isinstance(o, bool) for o in outcomes) or not all(type(s) is int for s in seeds):
        raise UserError(f"{where}: '{name}' wants outcomes true or false and whole numbers as seeds")
    if sum(outcomes) != evaluation["successes"] or abs(sum(outcomes) / n - evaluation["success_rate"]) > 1e-6:
        raise UserError(f"{where}: '{name}' reports a rate that its outcomes do not have")


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    from egorobot import __version__

    return {"egorobot": __version__} | {
        name: importlib.metadata.version(name) for name in ("mujoco", "robomimic", "torch")
    }


def git_commit() -> str | None:
    """Return the commit of the checkout this code runs from, marked `-dirty` when changed.

    None outside a checkout or without git.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None

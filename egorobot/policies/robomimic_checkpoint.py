"""Checkpoints of robomimic's own training on our demonstrations, as checkpoints of ours.

`python -m egorobot.robomimic train` writes what robomimic knows: weights, its config and
what the HDF5 file says of the environment. What we want to know beside it - through which
encoder the policy sees, from how many demonstrations it learnt - is in that config.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py

from egorobot.envs.camera_env import OBJECT_STATE_DIM
from egorobot.envs.demonstrations import DemoInfo, read_info
from egorobot.errors import UserError
from egorobot.policies.image_encoder import weights_digest
from egorobot.policies.observations import END_TO_END_DIM, STATE, EncoderInfo
from egorobot.policies.registry import END_TO_END, NO_ENCODER

ENV_PREFIX = "egorobot/"
ALGO = "bc"
TRAINER = "robomimic"  # what the entry `egorobot` names as who trained the policy


def is_robomimics(content: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint, `ENTRIES` but `egorobot` in it, was written by robomimic's own training."""
    env = content["env_metadata"]
    return "egorobot" not in content and isinstance(env, dict) and str(env.get("env_name")).startswith(ENV_PREFIX)


def adopt(content: Mapping[str, Any], schema: int, where: str | Path) -> dict[str, Any]:
    """Return a checkpoint of robomimic's own training with what ours have beside it.

    Args:
        content: the checkpoint; not changed.
        schema: of the entry `egorobot`.
        where: the file, for messages.

    Raises:
        UserError: another algorithm than BC, a policy with goals, or observations that our
            environments do not have.
    """
    try:
        config = json.loads(content["config"])
        modalities = config["observation"]["modalities"]
        goals = any(keys for group, kinds in modalities.items() if group != "obs" for keys in kinds.values())
        if content["algo_name"] != ALGO or goals:
            raise UserError(
                f"{where} is a policy of robomimic's {content['algo_name']}{' with goals' if goals else ''}: "
                "egorobot evaluates its BC without goals, others run with egorobot.robomimic run_trained_agent"
            )
        if "obs_normalization_stats" in content:  # robomimic 0.3 itself cannot train such a policy
            raise UserError(f"{where} was trained with hdf5_normalize_obs, which is not supported: train without it")
        encoder = _encoder(config, content["shape_metadata"]["all_shapes"])
        kwargs = _env_kwargs(content["env_metadata"]["env_kwargs"], modalities["obs"])
        entry = {
            "schema": schema,
            "weights": weights_digest(content["model"]),
            "encoder": asdict(encoder),
            "trainer": TRAINER,
            "policy": f"{TRAINER}_{config['experiment']['name']}",
            "seed": int(config["train"]["seed"]),
            "dataset": str(config["train"]["data"]),
            "filter_key": config["train"]["hdf5_filter_key"],
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{where} is no checkpoint of robomimic's training ({error!r}): choose another file") from error
    return {**content, "env_metadata": {**content["env_metadata"], "env_kwargs": kwargs}, "egorobot": entry}


def _encoder(config: Mapping[str, Any], shapes: Mapping[str, Any]) -> EncoderInfo:
    """Return what a policy sees through, by the cores that its config gives to its observations."""
    modalities = config["observation"]["modalities"]["obs"]
    if frozen := modalities.get("frozen"):
        core = config["observation"]["encoder"]["frozen"]["core_kwargs"]
        num_frames = shapes[frozen[0]][0] if len(shapes[frozen[0]]) == 4 else 1
        return EncoderInfo(core["encoder"], core["fingerprint"], int(core["dim"]), num_frames)
    if modalities["rgb"]:
        core = config["observation"]["encoder"]["rgb"]["core_kwargs"]
        return EncoderInfo(END_TO_END, END_TO_END, int(core.get("feature_dimension") or END_TO_END_DIM))
    if STATE in modalities["low_dim"]:
        return EncoderInfo(NO_ENCODER, NO_ENCODER, OBJECT_STATE_DIM)
    return EncoderInfo("proprio", "proprio", 0)


def _env_kwargs(kwargs: Mapping[str, Any], modalities: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the arguments of an environment that shows what the policy reads, and no more."""
    images = [*modalities["rgb"], *modalities.get("frozen", [])]
    seen = dict(kwargs) | ({} if images else {"camera": None})
    return seen | ({"include_state": True} if STATE in modalities["low_dim"] else {})


def training_demonstrations(
    description: Mapping[str, Any], dataset: str | Path | None = None
) -> tuple[DemoInfo, tuple[int, ...]]:
    """Return the file that an adopted policy was trained on, and which of its demonstrations.

    Args:
        description: the entry `egorobot` of the checkpoint.
        dataset: where the file is now; None is where it was.

    Raises:
        UserError: it is not there, or lacks the demonstrations that robomimic's config names.
    """
    path = Path(dataset or description["dataset"]).expanduser()
    if not path.is_file():
        raise UserError(f"the policy was trained on {path}, which is not there: dataset=FILE tells where it is now")
    info = read_info(path)
    key = description["filter_key"]
    if key is None:
        return info, tuple(range(info.num_demos))
    with h5py.File(path, "r") as file:
        mask = file.get(f"mask/{key}")
        if mask is None:
            raise UserError(
                f"{path} has no mask/{key}, which the policy was trained on: dataset=FILE names the right one"
            )
        return info, tuple(sorted(int(name.decode().removeprefix("demo_")) for name in mask[()]))

"""Writing demonstrations as a Minari dataset, with images exactly as they are."""

import importlib
import re
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from egorobot import __version__
from egorobot.envs.camera_env import IMAGE_SUFFIX, CameraEnv
from egorobot.envs.demonstrations import DemoInfo
from egorobot.envs.exchange.minari_reader import OWN_KEY
from egorobot.envs.exchange.new_folder import new_folder
from egorobot.envs.exchange.recorded import Recorded, instruction
from egorobot.envs.registration import register_envs
from egorobot.errors import UserError

_ID = re.compile(r"([\w-]+/)*[\w-]+-v\d+")


def write_minari(dataset_id: str, info: DemoInfo, demos: Iterable[Recorded]) -> Path:
    """Write demonstrations as a dataset that `minari.load_dataset(dataset_id)` loads.

    An episode of N actions has N + 1 observations: the last one, which demonstrations do not
    hold, is where the simulator goes from the last state under the last action. Each step's
    `infos` hold the exact physics state. Where the arm was perturbed in collecting, the
    action is the clean one, not the one that led to the next observation.

    Args:
        dataset_id: such as `egorobot/microwave/expert-v0`; it is a folder of Minari's
            (`MINARI_DATASETS_PATH`, or `~/.minari/datasets`).
        info: of the file that they are from.
        demos: of that file, at least one.

    Returns:
        The dataset's folder.

    Raises:
        UserError: `minari` is not installed, the id is not one or is taken, or see
            `recorded_demos`.
    """
    storage_module = _import_minari()
    if not _ID.fullmatch(dataset_id):
        raise UserError(f"out={dataset_id} is no id of a Minari dataset: write egorobot/{info.task}/expert-v0")
    register_envs()
    kwargs = info.env_kwargs | ({"include_state": True} if "state" in info.obs_keys else {})
    path = importlib.import_module("minari.storage").get_dataset_path(dataset_id)
    with new_folder(path) as folder, closing(gymnasium.make(info.env_name, **kwargs)) as env:
        (folder / "data").mkdir()
        storage = storage_module.MinariStorage.new(
            folder / "data",
            observation_space=env.observation_space,
            action_space=env.action_space,
            env_spec=env.spec,
            jpeg_encoding=False,
        )
        storage.update_metadata(_metadata(dataset_id, info))
        assert isinstance(env.unwrapped, CameraEnv)
        storage.update_episodes(_buffers(demos, env.unwrapped))
    _name_namespace(dataset_id)
    return Path(path)


def _import_minari() -> Any:
    try:
        return importlib.import_module("minari.dataset.minari_storage")
    except ImportError as error:
        raise UserError(f"format=minari needs the package minari ({error}): pip install 'egorobot[minari]'") from error


def _metadata(dataset_id: str, info: DemoInfo) -> dict[str, Any]:
    return {
        "dataset_id": dataset_id,
        "minari_version": importlib.import_module("minari").__version__,
        "algorithm_name": "scripted expert" if info.imported is None else "imported",
        "description": f"Demonstrations: {instruction(info.task)}. Actions are clean where the arm was perturbed.",
        "requirements": [f"egorobot=={__version__}"],
        OWN_KEY: {"render_fingerprint": info.render_fingerprint, "env_args": info.env_args},
    }


def _buffers(demos: Iterable[Recorded], env: CameraEnv) -> Iterator[Any]:
    """Yield episodes as Minari takes them."""
    buffer = importlib.import_module("minari.data_collector").EpisodeBuffer
    for demo in demos:
        env.set_state(demo.states[-1])
        last, _, terminated, truncated, _ = env.step(demo.actions[-1])
        observed = {f"{name}{IMAGE_SUFFIX}": images for name, images in demo.images.items()} | demo.vectors
        ends = np.zeros((2, demo.length), bool)  # terminations, truncations
        ends[:, -1] = terminated, truncated or not terminated
        yield buffer(
            seed=demo.seed,
            observations={key: np.concatenate([values, last[key][None]]) for key, values in observed.items()},
            actions=demo.actions,
            rewards=demo.rewards,
            terminations=ends[0],
            truncations=ends[1],
            infos={OWN_KEY: np.concatenate([demo.states, env.get_state()[None]])},
        )


def _name_namespace(dataset_id: str) -> None:
    """Mark the folder that the dataset is in as one of Minari's namespaces."""
    namespaces = importlib.import_module("minari.namespace")
    namespace = dataset_id.rpartition("/")[0]
    if namespace and namespace not in namespaces.list_local_namespaces():
        namespaces.create_namespace(namespace)

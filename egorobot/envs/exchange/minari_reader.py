"""Reading Minari datasets of the Franka Kitchen, those of Farama's server and one's own."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.exchange.episodes import Episode, SourceEnv, split_states
from egorobot.envs.exchange.layouts import split
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError
from egorobot.files import folder_digest

FRANKA_KITCHEN = "FrankaKitchen"  # its id without the version
# Under this key of `infos` are what `get_state` returned, and under it in the dataset's
# metadata a dict with `render_fingerprint`, where a dataset was exported by this package.
OWN_KEY = "egorobot"


class MinariReader:
    """A Minari dataset.

    The environment may be `FrankaKitchen-v1`, as in D4RL's datasets on Farama's server, or
    one of this package's (made with `include_state=True`).

    Args:
        dataset_id: such as `D4RL/kitchen/complete-v2`; it is downloaded where it is not in
            Minari's folder (`MINARI_DATASETS_PATH`, or `~/.minari/datasets`).

    Raises:
        UserError: `minari` is not installed, the dataset is neither here nor to be had, is
            damaged, or is of another environment.
    """

    def __init__(self, dataset_id: str) -> None:
        self.source = dataset_id
        self._folder = _find(dataset_id)
        with self._reading():
            self.num_episodes = int(self._dataset.total_episodes)
        if self.num_episodes == 0:
            raise UserError(f"{dataset_id} holds no episodes: choose another dataset")

    @cached_property
    def env(self) -> SourceEnv:
        """What the dataset's environment specification says."""
        with self._reading():
            spec = self._dataset.env_spec
            own = self._dataset.storage.metadata.get(OWN_KEY, {})
            if spec is None:
                return SourceEnv(render_fingerprint=own.get("render_fingerprint"))
            return _source_env(spec.id, spec.kwargs, own.get("render_fingerprint"))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of all files of the dataset."""
        return folder_digest(self._folder)

    def read(self, index: int, images: bool = True) -> Episode:
        """Return an episode, its images if they are asked for and there.

        Raises:
            UserError: the dataset is damaged there.
        """
        with self._reading():
            data = self._dataset[index]
            seed = next(iter(self._dataset.storage.get_episode_metadata([data.id]))).get("seed")
            count = len(data.rewards)
            seen = split(data.observations, self.source)
            positions, velocities, states = seen.positions, seen.velocities, (data.infos or {}).get(OWN_KEY)
            if states is not None:
                states = np.asarray(states, np.float64)
                positions, velocities = split_states(states)
            episode = Episode(
                name=f"episode {index}",
                actions=np.asarray(data.actions, np.float32),
                rewards=np.asarray(data.rewards, np.float32),
                positions=positions,
                velocities=velocities,
                desk=seen.desk,
                states=None if states is None else states[:count],
                images={name: frames[:count] for name, frames in seen.images.items()} if images else {},
                seed=None if seed is None else int(seed),
            )
        episode.check(self.source)
        return episode

    @cached_property
    def _dataset(self) -> Any:
        storage = _need("minari.dataset.minari_storage").MinariStorage
        # Minari would make the environment to learn its spaces, and with it whatever the file names.
        if missing := {"observation_space", "action_space"} - storage.read_raw_metadata(self._folder).keys():
            raise KeyError(f"no {missing.pop()} in metadata.json")
        return _need("minari").MinariDataset(self._folder)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what Minari raises on damaged files into one line."""
        try:
            yield
        except (OSError, LookupError, ValueError, TypeError, AttributeError, AssertionError) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(
                f"{self.source} is damaged ({reason}): delete {self._folder.parent} and fetch it again"
            ) from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave the open dataset out."""
        return {key: value for key, value in self.__dict__.items() if key != "_dataset"}


def _need(module: str) -> Any:
    """Return a module of Minari, which is an extra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"source=minari:… needs the package minari ({error}): pip install 'egorobot[minari]'"
        ) from error


def _find(dataset_id: str) -> Path:
    """Return the folder with the data of a dataset, downloading it if need be."""
    storage, hosting = _need("minari.storage"), _need("minari.storage.hosting")
    if ".." in Path(dataset_id).parts or Path(dataset_id).is_absolute() or not dataset_id:
        raise UserError(f"'{dataset_id}' is no id of a Minari dataset: write minari:D4RL/kitchen/complete-v2")
    folder = Path(storage.get_dataset_path(dataset_id)) / "data"
    if not folder.is_dir():
        try:
            hosting.download_dataset(dataset_id)
        except Exception as error:  # of whichever client and network
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(
                f"no Minari dataset at {folder}, and no download of it ({reason}): minari list local"
            ) from error
    return folder


def _source_env(env_id: str, kwargs: Mapping[str, Any], render_fingerprint: str | None) -> SourceEnv:
    if env_id.rpartition("-v")[0] == FRANKA_KITCHEN:
        wanted = set(kwargs.get("tasks_to_complete", ()))
        tasks = [name for name, task in D4RL_TASKS.items() if set(task.elements) == wanted]
        return SourceEnv("d4rl", tasks[0] if tasks else None)
    for name, d4rl_task in D4RL_TASKS.items():
        if env_id in (d4rl_task.env_id, d4rl_task.package_env_id):
            return SourceEnv("d4rl", name, env_id, render_fingerprint)
    for name, task in TASKS.items():
        if task.env_id == env_id:
            return SourceEnv(kwargs.get("protocol", "kitchen"), name, env_id, render_fingerprint)
    raise UserError(f"a dataset of {env_id}: only those of the Franka Kitchen can be imported")

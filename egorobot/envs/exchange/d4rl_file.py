"""Reading D4RL's HDF5: the steps of all episodes one after another in flat arrays."""

from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.exchange.episodes import Episode, SourceEnv
from egorobot.envs.exchange.layouts import layout_of, split_flat
from egorobot.envs.simulation import NUM_ROBOT_JOINTS
from egorobot.errors import UserError
from egorobot.files import digest

KEYS = ("observations", "actions", "rewards", "terminals")
TIMEOUTS = "timeouts"  # younger than the kitchen's files, which do without


class D4RLFile:
    """A file of the Franka Kitchen as D4RL writes it.

    An episode ends where `terminals` or `timeouts` say so. As in D4RL's own reader, steps
    after the last such mark are no episode. What D4RL's files do not have are the velocities
    and what was there after the last action, unless `next_observations` tell; a file
    without `timeouts` is not cut after the environment's 280 steps, since the kitchen's
    published files mark every end by `terminals`.

    Args:
        path: HDF5 file.

    Raises:
        UserError: the file is missing, cut short, lacks an array, or is of another environment.
    """

    def __init__(self, path: str) -> None:
        self.source = path
        if not Path(path).is_file():
            raise UserError(f"no file at {path}: name an HDF5 file of D4RL")
        arrays = self._arrays
        self._layout = layout_of(arrays["observations"].shape[-1], path)
        if (width := arrays["actions"].shape[-1]) != NUM_ROBOT_JOINTS:
            raise UserError(
                f"{path}: actions of {width} numbers are not the kitchen's ({NUM_ROBOT_JOINTS}): choose another"
            )
        ends = arrays["terminals"].astype(bool) | arrays[TIMEOUTS].astype(bool)
        self._stops = np.flatnonzero(ends) + 1
        if not len(self._stops):
            raise UserError(f"{path}: neither terminals nor timeouts mark the end of an episode: choose another file")

    @property
    def num_episodes(self) -> int:
        """How many episodes there are."""
        return len(self._stops)

    @property
    def env(self) -> SourceEnv:
        """What the size of the observations says of the environment."""
        return SourceEnv(self._layout.protocol)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content."""
        return digest(*(part for name, array in self._arrays.items() for part in (name, array.tobytes())))

    def read(self, index: int, images: bool = True) -> Episode:
        """Return an episode; D4RL's files hold no images."""
        stop = int(self._stops[index])
        rows = slice(int(self._stops[index - 1]) if index else 0, stop)
        arrays, name = self._arrays, f"episode {index}"
        observations = arrays["observations"][rows]
        if "next_observations" in arrays:
            observations = np.concatenate([observations, arrays["next_observations"][stop - 1 : stop]])
        seen = split_flat(observations, self.source)
        actions, rewards = (np.asarray(arrays[key][rows], np.float32) for key in ("actions", "rewards"))
        episode = Episode(name, actions, rewards.reshape(len(actions)), seen.positions, seen.velocities, seen.desk)
        episode.check(self.source)
        return episode

    @cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the file, in memory: the kitchen's largest are 80 MB."""
        try:
            with h5py.File(self.source, "r") as file:
                return self._read(file)
        except OSError as error:
            raise UserError(f"{self.source} is damaged, cut short, or no HDF5 file: fetch it again") from error

    def _read(self, file: h5py.File) -> dict[str, NDArray[Any]]:
        for key in KEYS:
            if not isinstance(file.get(key), h5py.Dataset):
                raise UserError(f"{self.source} lacks '{key}': it is no file of D4RL's format, choose another")
        names = [key for key in (*KEYS, TIMEOUTS, "next_observations") if isinstance(file.get(key), h5py.Dataset)]
        arrays = {name: file[name][()] for name in names}
        arrays.setdefault(TIMEOUTS, np.zeros(len(arrays["terminals"]), bool))
        count = len(arrays["actions"])
        for name, array in arrays.items():
            flat = name in ("rewards", "terminals", TIMEOUTS)
            if (
                array.dtype.kind not in "biuf"
                or len(array) != count
                or (array.size != count if flat else array.ndim != 2)
            ):
                raise UserError(
                    f"{self.source}: {name} are {array.dtype} {array.shape} beside {count} actions: choose another file"
                )
        for name in ("terminals", TIMEOUTS):
            arrays[name] = arrays[name].reshape(count)
        return arrays

    def __getstate__(self) -> dict[str, Any]:
        """Leave the arrays out: another process reads them from the file."""
        return {key: value for key, value in self.__dict__.items() if key != "_arrays"}

"""What a reader of somebody else's dataset gives: episodes, and what the dataset says of their environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.simulation import NUM_ROBOT_JOINTS
from egorobot.errors import UserError

NUM_POSITIONS = 30  # nine of the robot, 21 of the objects
NUM_VELOCITIES = 29  # the kettle's orientation has four numbers, its rotation three
# The environments clip actions, so some beyond [-1, 1] are as good as 1; many are of another scale.
MOST_CLIPPED = 0.1  # share of an episode's numbers


def split_states(states: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions (N, 30) and velocities (N, 29) in what `get_state` returned, (N, S).

    That is MuJoCo's integration state: time, positions, velocities, and what else there is.
    """
    positions, velocities = np.split(states[:, 1 : 1 + NUM_POSITIONS + NUM_VELOCITIES], [NUM_POSITIONS], axis=1)
    return positions, velocities


@dataclass(frozen=True)
class Episode:
    """One episode of N steps, as its source has it.

    Attributes:
        name: of the episode in its source, for messages and for the record.
        actions: (N, 9) float32, in [-1, 1] but for a few that are meant to be clipped.
        rewards: of each action, (N,) float32, by the source's own reckoning.
        positions: of all joints before each action, and after the last one where that is
            known, (N, 30) or (N + 1, 30) float64: MuJoCo's qpos (rad; m for fingers, slide
            cabinet and kettle).
        velocities: qvel at the same moments, (N, 29) or (N + 1, 29); None where they are
            not known.
        desk: position of the desk, (3,) in m; None where it stands as in `FrankaKitchen-v1`.
        states: what `get_state` of the environment named by `SourceEnv.env_id` returned before
            each action, (N, S) float64; None where the source has no such thing.
        images: what cameras saw before each action, uint8 (N, H, W, 3) by the camera's name.
        seed: that the environment was reset with; None where it is not known.
    """

    name: str
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    positions: NDArray[np.float64]
    velocities: NDArray[np.float64] | None = None
    desk: NDArray[np.float64] | None = None
    states: NDArray[np.float64] | None = None
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    seed: int | None = None

    @property
    def length(self) -> int:
        """Number of steps, N."""
        return len(self.actions)

    def check(self, source: str) -> None:
        """Check sizes and values.

        Args:
            source: where the episode is from, for the message.

        Raises:
            UserError: an array has another size or holds NaN or infinity, or many actions are
                out of [-1, 1].
        """
        where, count = f"{source}, {self.name}", self.length
        if count == 0:
            raise UserError(f"{where} has no steps: choose another dataset")
        moments = len(self.positions)
        if moments not in (count, count + 1):
            raise UserError(f"{where} has {moments} observations for {count} actions: choose another dataset")
        _check_array(where, "actions", self.actions, (count, NUM_ROBOT_JOINTS))
        _check_array(where, "rewards", self.rewards, (count,))
        _check_array(where, "positions", self.positions, (moments, NUM_POSITIONS))
        if self.velocities is not None:
            _check_array(where, "velocities", self.velocities, (moments, NUM_VELOCITIES))
        if self.desk is not None:
            _check_array(where, "desk", self.desk, (3,))
        if self.states is not None:
            _check_array(where, "states", self.states, (count, *self.states.shape[1:]))
        if (np.abs(self.actions) > 1).mean() > MOST_CLIPPED:
            largest = np.abs(self.actions).max()
            raise UserError(f"{where}: actions reach {largest:.3g}, beyond [-1, 1]: they are of another environment")
        for name, image in self.images.items():
            if image.dtype != np.uint8 or image.ndim != 4 or len(image) != count or image.shape[3] != 3:
                raise UserError(f"{where}: images of {name} are {image.dtype} {image.shape}, not uint8 (N, H, W, 3)")


def _check_array(where: str, name: str, array: NDArray[np.floating], shape: tuple[int, ...]) -> None:
    if array.shape != shape:
        raise UserError(f"{where}: {name} are shaped {array.shape}, not {shape}: they are not of this kitchen")
    if not np.isfinite(array).all():
        row = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise UserError(f"{where}: {name} hold NaN or infinity at step {row}: leave that episode out of the dataset")


@dataclass(frozen=True)
class SourceEnv:
    """What a dataset says of the environment that it was made in; None where it does not say.

    Attributes:
        protocol: `kitchen`, `r3m` or `d4rl`.
        task: name of the task, in `TASKS` or, under `d4rl`, in `D4RL_TASKS`.
        env_id: Gymnasium id of the environment of this package that it was made in.
        render_fingerprint: of the images in it.
    """

    protocol: str | None = None
    task: str | None = None
    env_id: str | None = None
    render_fingerprint: str | None = None


class Reader(Protocol):
    """A dataset in somebody's format.

    Making one checks that the dataset is there and what it says of itself. It can be pickled,
    to be read in another process.
    """

    @property
    def source(self) -> str:
        """Name of the dataset, for messages."""
        ...

    @property
    def num_episodes(self) -> int:
        """How many episodes there are."""
        ...

    @property
    def env(self) -> SourceEnv:
        """What the dataset says of its environment."""
        ...

    @property
    def fingerprint(self) -> str:
        """Hash of the content: a dataset that has changed has another one."""
        ...

    def read(self, index: int, images: bool = True) -> Episode:
        """Return an episode.

        Args:
            index: from 0 to `num_episodes` - 1.
            images: whether its images are read; without, `Episode.images` is empty.

        Raises:
            UserError: the dataset is damaged there.
        """
        ...

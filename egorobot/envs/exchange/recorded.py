"""Demonstrations of ours on their way out: read whole, and checked, one episode at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.camera_env import IMAGE_SUFFIX
from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.demonstrations import DemoInfo
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError

# What has to be done in D4RL's kitchen, in the words of our own tasks where there is one.
ELEMENT_INSTRUCTIONS = {
    "bottom burner": "turn on the bottom burner",
    "top burner": "turn on the top burner",
    "light switch": "turn on the light",
    "slide cabinet": "slide the cabinet door open",
    "hinge cabinet": "open the right door of the cabinet",
    "microwave": "open the microwave",
    "kettle": "move the kettle to the top burner",
}


@dataclass(frozen=True)
class Recorded:
    """One demonstration of N steps, all of it.

    Attributes:
        name: in its file.
        seed: reset seed; None where it is not known.
        actions: (N, 9) float32 in [-1, 1].
        rewards: of each action, (N,) float32.
        dones: (N,) bool, true where the episode ends.
        states: exact physics states before each action, (N, S) float64.
        images: uint8 (N, H, W, 3) by the camera's name.
        vectors: other observations before each action, (N, D) float32 by key.
    """

    name: str
    seed: int | None
    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    dones: NDArray[np.bool_]
    states: NDArray[np.float64]
    images: dict[str, NDArray[np.uint8]]
    vectors: dict[str, NDArray[np.float32]]

    @property
    def length(self) -> int:
        """Number of steps, N."""
        return len(self.actions)


def instruction(task: str) -> str:
    """Return a task in words: `open the microwave`; those of a sequence one after another."""
    if task in TASKS:
        return TASKS[task].instruction
    return ", then ".join(ELEMENT_INSTRUCTIONS[element] for element in D4RL_TASKS[task].elements)


def recorded_demos(info: DemoInfo, indices: Sequence[int]) -> Iterator[Recorded]:
    """Yield demonstrations of a file, one in memory at a time.

    Args:
        info: of the file.
        indices: which of its demonstrations.

    Raises:
        UserError: the file is damaged, lacks something, or holds NaN.
    """
    with h5py.File(info.path, "r") as file:
        for index in indices:
            where = f"{info.path}, demo_{index}"
            try:
                demo = _read(file[f"data/demo_{index}"], f"demo_{index}", info.seeds[index], info.obs_keys)
            except OSError as error:
                raise UserError(f"{where} is damaged: collect or import it again") from error
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise UserError(
                    f"{where} is not a demonstration of egorobot ({_short(error)}): collect again"
                ) from error
            _check(demo, where)
            yield demo


def _read(group: h5py.Group, name: str, seed: int | None, keys: Sequence[str]) -> Recorded:
    arrays = {key: group[f"obs/{key}"][()] for key in keys}
    return Recorded(
        name=name,
        seed=seed,
        actions=group["actions"][()].astype(np.float32),
        rewards=group["rewards"][()].astype(np.float32),
        dones=group["dones"][()].astype(bool),
        states=group["states"][()].astype(np.float64),
        images={key.removesuffix(IMAGE_SUFFIX): a for key, a in arrays.items() if key.endswith(IMAGE_SUFFIX)},
        vectors={key: a.astype(np.float32) for key, a in arrays.items() if not key.endswith(IMAGE_SUFFIX)},
    )


def _check(demo: Recorded, where: str) -> None:
    vectors: dict[str, NDArray[Any]] = {"actions": demo.actions, "states": demo.states, **demo.vectors}
    arrays = {**vectors, "rewards": demo.rewards[:, None], "dones": demo.dones[:, None]}
    for name, array in arrays.items():
        if array.ndim != 2 or len(array) != demo.length or demo.length == 0:
            raise UserError(f"{where}: {name} are shaped {array.shape} beside {demo.length} actions: collect again")
        if not np.isfinite(array).all():
            step = int(np.argmin(np.isfinite(array).all(axis=1)))
            raise UserError(f"{where}: {name} hold NaN or infinity at step {step}: leave it out, or collect again")
    for name, images in demo.images.items():
        if images.dtype != np.uint8 or images.ndim != 4 or len(images) != demo.length or images.shape[3] != 3:
            raise UserError(
                f"{where}: images of {name} are {images.dtype} {images.shape}: uint8 (N, H, W, 3) is needed"
            )


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__

"""What steps the kitchen of protocol `d4rl`: gymnasium-robotics' environment, or D4RL's own."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.d4rl_tasks import D4RLTask
from egorobot.envs.simulation import NUM_ROBOT_JOINTS
from egorobot.errors import UserError

ENGINES = ("gymnasium_robotics", "d4rl")


class KitchenEngine(ABC):
    """A kitchen with its physics, goals and rewards, without noise on what control starts from.

    Attributes:
        model: MuJoCo model; joints are in the order of `FrankaKitchen-v1`, under whatever names.
        data: MuJoCo data.
    """

    model: mujoco.MjModel
    data: mujoco.MjData

    @property
    @abstractmethod
    def completed(self) -> Sequence[str]:
        """The elements of the task that were completed in this episode."""

    @abstractmethod
    def reset(self) -> None:
        """Begin an episode; all begin alike."""

    @abstractmethod
    def step(self, action: NDArray[np.float64]) -> tuple[float, bool]:
        """Advance one control step under `action` (9,); return the reward and whether all is done."""

    @abstractmethod
    def resume(self, completed: Sequence[str]) -> None:
        """Go on from the state that was written into `data`, with these elements completed."""


class GymnasiumRoboticsEngine(KitchenEngine):
    """`FrankaKitchen-v1` of gymnasium-robotics."""

    def __init__(self, task: D4RLTask) -> None:
        # Registers dozens of environments and is of no use to the other tasks.
        from gymnasium_robotics.envs.franka_kitchen import KitchenEnv as FrankaKitchen

        self._elements = task.elements
        self._env = FrankaKitchen(list(task.elements), robot_noise_ratio=0.0, object_noise_ratio=0.0)
        self.model, self.data = self._env.model, self._env.data

    @property
    def completed(self) -> Sequence[str]:
        """The elements of the task that were completed in this episode."""
        return tuple(self._env.episode_task_completions)

    def reset(self) -> None:
        """Begin an episode; all begin alike."""
        self._env.reset()

    def step(self, action: NDArray[np.float64]) -> tuple[float, bool]:
        """Advance one control step under `action` (9,); return the reward and whether all is done."""
        _, reward, terminated, _, _ = self._env.step(action)
        return float(reward), bool(terminated)

    def resume(self, completed: Sequence[str]) -> None:
        """Go on from the state that was written into `data`, with these elements completed."""
        # Control starts from the joint positions last observed.
        self._env.robot_env._last_robot_qpos = self.data.qpos[:NUM_ROBOT_JOINTS].copy()
        self._env.episode_task_completions[:] = completed
        self._env.tasks_to_complete = set(self._elements) - set(completed)


def make_engine(name: str, task: D4RLTask) -> KitchenEngine:
    """Return the engine called `name` for a task.

    Raises:
        UserError: there is no such engine, or D4RL is wanted and missing.
    """
    if name not in ENGINES:
        raise UserError(f"unknown engine '{name}' of protocol 'd4rl': choose one of {', '.join(ENGINES)}")
    if name == "gymnasium_robotics":
        return GymnasiumRoboticsEngine(task)
    # Touches D4RL, which is an extra.
    from egorobot.envs.d4rl_package import D4RLPackageEngine

    return D4RLPackageEngine(task)

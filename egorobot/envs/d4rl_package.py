"""D4RL's own kitchen, stepped on today's MuJoCo, and its normalised scores."""

import importlib
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.d4rl_engines import KitchenEngine
from egorobot.envs.d4rl_package_import import import_kitchen, quiet
from egorobot.envs.d4rl_tasks import D4RLTask
from egorobot.errors import UserError


class D4RLPackageEngine(KitchenEngine):
    """The environment class of the package `d4rl`, on the package's own model.

    A sequence is what D4RL registers under its name. A single task, of which D4RL
    registers none, is D4RL's base class with one element to complete.

    Raises:
        UserError: D4RL is missing, or something that it needs.
    """

    def __init__(self, task: D4RLTask) -> None:
        self._elements = task.elements
        with quiet():
            self._env = _make_env(task)
        # One ratio for the noise on robot and objects (0.1 in D4RL): control starts from the
        # noisy positions, and rewards go by them.
        self._env.robot_noise_ratio = 0.0
        self.model, self.data = self._env.sim.model.ptr, self._env.sim.data.ptr

    @property
    def completed(self) -> Sequence[str]:
        """The elements of the task that were completed in this episode."""
        return tuple(element for element in self._elements if element not in self._env.tasks_to_complete)

    def reset(self) -> None:
        """Begin an episode; all begin alike."""
        self._env.reset()

    def step(self, action: NDArray[np.float64]) -> tuple[float, bool]:
        """Advance one control step under `action` (9,); return the reward and whether all is done."""
        _, reward, done, _ = self._env.step(action)
        return float(reward), bool(done)

    def resume(self, completed: Sequence[str]) -> None:
        """Go on from the state that was written into `data`, with these elements completed."""
        # dm_control keeps what follows from positions and velocities up to date, and begins
        # a step with the second half of MuJoCo's.
        mujoco.mj_step1(self.model, self.data)
        # Control starts from the joint positions last observed.
        self._env.robot.get_obs(self._env, robot_noise_ratio=0.0)
        self._env.tasks_to_complete = set(self._elements) - set(completed)


def normalized_score(task: D4RLTask, episode_return: float) -> float:
    """Return D4RL's score of an episode: 0 at its lower reference return, 1 at its upper one.

    Args:
        task: a sequence, such as `kitchen-complete`.
        episode_return: sum of the rewards of an episode.

    Raises:
        UserError: D4RL is missing, or has no reference returns for the task.
    """
    import_kitchen()
    d4rl = importlib.import_module("d4rl")
    known = d4rl.infos.REF_MIN_SCORE.keys() & d4rl.infos.REF_MAX_SCORE.keys()
    if task.package_name not in known:
        kitchens = ", ".join(sorted(name for name in known if name.startswith("kitchen")))
        raise UserError(f"D4RL has no reference scores for task '{task.name}', only for {kitchens}")
    return float(d4rl.get_normalized_score(task.package_name, episode_return))


def _make_env(task: D4RLTask) -> Any:
    """Return D4RL's environment for a task, made as Gym would, without Gym's wrappers."""
    kitchen = import_kitchen()
    if len(task.elements) == 1:
        single = type("KitchenSingleTask", (kitchen.kitchen_envs.KitchenBase,), {"TASK_ELEMENTS": list(task.elements)})
        return single()
    spec = importlib.import_module("gym").spec(task.package_name)
    module, name = spec.entry_point.split(":")
    return getattr(importlib.import_module(module), name)(**spec.kwargs)

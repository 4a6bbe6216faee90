"""Protocol `d4rl`: the tasks of D4RL's kitchen and of `FrankaKitchen-v1`, seen through our cameras."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from egorobot.envs.camera_env import CameraEnv, Observation
from egorobot.envs.d4rl_engines import make_engine
from egorobot.envs.d4rl_tasks import D4RL_TASKS, HORIZON
from egorobot.envs.scene import kitchen_spec
from egorobot.envs.simulation import DESK, NUM_ROBOT_JOINTS
from egorobot.errors import UserError

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class D4RLEnv(CameraEnv, EzPickle):
    """A task or sequence of tasks of D4RL's kitchen, in whatever order it is done.

    Physics, actions, goals (||q - goal|| < 0.3), reward (tasks completed on this step)
    and the 280 steps of an episode are those of the engine, without noise. The two engines
    move alike to the last bit, until the arm touches the pedestal that it stands on: in
    gymnasium-robotics' model it stops there, in D4RL's it goes through.
    Every reset is the same: a policy without randomness always succeeds or never.
    `info` holds `success` (all tasks completed) and `completed` (how many).

    Images are drawn from gymnasium-robotics' model, whichever engine moves it, as those of
    all other protocols are; the models differ to the eye in the pedestal's colour.

    Args:
        task: a name in `D4RL_TASKS`.
        camera: name of a camera, or several, or None for no images.
        image_size: height and width of images, in pixels.
        render: `fast` or `full`.
        include_state: whether observations hold `state`.
        num_frames: frames of the episode's history in an image observation.
        frame_rate: rate of those frames (Hz); None is the control rate.
        render_mode: `rgb_array` or None; `render()` shows the first camera.
        engine: what moves the kitchen: `gymnasium_robotics` (`FrankaKitchen-v1`), or `d4rl`,
            the environment class and model of the package of that name.

    Raises:
        UserError: an unknown task, camera, preset or engine, a number out of range, or D4RL
            is wanted and missing.
    """

    def __init__(
        self,
        task: str = "kitchen-complete",
        camera: str | Sequence[str] | None = "left_cap2",
        image_size: int = 224,
        render: str = "fast",
        include_state: bool = False,
        num_frames: int = 1,
        frame_rate: float | None = None,
        render_mode: str | None = None,
        engine: str = "gymnasium_robotics",
    ) -> None:
        looks = (camera, image_size, render, include_state, num_frames, frame_rate, render_mode)
        EzPickle.__init__(self, task, *looks, engine)
        if task not in D4RL_TASKS:
            raise UserError(f"unknown task '{task}' of protocol 'd4rl': choose one of {', '.join(D4RL_TASKS)}")
        CameraEnv.__init__(self, *looks)
        self.task = D4RL_TASKS[task]
        self.elements = self.task.elements
        self._kitchen = make_engine(engine, self.task)
        # The same kitchen with our cameras and the preset's meshes, to draw.
        model = kitchen_spec(self.preset).compile()
        self._drawn = model, mujoco.MjData(model)
        self._step_count = 0

    @property
    def scene(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """A model of the kitchen with our cameras, in the kitchen's present state."""
        model, data = self._drawn
        data.qpos[:] = self._kitchen.data.qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_camlight(model, data)
        return model, data

    def proprio(self) -> NDArray[np.float32]:
        """Return the robot's joint positions, (9,): rad, and m for the fingers."""
        return self._kitchen.data.qpos[:NUM_ROBOT_JOINTS].astype(np.float32)

    def object_state(self) -> NDArray[np.float32]:
        """Return the positions of all object joints and of the desk, (24,)."""
        desk = self._kitchen.model.body(DESK).pos
        return np.concatenate([self._kitchen.data.qpos[NUM_ROBOT_JOINTS:], desk]).astype(np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; all begin alike."""
        super().reset(seed=seed)
        self._kitchen.reset()
        self._step_count = 0
        return self._observe(begin=True), self._info()

    def step(self, action: NDArray[np.floating]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance one control step (0.08 s) under `action`, (9,) in [-1, 1]: joint velocities in 2 rad/s."""
        reward, terminated = self._kitchen.step(np.asarray(action, np.float64))
        self._step_count += 1
        truncated = self._step_count >= HORIZON
        return self._observe(begin=False), reward, terminated, truncated, self._info()

    def get_state(self) -> NDArray[np.float64]:
        """Return everything needed to go on from here exactly, as one vector.

        MuJoCo's integration state, which tasks are completed, and the step counter.
        """
        kitchen = self._kitchen
        state = np.empty(mujoco.mj_stateSize(kitchen.model, _STATE))
        mujoco.mj_getState(kitchen.model, kitchen.data, state, _STATE)
        completed = [element in kitchen.completed for element in self.elements]
        return np.concatenate([state, completed, [self._step_count]])

    def set_state(self, state: NDArray[np.float64]) -> Observation:
        """Go back to what `get_state` returned, and return the observation there.

        Raises:
            UserError: the state is one of another task or engine.
        """
        kitchen = self._kitchen
        size = mujoco.mj_stateSize(kitchen.model, _STATE)
        if len(state) != size + len(self.elements) + 1:
            raise UserError(
                f"a state of {len(state)} numbers is not one of task '{self.task.name}' on this engine, "
                f"which has {size + len(self.elements) + 1}: take the environment that it was recorded with"
            )
        mujoco.mj_setState(kitchen.model, kitchen.data, np.ascontiguousarray(state[:size]), _STATE)
        kitchen.resume([element for element, flag in zip(self.elements, state[size:-1], strict=True) if flag])
        self._step_count = int(state[-1])
        return self._observe(begin=True)

    def status(self) -> tuple[float, bool, bool]:
        """Return 0 (completing a task is an event, not a state), whether the episode is over, and its success."""
        success = len(self._kitchen.completed) == len(self.elements)
        return 0.0, success or self._step_count >= HORIZON, success

    def normalized_score(self, episode_return: float) -> float:
        """Return D4RL's score of an episode's sum of rewards: by D4RL's reference numbers, 1 where all is done.

        Raises:
            UserError: D4RL is missing, or has no reference numbers for the task.
        """
        # Touches D4RL, which is an extra.
        from egorobot.envs.d4rl_package import normalized_score

        return normalized_score(self.task, episode_return)

    def _info(self) -> dict[str, Any]:
        completed = len(self._kitchen.completed)
        return {"success": completed == len(self.elements), "completed": completed}

"""One kitchen task as a Gymnasium environment."""

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from egorobot.envs.camera_env import CameraEnv, Observation
from egorobot.envs.protocols import get_protocol
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import get_task
from egorobot.errors import UserError


class KitchenEnv(CameraEnv, EzPickle):
    """A kitchen task: open the microwave, turn on the knob, and so on.

    Observations are those of `CameraEnv`. Actions are (9,) in [-1, 1]: joint
    displacements in units of the protocol's action scale, at 12.5 Hz. The reward is 1
    where the task is solved. An episode terminates at success (solved on more than the
    protocol's number of steps) and is truncated at the protocol's horizon. `info` holds
    `success`, `solved` and `joint_position` (rad; m for the slide cabinet).

    `reset(seed=)` decides everything about an episode.

    Args:
        task: name of the task.
        protocol: `kitchen` or `r3m`.
        camera: name of a camera, or several, or None for no images.
        image_size: height and width of images, in pixels.
        render: `fast` or `full`.
        include_state: whether observations hold `state`.
        num_frames: frames of the episode's history in an image observation.
        frame_rate: rate of those frames (Hz); None is the control rate.
        render_mode: `rgb_array` or None; `render()` shows the first camera.

    Raises:
        UserError: an unknown task, protocol, camera or preset, or a number out of range.
    """

    def __init__(
        self,
        task: str = "microwave",
        protocol: str = "kitchen",
        camera: str | Sequence[str] | None = "left_cap2",
        image_size: int = 224,
        render: str = "fast",
        include_state: bool = False,
        num_frames: int = 1,
        frame_rate: float | None = None,
        render_mode: str | None = None,
    ) -> None:
        looks = (camera, image_size, render, include_state, num_frames, frame_rate, render_mode)
        EzPickle.__init__(self, task, protocol, *looks)
        if protocol == "d4rl":
            raise UserError(
                "protocol 'd4rl' has ids of its own: egorobot/FrankaKitchen-microwave-v1, egorobot/D4RL-microwave-v0 "
                "with the extra d4rl, and others (egorobot.envs.d4rl_tasks)"
            )
        CameraEnv.__init__(self, *looks)
        self.simulation = KitchenSimulation(get_task(task), get_protocol(protocol), self.preset)

    @property
    def scene(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The simulation's model and data."""
        return self.simulation.model, self.simulation.data

    def proprio(self) -> NDArray[np.float32]:
        """Return the robot's joint positions, (9,): rad, and m for the fingers."""
        return self.simulation.proprio()

    def object_state(self) -> NDArray[np.float32]:
        """Return the positions of all object joints and of the desk, (24,)."""
        return self.simulation.object_state()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the same seed begins the same episode, to the last bit.

        Without a seed one is drawn from the environment's own generator.
        """
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.simulation.reset(np.random.default_rng(episode_seed))
        return self._observe(begin=True), self._info()

    def step(self, action: NDArray[np.floating]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance one control step (0.08 s) under `action`, (9,) in [-1, 1]."""
        simulation = self.simulation
        simulation.step(np.asarray(action, np.float64))
        truncated = simulation.step_count >= simulation.protocol.horizon
        return self._observe(begin=False), float(simulation.solved), simulation.success, truncated, self._info()

    def get_state(self) -> NDArray[np.float64]:
        """Return everything needed to go on from here exactly, as one vector."""
        return self.simulation.get_state()

    def set_state(self, state: NDArray[np.float64]) -> Observation:
        """Go back to what `get_state` returned, and return the observation there."""
        self.simulation.set_state(state)
        return self._observe(begin=True)

    def status(self) -> tuple[float, bool, bool]:
        """Return the reward of the present state, whether the episode is over, and its success."""
        simulation = self.simulation
        over = simulation.success or simulation.step_count >= simulation.protocol.horizon
        return float(simulation.solved), over, simulation.success

    def _info(self) -> dict[str, Any]:
        simulation = self.simulation
        return {
            "success": simulation.success,
            "solved": simulation.solved,
            "joint_position": simulation.joint_position,
        }

"""One kitchen task as a Gymnasium environment seen through cameras."""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from egorobot.envs.history import FrameHistory
from egorobot.envs.protocols import CONTROL_RATE, get_protocol
from egorobot.envs.rendering import OffscreenRenderer, camera_names
from egorobot.envs.scene import CAMERAS, get_render_preset
from egorobot.envs.simulation import NUM_ROBOT_JOINTS, KitchenSimulation
from egorobot.envs.tasks import get_task
from egorobot.errors import UserError

Observation = dict[str, NDArray[Any]]

IMAGE_SUFFIX = "_image"
OBJECT_STATE_DIM = 24
POSITION_LIMIT = 10.0  # rad, m: nothing in the kitchen gets this far


class KitchenEnv(gymnasium.Env[Observation, NDArray[np.floating]], EzPickle):
    """A kitchen task: open the microwave, turn on the knob, and so on.

    Observations are a dict of `<camera>_image` uint8 (H, W, 3) for each camera,
    (T, H, W, 3) with `num_frames` T above 1; `proprio` float32 (9,), the robot's joint
    positions (rad; m for the fingers); and `state` float32 (24,) if asked for: the
    positions of all object joints and of the desk. Actions are (9,) in [-1, 1]: joint
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
        UserError: an unknown task, protocol, camera or preset, or a size out of range.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_RATE}  # noqa: RUF012

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
        EzPickle.__init__(
            self, task, protocol, camera, image_size, render, include_state, num_frames, frame_rate, render_mode
        )
        if protocol == "d4rl":
            raise UserError(
                "protocol 'd4rl' has tasks and ids of its own: egorobot/D4RL-microwave-v0, "
                "egorobot/D4RL-kitchen-complete-v0 and others (egorobot.envs.d4rl.D4RL_TASKS)"
            )
        if image_size < 16 or num_frames < 1:
            raise UserError(f"image_size={image_size}, num_frames={num_frames}: at least 16 and 1 are needed")
        self.cameras = camera_names(camera)
        self.image_size = image_size
        self.preset = get_render_preset(render)
        self.include_state = include_state
        self.render_mode = render_mode
        self.simulation = KitchenSimulation(get_task(task), get_protocol(protocol), self.preset)
        self._histories = {name: FrameHistory(num_frames, frame_rate) for name in self.cameras}
        self._num_frames = num_frames
        self._renderer: OffscreenRenderer | None = None
        self._lender: KitchenEnv | None = None
        self.action_space = spaces.Box(-1.0, 1.0, (NUM_ROBOT_JOINTS,), np.float32)
        self.observation_space = spaces.Dict(self._spaces())  # type: ignore[assignment]

    def _spaces(self) -> dict[str, spaces.Space[Any]]:
        frames = () if self._num_frames == 1 else (self._num_frames,)
        shape = (*frames, self.image_size, self.image_size, 3)
        result: dict[str, spaces.Space[Any]] = {
            f"{name}{IMAGE_SUFFIX}": spaces.Box(0, 255, shape, np.uint8) for name in self.cameras
        }
        result["proprio"] = spaces.Box(-POSITION_LIMIT, POSITION_LIMIT, (NUM_ROBOT_JOINTS,), np.float32)
        if self.include_state:
            result["state"] = spaces.Box(-POSITION_LIMIT, POSITION_LIMIT, (OBJECT_STATE_DIM,), np.float32)
        return result

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Begin an episode; the same seed begins the same episode, to the last bit.

        Without a seed the next one is drawn from the environment's own generator.
        """
        super().reset(seed=seed)
        episode_seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self.simulation.reset(np.random.default_rng(episode_seed))
        self._begin_history()
        return self._observation(), self._info()

    def step(self, action: NDArray[np.floating]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Advance one control step (0.08 s) under `action`, (9,) in [-1, 1]."""
        simulation = self.simulation
        simulation.step(np.asarray(action, np.float64))
        self._append_frames()
        truncated = simulation.step_count >= simulation.protocol.horizon
        return self._observation(), float(simulation.solved), simulation.success, truncated, self._info()

    def get_state(self) -> NDArray[np.float64]:
        """Return everything needed to go on from here exactly, as one vector."""
        return self.simulation.get_state()

    def set_state(self, state: NDArray[np.float64]) -> Observation:
        """Go back to what `get_state` returned, and return the observation there.

        A history of frames begins anew there: earlier frames are not part of a state.
        """
        self.simulation.set_state(state)
        self._begin_history()
        return self._observation()

    def render(self) -> NDArray[np.uint8]:
        """Return the view of the first camera, (image_size, image_size, 3)."""
        return self.render_image()

    def render_image(self, camera: str | None = None, image_size: int | None = None) -> NDArray[np.uint8]:
        """Return what a camera sees now, (image_size, image_size, 3).

        Args:
            camera: None is the first observed camera, or `left_cap2` where none is.
            image_size: pixels; None is the size of observations.
        """
        name = camera or next(iter(self.cameras or CAMERAS))
        return self._get_renderer().render(self.simulation.data, name, image_size or self.image_size)

    def share_renderer(self, lender: "KitchenEnv") -> None:
        """Draw with the OpenGL context of `lender`, in the same process, instead of an own one.

        A context holds every texture and mesh, some 250 MB under software OpenGL; the
        scenes of all kitchen environments with one protocol and preset are the same.

        Raises:
            ValueError: the scenes of the two differ.
        """
        if (lender.preset, lender.simulation.protocol) != (self.preset, self.simulation.protocol):
            raise ValueError("only environments of one protocol and render preset can share a renderer")
        self._lender = lender

    def _get_renderer(self) -> OffscreenRenderer:
        if self._lender is not None:
            return self._lender._get_renderer()
        if self._renderer is None:
            self._renderer = OffscreenRenderer(self.simulation.model, self.preset, self.image_size)
        return self._renderer

    def close(self) -> None:
        """Free the OpenGL context; again is harmless."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _begin_history(self) -> None:
        for history in self._histories.values():
            history.clear()
        self._append_frames()

    def _append_frames(self) -> None:
        for name, history in self._histories.items():
            history.append(self.render_image(name))

    def _observation(self) -> Observation:
        observation: Observation = {}
        for name, history in self._histories.items():
            frames = history.stack()
            observation[f"{name}{IMAGE_SUFFIX}"] = frames[0] if self._num_frames == 1 else frames
        observation["proprio"] = self.simulation.proprio()
        if self.include_state:
            observation["state"] = self.simulation.object_state()
        return observation

    def _info(self) -> dict[str, Any]:
        simulation = self.simulation
        return {
            "success": simulation.success,
            "solved": simulation.solved,
            "joint_position": simulation.joint_position,
        }

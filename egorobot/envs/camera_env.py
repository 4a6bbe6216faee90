"""What every kitchen environment shares: observations through cameras."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from egorobot.envs.history import FrameHistory
from egorobot.envs.protocols import CONTROL_RATE
from egorobot.envs.rendering import OffscreenRenderer, camera_names
from egorobot.envs.scene import CAMERAS, get_render_preset
from egorobot.envs.simulation import NUM_ROBOT_JOINTS
from egorobot.errors import UserError

Observation = dict[str, NDArray[Any]]

IMAGE_SUFFIX = "_image"
OBJECT_STATE_DIM = 24
POSITION_LIMIT = 10.0  # rad, m: nothing in the kitchen gets this far
MIN_IMAGE_SIZE = 16


class CameraEnv(gymnasium.Env[Observation, NDArray[np.floating]]):
    """An environment of the kitchen that is seen through cameras.

    Observations are a dict of `<camera>_image` uint8 (H, W, 3) for each camera,
    (T, H, W, 3) with `num_frames` T above 1; `proprio` float32 (9,), the robot's joint
    positions (rad; m for the fingers); and `state` float32 (24,) if asked for: the
    positions of all object joints and of the desk. Actions are (9,) in [-1, 1].

    The renderer is made with the first image: an environment that was pickled, or sent
    to a process that has no OpenGL context yet, works.

    Args:
        camera: name of a camera, or several, or None for no images.
        image_size: height and width of images, in pixels.
        render: `fast` or `full`.
        include_state: whether observations hold `state`.
        num_frames: frames of the episode's history in an image observation.
        frame_rate: rate of those frames (Hz); None is the control rate.
        render_mode: `rgb_array` or None; `render()` shows the first camera.

    Raises:
        UserError: an unknown camera or preset, or a number out of range.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": CONTROL_RATE}  # noqa: RUF012

    def __init__(
        self,
        camera: str | Sequence[str] | None,
        image_size: int,
        render: str,
        include_state: bool,
        num_frames: int,
        frame_rate: float | None,
        render_mode: str | None,
    ) -> None:
        if image_size < MIN_IMAGE_SIZE or num_frames < 1:
            raise UserError(
                f"image_size={image_size}, num_frames={num_frames}: at least {MIN_IMAGE_SIZE} and 1 are needed"
            )
        self.cameras = camera_names(camera)
        self.image_size = image_size
        self.preset = get_render_preset(render)
        self.include_state = include_state
        self.render_mode = render_mode
        self._histories = {name: FrameHistory(num_frames, frame_rate) for name in self.cameras}
        self._num_frames = num_frames
        self._renderer: OffscreenRenderer | None = None
        self._lender: CameraEnv | None = None
        self.action_space = spaces.Box(-1.0, 1.0, (NUM_ROBOT_JOINTS,), np.float32)
        self.observation_space = spaces.Dict(self._spaces())  # type: ignore[assignment]

    @property
    @abstractmethod
    def scene(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """The model to draw and its state now, derived quantities up to date."""

    @abstractmethod
    def proprio(self) -> NDArray[np.float32]:
        """Return the robot's joint positions, (9,): rad, and m for the fingers."""

    @abstractmethod
    def object_state(self) -> NDArray[np.float32]:
        """Return the positions of all object joints and of the desk, (24,)."""

    @abstractmethod
    def get_state(self) -> NDArray[np.float64]:
        """Return everything needed to go on from here exactly, as one vector."""

    @abstractmethod
    def set_state(self, state: NDArray[np.float64]) -> Observation:
        """Go back to what `get_state` returned, and return the observation there.

        A history of frames begins anew there: earlier frames are not part of a state.
        """

    @abstractmethod
    def status(self) -> tuple[float, bool, bool]:
        """Return the reward of the present state, whether the episode is over, and its success."""

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
        return self._get_renderer().render(self.scene[1], name, image_size or self.image_size)

    def share_renderer(self, lender: "CameraEnv") -> None:
        """Draw with the OpenGL context of `lender`, in the same process, instead of an own one.

        A context holds every texture and mesh, which software OpenGL keeps in main memory
        for each; the scenes of all environments with one protocol and preset are the same.

        Raises:
            ValueError: the scenes of the two differ.
        """
        fovy, other_fovy = self.scene[0].cam_fovy, lender.scene[0].cam_fovy
        if lender.preset != self.preset or not np.array_equal(fovy, other_fovy):
            raise ValueError("only environments of one protocol and render preset can share a renderer")
        self._lender = lender

    def close(self) -> None:
        """Free the OpenGL context; again is harmless."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None

    def _get_renderer(self) -> OffscreenRenderer:
        if self._lender is not None:
            return self._lender._get_renderer()
        if self._renderer is None:
            self._renderer = OffscreenRenderer(self.scene[0], self.preset, self.image_size)
        return self._renderer

    def _spaces(self) -> dict[str, spaces.Space[Any]]:
        frames = () if self._num_frames == 1 else (self._num_frames,)
        shape = (*frames, self.image_size, self.image_size, 3)
        limit = POSITION_LIMIT
        result: dict[str, spaces.Space[Any]] = {
            f"{name}{IMAGE_SUFFIX}": spaces.Box(0, 255, shape, np.uint8) for name in self.cameras
        }
        result["proprio"] = spaces.Box(-limit, limit, (NUM_ROBOT_JOINTS,), np.float32)
        if self.include_state:
            result["state"] = spaces.Box(-limit, limit, (OBJECT_STATE_DIM,), np.float32)
        return result

    def _observe(self, begin: bool) -> Observation:
        """Draw the current step and return its observation.

        Args:
            begin: whether a history of frames begins here.
        """
        observation: Observation = {}
        for name, history in self._histories.items():
            if begin:
                history.clear()
            history.append(self.render_image(name))
            frames = history.stack()
            observation[f"{name}{IMAGE_SUFFIX}"] = frames[0] if self._num_frames == 1 else frames
        observation["proprio"] = self.proprio()
        if self.include_state:
            observation["state"] = self.object_state()
        return observation

"""The kitchen environments as robomimic's scripts know environments.

This module imports robomimic, and PyTorch with it; worker processes have no need of it.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from robomimic.envs.env_base import EnvBase, EnvType
from robomimic.envs.wrappers import EnvWrapper
from robomimic.utils import env_utils, obs_utils

import egorobot
from egorobot.envs.camera_env import IMAGE_SUFFIX, CameraEnv
from egorobot.envs.demonstrations import EVAL_SEED_START
from egorobot.envs.rendering import camera_names
from egorobot.errors import UserError

PREFIX = "egorobot/"
# What robomimic's scripts ask for when nobody names a camera.
_DEFAULT_CAMERA = "agentview"


class EnvKitchen(EnvBase):
    """An environment of this package behind robomimic's interface.

    robomimic resets without a seed: here the nth reset uses the seed `seed_start + n`, so
    that its rollouts are those of our evaluation. Observations hold `state` always, and
    images in the form that robomimic's modality of their key asks for: float (3, H, W)
    for `rgb`, uint8 (H, W, 3) for others and before modalities are known.

    Args:
        env_name: Gymnasium id.
        render: render preset. Where robomimic says by a bool whether to render on screen,
            which cannot be done, the preset is `fast`.
        render_offscreen: ignored; off-screen rendering is always there.
        use_image_obs: ignored; cameras are among `kwargs`.
        postprocess_visual_obs: False leaves images as they are, to be written to a file.
        seed_start: seed of the first reset.
        **kwargs: arguments of `gymnasium.make`.
    """

    def __init__(
        self,
        env_name: str,
        render: str | bool = "fast",
        render_offscreen: bool = False,
        use_image_obs: bool = False,
        postprocess_visual_obs: bool = True,
        seed_start: int = EVAL_SEED_START,
        **kwargs: Any,
    ) -> None:
        self._env_name = env_name
        self._kwargs = {**kwargs, "render": render if isinstance(render, str) else "fast"}
        self._seed_start = seed_start
        self._num_resets = 0
        self._postprocess = postprocess_visual_obs
        env = gymnasium.make(env_name, **{**self._kwargs, "include_state": True}).unwrapped
        assert isinstance(env, CameraEnv)
        self.env = env
        self._observation: dict[str, NDArray[Any]] = {}
        self._reward = 0.0
        self._done = False
        self._success = False

    def reset(self) -> dict[str, Any]:
        """Begin the next episode, on the seed that is next, and return its observation."""
        self._observation, info = self.env.reset(seed=self._seed_start + self._num_resets)
        self._num_resets += 1
        self._reward, self._done, self._success = 0.0, False, bool(info["success"])
        return self.get_observation()

    def reset_to(self, state: dict[str, NDArray[np.float64]]) -> dict[str, Any]:
        """Go to the physics state `state["states"]` and return the observation there."""
        self._observation = self.env.set_state(state["states"])
        self._reward, self._done, self._success = self.env.status()
        return self.get_observation()

    def step(self, action: NDArray[np.floating]) -> tuple[dict[str, Any], float, bool, dict[str, Any]]:
        """Advance one control step; return observation, reward, whether the episode is over, and info."""
        self._observation, reward, terminated, truncated, info = self.env.step(action)
        self._reward = float(reward)
        self._done = terminated or truncated
        self._success = bool(info["success"])
        return self.get_observation(), self._reward, self._done, info

    def get_observation(self, obs: dict[str, NDArray[Any]] | None = None) -> dict[str, Any]:
        """Return the present observation, or `obs`, as robomimic's networks take it."""
        observation = dict(self._observation if obs is None else obs)
        known = obs_utils.OBS_KEYS_TO_MODALITIES or {}
        if self._postprocess:
            for key in known.keys() & observation.keys():
                observation[key] = obs_utils.process_obs(observation[key], obs_key=key)
        return observation

    def render(
        self,
        mode: str = "rgb_array",
        height: int | None = None,
        width: int | None = None,
        camera_name: str | None = None,
        **kwargs: Any,
    ) -> NDArray[np.uint8]:
        """Return what a camera sees, (height, height, 3); no name, or `agentview`, is the first camera.

        Raises:
            UserError: on-screen rendering was asked for, an image that is not square, or an
                unknown camera.
        """
        if mode != "rgb_array":
            raise UserError("there is no on-screen rendering: ask for a video with --video_path")
        if height != width:
            raise UserError(f"images are square, not {width} x {height}")
        camera = None if camera_name == _DEFAULT_CAMERA else camera_name
        camera_names(camera)
        return self.env.render_image(camera, height)

    def get_state(self) -> dict[str, NDArray[np.float64]]:
        """Return the exact physics state, for `reset_to`."""
        return {"states": self.env.get_state()}

    def get_reward(self) -> float:
        """Return the reward of the last step."""
        return self._reward

    def get_goal(self) -> dict[str, Any]:
        """Tasks have no goal observation."""
        raise NotImplementedError("kitchen tasks have no goal observation")

    def set_goal(self, **kwargs: Any) -> None:
        """Tasks have no goal observation."""
        raise NotImplementedError("kitchen tasks have no goal observation")

    def is_done(self) -> bool:
        """Return whether the episode is over, by success or by the horizon."""
        return self._done

    def is_success(self) -> dict[str, bool]:
        """Return whether the episode has succeeded, as `{"task": bool}`."""
        return {"task": self._success}

    @property
    def action_dimension(self) -> int:
        """Length of an action."""
        assert self.env.action_space.shape is not None
        return self.env.action_space.shape[0]

    @property
    def name(self) -> str:
        """Gymnasium id, as a file name: robomimic's training names checkpoints and videos by it."""
        return self._env_name.replace("/", "_")

    @property
    def type(self) -> int:
        """The nearest of robomimic's closed list of types."""
        return EnvType.GYM_TYPE

    @property
    def version(self) -> str:
        """Version of this package."""
        return egorobot.__version__

    def serialize(self) -> dict[str, Any]:
        """Return what is needed to make this environment again."""
        kwargs = {**deepcopy(self._kwargs), "seed_start": self._seed_start}
        return {"env_name": self._env_name, "env_version": self.version, "type": self.type, "env_kwargs": kwargs}

    @classmethod
    def create_for_data_processing(
        cls,
        env_name: str,
        camera_names: Sequence[str],
        camera_height: int,
        camera_width: int,
        reward_shaping: bool,
        **kwargs: Any,
    ) -> "EnvKitchen":
        """Return an environment that draws a dataset's states anew, with other cameras or another size.

        Raises:
            UserError: images that are not square were asked for.
        """
        if camera_height != camera_width:
            raise UserError(f"images are square, not {camera_width} x {camera_height}")
        obs_utils.initialize_obs_utils_with_obs_specs(
            {"obs": {"low_dim": ["proprio", "state"], "rgb": [f"{name}{IMAGE_SUFFIX}" for name in camera_names]}}
        )
        kwargs |= {"camera": list(camera_names), "image_size": camera_height}
        return cls(env_name, postprocess_visual_obs=False, **kwargs)

    @property
    def rollout_exceptions(self) -> tuple[()]:
        """No exception of a rollout is expected."""
        return ()

    def __repr__(self) -> str:
        return f"{self._env_name} {self._kwargs}"


def register() -> None:
    """Make robomimic build ids of this package with `EnvKitchen`; again is harmless.

    Its list of environment types is closed, and its own Gym wrapper speaks the interface
    of before Gymnasium.
    """
    if getattr(env_utils.create_env_from_metadata, "knows_egorobot", False):
        return
    create_other, process_other = env_utils.create_env_from_metadata, env_utils.create_env_for_data_processing

    def create_env_from_metadata(
        env_meta: dict[str, Any], env_name: str | None = None, *args: Any, **kwargs: Any
    ) -> EnvBase:
        name = env_name or env_meta["env_name"]
        if not name.startswith(PREFIX):
            return create_other(env_meta, env_name, *args, **kwargs)
        env = EnvKitchen(name, **env_meta["env_kwargs"])
        env_utils.check_env_version(env, env_meta)
        return env

    def create_env_for_data_processing(
        env_meta: dict[str, Any], camera_names: list[str], camera_height: int, camera_width: int, reward_shaping: bool
    ) -> EnvBase:
        name, looks = env_meta["env_name"], (camera_names, camera_height, camera_width, reward_shaping)
        if not name.startswith(PREFIX):
            return process_other(env_meta, *looks)
        return EnvKitchen.create_for_data_processing(name, *looks, **env_meta["env_kwargs"])

    # run_trained_agent takes none but an EnvBase, and wraps the environment of a policy with a history.
    EnvBase.register(EnvWrapper)
    create_env_from_metadata.knows_egorobot = True  # type: ignore[attr-defined]
    env_utils.create_env_from_metadata = create_env_from_metadata
    env_utils.create_env_for_data_processing = create_env_for_data_processing

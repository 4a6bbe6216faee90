"""From recorded joint positions back to states and observations of an environment of this package."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import mujoco
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.envs.camera_env import IMAGE_SUFFIX, MIN_IMAGE_SIZE, CameraEnv
from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.demonstrations import env_kwargs
from egorobot.envs.exchange.episodes import NUM_POSITIONS, NUM_VELOCITIES, Episode, SourceEnv
from egorobot.envs.exchange.subtasks import goal_distances, solved_moments, task_parts
from egorobot.envs.protocols import CONTROL_RATE, get_protocol
from egorobot.envs.registration import register_envs
from egorobot.envs.simulation import DESK
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION
# Where MuJoCo's integration state has them: the time comes first.
_QPOS = slice(1, 1 + NUM_POSITIONS)
_QVEL = slice(_QPOS.stop, _QPOS.stop + NUM_VELOCITIES)
DESK_TOLERANCE = 1e-3  # m


@dataclass(frozen=True)
class Target:
    """The environment that imported demonstrations will belong to.

    Attributes:
        protocol: `kitchen`, `r3m` or `d4rl`.
        task: name of the task.
        env_id: Gymnasium id.
        env_kwargs: arguments of `gymnasium.make`.
    """

    protocol: str
    task: str
    env_id: str
    env_kwargs: dict[str, Any]

    @property
    def parts(self) -> tuple[str, ...]:
        """The sub-tasks that the task is made of."""
        return task_parts(self.protocol, self.task)


def make_target(
    source: str,
    env: SourceEnv,
    protocol: str | None,
    task: str | None,
    camera: str | Sequence[str] | None,
    image_size: int,
    render: str,
) -> Target:
    """Return the environment that a dataset belongs to, or the one that a person wants it to.

    Args:
        source: name of the dataset, for messages.
        env: what the dataset says.
        protocol: None is what the dataset says.
        task: the same.
        camera: name of a camera, or several, or None.
        image_size: pixels.
        render: render preset.

    Raises:
        UserError: neither says it, or they contradict each other, or there is no such task,
            protocol or camera.
    """
    chosen = protocol or env.protocol
    if chosen is None:
        raise UserError(f"{source} does not say under which protocol it was made: add protocol=kitchen, or r3m")
    if env.protocol not in (None, chosen):
        raise UserError(f"{source} was made under protocol '{env.protocol}', not '{chosen}': leave protocol= out")
    if image_size < MIN_IMAGE_SIZE:
        raise UserError(f"image_size={image_size}: at least {MIN_IMAGE_SIZE} is needed")
    kwargs = env_kwargs(chosen, camera, image_size, render)
    if chosen == "d4rl":
        del kwargs["protocol"]  # its environments have ids of their own
    else:
        get_protocol(chosen)
    name = task or env.task
    if name is None:
        raise UserError(f"{source} does not say which task it is of: add task=, such as task=microwave")
    task_parts(chosen, name)
    return Target(chosen, name, (D4RL_TASKS if chosen == "d4rl" else TASKS)[name].env_id, kwargs)


class Restorer:
    """Puts recorded episodes back into the environment of a target.

    Args:
        target: the environment.
        draw: whether images are drawn.

    Raises:
        UserError: an unknown camera or preset, or a number out of range.
    """

    def __init__(self, target: Target, draw: bool = True) -> None:
        register_envs()
        kwargs = target.env_kwargs | {"include_state": True} | ({} if draw else {"camera": None})
        env = gymnasium.make(target.env_id, **kwargs).unwrapped
        assert isinstance(env, CameraEnv)
        self.env = env
        self.target = target
        self._rest = env.get_state()
        model = env.scene[0]
        self._desk = model.body(DESK).pos.copy()
        self._size = mujoco.mj_stateSize(model, _STATE)

    def close(self) -> None:
        """Free the environment."""
        self.env.close()

    def states(self, episode: Episode, steps: range) -> NDArray[np.float64]:
        """Return the environment's states before the actions `steps` of an episode, (N, S).

        Velocities that the episode does not have are 0, and so are the forces of contacts
        from the step before. Counters begin with the first of `steps`.

        Raises:
            UserError: the desk does not stand where the target's stands.
        """
        rows = slice(steps.start, steps.stop)
        states = np.tile(self._rest, (len(steps), 1))
        states[:, 0] = np.arange(len(steps)) / CONTROL_RATE
        states[:, _QPOS] = episode.positions[rows]
        states[:, _QVEL] = 0.0 if episode.velocities is None else episode.velocities[rows]
        count = np.arange(len(steps))
        if self.target.protocol == "d4rl":
            if episode.desk is not None and np.abs(episode.desk - self._desk).max() > DESK_TOLERANCE:
                raise UserError(f"{episode.name}: the desk is moved, as only under protocol=kitchen or r3m: give that")
            shares = goal_distances(episode.positions[rows])
            # The environment looks after each action: not yet at the first step.
            near = np.stack([shares[part] < 1 for part in self.target.parts], axis=1)
            near[0] = False
            states[:, self._size :] = np.column_stack([np.maximum.accumulate(near, axis=0), count])
        else:
            solved = solved_moments(episode.positions[rows])[self.target.task]
            solved_before = np.cumsum(np.append(False, solved[1:]))
            desk = self._desk if episode.desk is None else episode.desk
            states[:, self._size :] = np.column_stack([np.tile(desk, (len(steps), 1)), count, solved_before])
        return states

    def observations(self, states: NDArray[np.float64], progress: bool = False) -> dict[str, NDArray[Any]]:
        """Return what the environment observes in states (N, S), arrays (N, ...) by key."""
        seen = [self.env.set_state(state) for state in tqdm(states, "draw", unit="image", disable=not progress)]
        return {key: np.stack([observation[key] for observation in seen]) for key in seen[0]}


def image_keys(target: Target, episode: Episode, source: str) -> dict[str, NDArray[np.uint8]]:
    """Return the source's own images under the keys of the target's observations.

    Raises:
        UserError: a camera is missing, or images have another size.
    """
    camera, size = target.env_kwargs["camera"], target.env_kwargs["image_size"]
    names = () if camera is None else (camera,) if isinstance(camera, str) else tuple(camera)
    for name in names:
        shape = episode.images[name].shape[1:3] if name in episode.images else None
        if shape != (size, size):
            what = "none" if shape is None else f"those of {shape[1]} x {shape[0]}"
            raise UserError(f"{source} has {what} of {name} in {size} px: images=draw draws them from the positions")
    return {f"{name}{IMAGE_SUFFIX}": episode.images[name] for name in names}

"""Which part of a recorded episode does what: when each sub-task of the kitchen was completed."""

from collections.abc import Mapping
from functools import cache

import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.exchange.episodes import Episode
from egorobot.envs.protocols import get_protocol
from egorobot.envs.scene import KITCHEN_XML, asset_root
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError


def subtask_names(protocol: str) -> tuple[str, ...]:
    """Return the names of the sub-tasks that a protocol knows: its single tasks."""
    if protocol == "d4rl":
        return tuple(name for name, task in D4RL_TASKS.items() if len(task.elements) == 1)
    return tuple(TASKS)


def task_parts(protocol: str, task: str) -> tuple[str, ...]:
    """Return the sub-tasks that a task is made of.

    Raises:
        UserError: the protocol has no such task.
    """
    tasks = D4RL_TASKS if protocol == "d4rl" else TASKS
    if task not in tasks:
        raise UserError(f"unknown task '{task}' of protocol '{protocol}': choose one of {', '.join(tasks)}")
    if protocol != "d4rl":
        return (task,)
    single = {D4RL_TASKS[name].elements[0]: name for name in subtask_names(protocol)}
    return tuple(single[element] for element in D4RL_TASKS[task].elements)


def goal_distances(positions: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return how far each sub-task of `d4rl` is from its goal, as `FrankaKitchen-v1` measures it.

    Args:
        positions: of all joints, (M, 30).

    Returns:
        By sub-task, shares (M,) of the distance at which it counts as completed.
    """
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import BONUS_THRESH, OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

    elements = {name: D4RL_TASKS[name].elements[0] for name in subtask_names("d4rl")}
    return {
        name: np.linalg.norm(positions[:, OBS_ELEMENT_INDICES[e]] - OBS_ELEMENT_GOALS[e], axis=1) / BONUS_THRESH
        for name, e in elements.items()
    }


@cache
def _joint_addresses() -> Mapping[str, int]:
    model = mujoco.MjModel.from_xml_path(str(asset_root() / KITCHEN_XML))
    return {name: int(model.joint(task.joint).qposadr[0]) for name, task in TASKS.items()}


def solved_moments(positions: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Return at which moments each task of `kitchen` and `r3m` is solved, (M,) by task, for positions (M, 30)."""
    joints = {name: positions[:, _joint_addresses()[name]] for name in TASKS}
    return {name: (TASKS[name].low <= joint) & (joint <= TASKS[name].high) for name, joint in joints.items()}


def completions(episode: Episode, protocol: str) -> dict[str, int]:
    """Return after which action each sub-task was completed, for those that were; -1 is before the first.

    Under `d4rl` that is the first moment at which its goal is near. Under `kitchen` and `r3m`
    it must have been solved after more than the protocol's number of actions.
    """
    return _d4rl_completions(episode) if protocol == "d4rl" else _kitchen_completions(episode, protocol)


def _d4rl_completions(episode: Episode) -> dict[str, int]:
    shares = goal_distances(episode.positions)
    first = {name: int(np.argmax(share < 1)) for name, share in shares.items() if (share < 1).any()}
    done = {name: moment - 1 for name, moment in first.items()}
    if len(episode.positions) == episode.length and _rises_at_the_end(episode.rewards):
        # What the last action brought about is not in the file, but for its reward: the
        # environment ends an episode with the step that completes it. It is the sub-task that
        # is nearest to its goal if it goes on as it came.
        ahead = {name: 2 * share[-1] - share[max(episode.length - 2, 0)] for name, share in shares.items()}
        left = ahead.keys() - done.keys()
        if left:
            done[min(left, key=lambda name: ahead[name])] = episode.length - 1
    return done


def _rises_at_the_end(rewards: NDArray[np.float32]) -> bool:
    before = rewards[-2] if len(rewards) > 1 else 0.0
    return bool(rewards[-1] > before)


def _kitchen_completions(episode: Episode, protocol: str) -> dict[str, int]:
    needed = get_protocol(protocol).success_steps + 1
    done = {}
    for name, solved in solved_moments(episode.positions).items():
        after = solved[1:]
        if len(solved) == episode.length:
            after = np.append(after, solved[-1] and episode.rewards[-1] > 0)
        reached = np.flatnonzero(np.cumsum(after) >= needed)
        if len(reached):
            done[name] = int(reached[0])
    return done


def part_of(episode: Episode, protocol: str, subtask: str) -> range | None:
    """Return the steps of an episode that do a sub-task, or None if it is not completed.

    They begin after the step that completes the sub-task before it, and end with the step
    that completes this one.
    """
    done = completions(episode, protocol)
    end = done.get(subtask, -1)
    if end < 0:
        return None
    return range(max((step + 1 for step in done.values() if step < end), default=0), end + 1)

"""Datasets of others, made by their own libraries and environments with our scripted experts."""

import functools
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import mujoco
import numpy as np

from egorobot.envs.experts import make_expert
from egorobot.envs.experts.episode import BurstNoise, _Bursts
from egorobot.envs.protocols import PROTOCOLS
from egorobot.envs.registration import register_envs
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import TASKS


def quietly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what Gymnasium and Minari recommend to makers of datasets out of the tests' output."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **kwargs)

    return run


# gymnasium-robotics' names of what our experts do.
ELEMENTS = {"microwave": "microwave", "slide": "slide cabinet", "light": "light switch"}


class Expert:
    """An expert of ours in somebody else's kitchen, by way of a twin simulation in the same state."""

    def __init__(self, task: str) -> None:
        self.simulation = KitchenSimulation(TASKS[task], PROTOCOLS["kitchen"])
        self._expert = make_expert(self.simulation)

    def act(self, data: mujoco.MjData) -> np.ndarray:
        self.simulation.data.qpos[:], self.simulation.data.qvel[:] = data.qpos, data.qvel
        mujoco.mj_forward(self.simulation.model, self.simulation.data)
        return np.clip(self._expert.act(), -1, 1).astype(np.float32)


def franka_episode(env: gymnasium.Env, experts: list[Expert], rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Act in FrankaKitchen-v1, one expert after another, and yield (observation, label, step's result)."""
    observation, _ = env.reset(seed=int(rng.integers(2**31)))
    offsets = _Bursts(BurstNoise(), rng)
    done: set[str] = set()
    for _ in range(280):
        expert = experts[min(len(done), len(experts) - 1)]
        label = expert.act(env.unwrapped.data)
        result = env.step(np.clip(label + offsets.next_offset(), -1, 1))
        yield observation, label, result
        observation = result[0]
        done |= set(result[4]["step_task_completions"])
        if result[2]:
            return


@quietly
def write_d4rl_file(path: Path, tasks: list[str], num_episodes: int) -> Path:
    """Write what D4RL's kitchen files hold, from FrankaKitchen-v1: flat arrays, ends marked by `terminals`."""
    import gymnasium_robotics
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

    gymnasium.register_envs(gymnasium_robotics)
    elements = [ELEMENTS[task] for task in tasks]
    env = gymnasium.make("FrankaKitchen-v1", tasks_to_complete=elements, robot_noise_ratio=0.0, object_noise_ratio=0.0)
    goal = np.zeros(30)
    for element in elements:
        goal[OBS_ELEMENT_INDICES[element]] = OBS_ELEMENT_GOALS[element]
    experts = [Expert(task) for task in tasks]
    rng = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {key: [] for key in ("observations", "actions", "rewards", "terminals")}
    for _ in range(num_episodes):
        for observation, label, (_, reward, terminated, truncated, _) in franka_episode(env, experts, rng):
            positions = np.concatenate([observation["observation"][:9], observation["observation"][18:39]])
            columns["observations"].append(np.concatenate([positions, goal]).astype(np.float32))
            columns["actions"].append(label)
            columns["rewards"].append(np.float32(reward))
            columns["terminals"].append(terminated or truncated)
    env.close()
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=np.array(values), compression="gzip")
    return path


class _Recorded:
    """What is recorded of a step in place of what was executed, and when an episode ends."""

    label: np.ndarray
    ended: bool


def kitchen_episode(env: gymnasium.Env, seed: int, step: Callable[[np.ndarray, np.ndarray, bool], Any]) -> None:
    """Do in one of our environments what `egorobot.collect` does on this seed: the same steps, to the last bit.

    Args:
        env: the environment, to be reset; a wrapper or not.
        seed: reset seed.
        step: called with the recorded action, the executed one, and whether the episode ends with it.
    """
    env.reset(seed=seed)
    simulation = env.unwrapped.simulation
    expert = make_expert(simulation)
    offsets = _Bursts(BurstNoise.for_protocol(simulation.protocol), np.random.default_rng([seed, 1]))
    remaining, ended = 4, False
    while not ended:
        label = np.clip(expert.act(), -1, 1).astype(np.float32)
        executed = label + offsets.next_offset()
        # Whether this is the last step shows before it: four more after success, or the horizon.
        remaining -= simulation.success
        ended = simulation.step_count + 1 == simulation.protocol.horizon or (simulation.success and remaining == 0)
        step(label, executed, ended)


@quietly
def write_kitchen_d4rl_file(path: Path, seeds: list[int], task: str = "microwave") -> Path:
    """Write D4RL's layout from our own environment: flattened observations, `timeouts` beside `terminals`."""
    register_envs()
    columns: dict[str, list[Any]] = {
        key: [] for key in ("observations", "actions", "rewards", "terminals", "timeouts", "infos/step")
    }
    env = gymnasium.make(TASKS[task].env_id, camera=None, include_state=True).unwrapped

    def step(label: np.ndarray, executed: np.ndarray, ended: bool) -> None:
        columns["observations"].append(np.concatenate([env.proprio(), env.object_state()]))
        columns["infos/step"].append(env.simulation.step_count)
        _, reward, terminated, _, _ = env.step(executed)
        columns["actions"].append(label)
        columns["rewards"].append(np.float32(reward))
        columns["terminals"].append(ended and terminated)
        columns["timeouts"].append(ended and not terminated)

    for seed in seeds:
        kitchen_episode(env, seed, step)
    with h5py.File(path, "w") as file:
        for key, values in columns.items():
            file.create_dataset(key, data=np.array(values), compression="gzip")
    return path


@quietly
def write_kitchen_minari(dataset_id: str, seeds: list[int], task: str = "microwave", **kwargs: Any) -> str:
    """Write a Minari dataset from our own environment with Minari's collector."""
    import minari

    register_envs()

    class Recorder(minari.StepDataCallback):
        def __call__(self, env: gymnasium.Env, **step: Any) -> Any:
            data = super().__call__(env, **step)
            if step.get("action") is not None:
                data |= {"action": _Recorded.label, "terminated": _Recorded.ended, "truncated": False}
            return data

    env = minari.DataCollector(
        gymnasium.make(TASKS[task].env_id, **{"camera": None} | kwargs, include_state=True),
        step_data_callback=Recorder, jpeg_encoding=False,
    )  # fmt: skip

    def step(label: np.ndarray, executed: np.ndarray, ended: bool) -> None:
        _Recorded.label, _Recorded.ended = label, ended
        env.step(executed)

    for seed in seeds:
        kitchen_episode(env, seed, step)
    env.create_dataset(dataset_id, ref_min_score=0.0, ref_max_score=1.0, description="scripted experts")
    env.close()
    return dataset_id


@quietly
def write_franka_minari(dataset_id: str, tasks: list[str], num_episodes: int) -> str:
    """Write a Minari dataset of FrankaKitchen-v1, as D4RL's on Farama's server, with Minari's collector."""
    import gymnasium_robotics
    import minari

    gymnasium.register_envs(gymnasium_robotics)
    elements = [ELEMENTS[task] for task in tasks]
    env = minari.DataCollector(
        gymnasium.make("FrankaKitchen-v1", tasks_to_complete=elements, robot_noise_ratio=0.0, object_noise_ratio=0.0)
    )
    rng = np.random.default_rng(0)
    for _ in range(num_episodes):
        for _ in franka_episode(env, [Expert(task) for task in tasks], rng):
            pass
    env.create_dataset(dataset_id, ref_min_score=0.0, ref_max_score=1.0, description="scripted experts")
    env.close()
    return dataset_id

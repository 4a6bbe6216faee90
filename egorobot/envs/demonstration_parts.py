"""Writing demonstrations so that a kill at any moment loses one episode at most.

Each seed tried, or episode imported, leaves a small file: its demonstration, or the mark of
a failure. They are made in any order by any number of processes, and joined in the order of
their numbers.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.demonstrations import GYM_TYPE, VALID_EVERY, DemoInfo, first_demo_seed
from egorobot.envs.experts import make_expert
from egorobot.envs.experts.episode import BurstNoise, Episode, collect_episode
from egorobot.envs.kitchen import KitchenEnv
from egorobot.envs.rendering import render_fingerprint
from egorobot.envs.tasks import TASKS
from egorobot.files import atomic_path, digest


@dataclass(frozen=True)
class DemoSource:
    """Which demonstrations: the same source and seed index give the same one, everywhere.

    Attributes:
        task: name of the task.
        seed: which demonstrations; reset seeds begin at `first_demo_seed(seed)`.
        env_kwargs: arguments of the environment.
        bursts: noise on the executed actions, or None.
    """

    task: str
    seed: int
    env_kwargs: dict[str, Any]
    bursts: BurstNoise | None

    def env_args(self, version: str) -> dict[str, Any]:
        """Return what a file of these demonstrations says about their environment."""
        return {
            "env_name": TASKS[self.task].env_id,
            "env_version": version,
            "type": GYM_TYPE,
            "env_kwargs": self.env_kwargs,
            "render_fingerprint": render_fingerprint(**self.env_kwargs),
            "collect": {"seed": self.seed, "bursts": asdict(self.bursts) if self.bursts else None},
        }


class DemoMaker:
    """Makes the demonstrations of a source, with an environment of its own."""

    def __init__(self, source: DemoSource) -> None:
        self.source = source
        self.env = KitchenEnv(source.task, **source.env_kwargs, include_state=True)
        self.expert = make_expert(self.env.simulation)

    def make_once(self, index: int, folder: Path) -> bool:
        """Try one seed unless `folder` has its outcome; return whether the expert succeeded."""
        done = outcome(folder, index)
        return self._make(index, folder) if done is None else done

    def _make(self, index: int, folder: Path) -> bool:
        seed = first_demo_seed(self.source.seed) + index
        simulation = self.env.simulation
        simulation.reset(np.random.default_rng(seed))
        episode = collect_episode(simulation, self.expert, np.random.default_rng([seed, 1]), self.source.bursts)
        if episode.success:
            # Drawn afterwards: what failed need not be drawn, and states are exact.
            observations = [self.env.set_state(state) for state in episode.states]
            stacked = {key: np.stack([o[key] for o in observations]) for key in observations[0]}
            with atomic_path(part_path(folder, index)) as path, h5py.File(path, "w") as file:
                write_demo(file.create_group("demo"), _content(episode, stacked), {"seed": seed})
        else:
            with atomic_path(failure_path(folder, index)) as path:
                path.touch()
        return episode.success


def part_path(folder: Path, index: int) -> Path:
    """Return the file of the demonstration of seed number `index`."""
    return folder / f"{index}.hdf5"


def failure_path(folder: Path, index: int) -> Path:
    """Return the file that marks seed number `index` as one where the expert failed."""
    return folder / f"{index}.failed"


def outcome(folder: Path, index: int) -> bool | None:
    """Return whether seed number `index` succeeded, or None if it was not tried yet."""
    if part_path(folder, index).exists():
        return True
    return False if failure_path(folder, index).exists() else None


@dataclass(frozen=True)
class DemoContent:
    """What is written of one demonstration of N steps.

    Attributes:
        actions: (N, 9) float32 in [-1, 1].
        rewards: (N,) float32.
        states: the environment's state before each action, (N, S) float64.
        observations: arrays (N, ...) by key.
    """

    actions: NDArray[np.float32]
    rewards: NDArray[np.float32]
    states: NDArray[np.float64]
    observations: Mapping[str, NDArray[Any]]


def _content(episode: Episode, observations: Mapping[str, NDArray[Any]]) -> DemoContent:
    return DemoContent(episode.actions, episode.rewards, episode.states, observations)


def write_demo(group: h5py.Group, demo: DemoContent, attrs: Mapping[str, Any]) -> None:
    """Write one demonstration into an empty group, with its length, its digest and `attrs`."""
    length = len(demo.actions)
    dones = np.zeros(length, np.int64)
    dones[-1] = 1
    arrays: dict[str, NDArray[Any]] = {
        "actions": demo.actions,
        "rewards": demo.rewards,
        "dones": dones,
        "states": demo.states,
    }
    arrays |= {f"obs/{key}": value for key, value in demo.observations.items()}
    hashed: list[bytes | str] = []
    for name, array in arrays.items():
        # Images by frame, for random access. Measured on these images: gzip at level 1 is
        # smaller than lzf by a quarter and read faster (6,000 frames a second at 112 px).
        image = name.endswith("_image")
        chunks = (1, *array.shape[1:]) if image else array.shape
        group.create_dataset(
            name, data=array, chunks=chunks, compression="gzip", compression_opts=1, shuffle=not image, fletcher32=True
        )
        hashed += [name, str(array.dtype), str(array.shape), array.tobytes()]
    group.attrs["num_samples"] = length
    for key, value in attrs.items():
        group.attrs[key] = value
    group.attrs["digest"] = digest(*hashed)


def join_parts(
    out: Path, env_args: dict[str, Any], existing: DemoInfo | None, folder: Path, indices: list[int]
) -> None:
    """Write `out`: the demonstrations of `existing`, then the parts `indices`, in this order.

    The file appears under its name when it is complete. Compressed data are copied as
    they are.
    """
    path = folder / "joined.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        if existing is not None:
            with h5py.File(existing.path, "r") as old:
                for i in range(existing.num_demos):
                    old.copy(f"data/demo_{i}", data)
        for index in indices:
            with h5py.File(part_path(folder, index), "r") as part:
                part.copy("demo", data, name=f"demo_{len(data)}")
        names = [f"demo_{i}" for i in range(len(data))]
        data.attrs["env_args"] = json.dumps(env_args, indent=4)
        data.attrs["total"] = sum(int(data[name].attrs["num_samples"]) for name in names)
        valid = names[VALID_EVERY - 1 :: VALID_EVERY]
        masks = {"train": [n for n in names if n not in set(valid)], "valid": valid}
        for key, members in masks.items():
            file.create_dataset(f"mask/{key}", data=np.array(members, dtype="S"), shape=(len(members),))
    os.replace(path, out)
    # Those of an abandoned run with other settings, too: the file settles what is kept here.
    for parts in out.parent.iterdir():
        if parts.name.startswith(f".{out.stem}.parts-"):
            shutil.rmtree(parts)

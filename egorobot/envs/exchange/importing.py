"""Which parts of a dataset are imported, and writing one of them as a demonstration."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.envs.demonstration_parts import DemoContent, part_path, write_demo
from egorobot.envs.exchange.episodes import Reader
from egorobot.envs.exchange.restoring import Restorer, Target, image_keys
from egorobot.envs.exchange.subtasks import completions, part_of, subtask_names
from egorobot.errors import UserError
from egorobot.files import atomic_path


@dataclass(frozen=True)
class Piece:
    """The part of an episode that becomes a demonstration: its steps from `start` to before `stop`."""

    episode: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """What is imported from a dataset.

    Attributes:
        pieces: in the order of the dataset.
        velocities: whether the dataset has the joints' velocities.
    """

    pieces: tuple[Piece, ...]
    velocities: bool


def make_plan(reader: Reader, target: Target, subtask: str | None, only_successes: bool, num_demos: int | None) -> Plan:
    """Read all episodes but for their images, and choose what is imported.

    Args:
        reader: of the dataset.
        target: the environment that demonstrations will belong to.
        subtask: only the part of an episode that does this; None is whole episodes.
        only_successes: whether episodes that do not do the task are left out.
        num_demos: the first so many; None is all.

    Raises:
        UserError: nothing in the dataset does the task or sub-task, there is less than
            `num_demos`, or the dataset is damaged somewhere.
    """
    what = f"task '{target.task}'" if subtask is None else f"sub-task '{subtask}'"
    if subtask is not None and subtask not in subtask_names(target.protocol):
        raise UserError(f"unknown sub-task '{subtask}': choose one of {', '.join(subtask_names(target.protocol))}")
    pieces: list[Piece] = []
    velocities = True
    for index in tqdm(range(reader.num_episodes), "read", unit="episode"):
        episode = reader.read(index, images=False)
        velocities &= episode.velocities is not None or episode.states is not None
        steps: range | None = range(episode.length)
        if subtask is not None:
            steps = part_of(episode, target.protocol, subtask)
        elif only_successes and not completions(episode, target.protocol).keys() >= set(target.parts):
            steps = None
        if steps is not None:
            pieces.append(Piece(index, steps.start, steps.stop))
    if not pieces:
        mend = "choose another" if subtask is not None else "choose another task, or only_successes=false keeps all"
        raise UserError(f"{reader.source}: {what} is never done in {reader.num_episodes} episodes: {mend}")
    if num_demos is not None and len(pieces) < num_demos:
        raise UserError(f"{reader.source}: {what} is done in {len(pieces)} episodes, fewer than num_demos={num_demos}")
    return Plan(tuple(pieces[:num_demos]), velocities)


class PieceWriter:
    """Writes pieces of a dataset as demonstrations, with an environment of its own.

    Args:
        reader: of the dataset.
        target: the environment that they will belong to.
        keep_images: whether the dataset's own images are kept, instead of drawn.
    """

    def __init__(self, reader: Reader, target: Target, keep_images: bool) -> None:
        self._reader = reader
        self._keep_images = keep_images
        self._restorer = Restorer(target, draw=not keep_images)

    def close(self) -> None:
        """Free the environment."""
        self._restorer.close()

    def write_once(self, number: int, piece: Piece, folder: Path) -> None:
        """Write a piece as part `number` in `folder`, unless it is there.

        Raises:
            UserError: images to be kept are missing, or of another size.
        """
        if part_path(folder, number).exists():
            return
        episode = self._reader.read(piece.episode, images=self._keep_images)
        rows = slice(piece.start, piece.stop)
        target = self._restorer.target
        states = episode.states
        if (
            states is None
            or self._reader.env.env_id != target.env_id
            or piece != Piece(piece.episode, 0, episode.length)
        ):
            states = self._restorer.states(episode, range(piece.start, piece.stop))
        observations: dict[str, NDArray[Any]] = self._restorer.observations(states)
        if self._keep_images:
            images = image_keys(target, episode, f"{self._reader.source}, {episode.name}")
            observations |= {key: frames[rows] for key, frames in images.items()}
        content = DemoContent(
            actions=np.clip(episode.actions[rows], -1.0, 1.0),
            rewards=episode.rewards[rows],
            states=states,
            observations=observations,
        )
        attrs: dict[str, Any] = {"source": f"{episode.name}, steps {piece.start} to {piece.stop - 1}"}
        if episode.seed is not None:
            attrs["seed"] = episode.seed
        with atomic_path(part_path(folder, number)) as path, h5py.File(path, "w") as file:
            write_demo(file.create_group("demo"), content, attrs)


def missing_parts(folder: Path, count: int) -> Iterator[int]:
    """Yield the numbers of the parts, of `count`, that are not in `folder` yet."""
    return (number for number in range(count) if not part_path(folder, number).exists())

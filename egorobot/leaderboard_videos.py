"""The rollout videos of the leaderboard's page: chosen by a fixed rule, and copied beside the page."""

import fcntl
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from egorobot.files import atomic_path, digest
from egorobot.runs import path_safe

OUTCOMES = {True: "success", False: "failure"}

_SOURCE = re.compile(r"seed(\d+)_(success|failure)\.mp4")  # as egorobot.render names them
# As they are named here. Only what is named so is ever removed: `videos` may hold other things.
_COPY = re.compile(r".+_[0-9a-f]{16}_(success|failure)\.mp4")
_LOCK = ".lock"


@dataclass(frozen=True)
class RowVideo:
    """A video that stands beside a row.

    Attributes:
        task: what was to be done.
        success: whether it was.
        training_seed: of the policy that acts.
        episode_seed: of the reset.
        source: the file in the run's folder.
    """

    task: str
    success: bool
    training_seed: int
    episode_seed: int
    source: Path


def choose_videos(runs: Iterable[tuple[Path, Mapping[str, Any]]]) -> list[RowVideo]:
    """Return a success and a failure of each task, of the lowest training seed and of its lowest episode seed.

    The rule leaves nobody a choice of which videos are shown, and bounds how many are.

    Args:
        runs: run folder and result of each run of a row.

    Returns:
        The videos, sorted by task, the success first; fewer where there are fewer.
    """
    found = [video for folder, result in runs for video in _videos_of(folder, result)]
    chosen: dict[tuple[str, bool], RowVideo] = {}
    for video in sorted(found, key=lambda v: (v.task, not v.success, v.training_seed, v.episode_seed)):
        chosen.setdefault((video.task, video.success), video)
    return list(chosen.values())


def _videos_of(folder: Path, result: Mapping[str, Any]) -> Iterator[RowVideo]:
    """Yield the videos of episodes that count, with the outcome that counted: others may have been drawn by hand."""
    evaluation = result["eval"]
    counted = {*zip(evaluation["episode_seeds"], evaluation["outcomes"], strict=True)}
    for path in (folder / "videos").glob("seed*.mp4"):
        if (match := _SOURCE.fullmatch(path.name)) and path.is_file():
            episode_seed, success = int(match[1]), match[2] == OUTCOMES[True]
            if (episode_seed, success) in counted:
                yield RowVideo(result["task"], success, result["seed"], episode_seed, path)


@contextmanager
def copied(videos: Sequence[RowVideo], folder: Path) -> Iterator[dict[Path, str]]:
    """Copy `videos` into `folder`; on leaving, remove earlier copies that are no longer among them.

    A copy is named by its content, so that one that is there is not made again. The page
    is written inside: of several processes that build it at once, the last finds all its
    videos there.

    Args:
        videos: what to copy.
        folder: where to; not made for no videos.

    Yields:
        The name in `folder` of each source that could be read.
    """
    if not videos and not folder.is_dir():
        yield {}
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        names = {video.source: name for video in videos if (name := _copy(video, folder))}
        yield names
        for path in folder.iterdir():
            if _COPY.fullmatch(path.name) and path.name not in names.values():
                path.unlink(missing_ok=True)


def _copy(video: RowVideo, folder: Path) -> str | None:
    """Return the name of the copy; None where the source has gone meanwhile."""
    try:
        content = video.source.read_bytes()
    except OSError:
        return None
    name = f"{path_safe(video.task)}_{digest(content)}_{OUTCOMES[video.success]}.mp4"
    if not (folder / name).exists():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)
    return name

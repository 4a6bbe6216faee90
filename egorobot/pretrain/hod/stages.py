"""The two halves of captioning a part of a corpus: seeing and telling, in one process or in several."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from egorobot.errors import UserError
from egorobot.pretrain.hod.captioning import Draft, Drafter
from egorobot.pretrain.hod.clips import read_clip
from egorobot.pretrain.hod.records import to_record, unreadable_record, write_records
from egorobot.pretrain.hod.rephrasing import Progress, Rephraser, ignore
from egorobot.pretrain.samples import BadClip, Corpus
from egorobot.processes import exit_with_parent, spawn_context


@dataclass(frozen=True)
class Unreadable:
    """A clip that cannot be read, and why."""

    clip_id: str
    reason: str


@dataclass(frozen=True)
class DraftedPart:
    """The clips of a part in order, as they were seen."""

    part: int
    clips: Sequence[Draft | Unreadable]


@dataclass(frozen=True)
class WrittenPart:
    """A part whose file is on disk: how many clips it has, and those that cannot be read."""

    part: int
    num_clips: int
    bad: Sequence[Unreadable]


@dataclass(frozen=True)
class Seeing:
    """Drafts the clips of a part; other processes get a copy.

    Attributes:
        corpus: the clips.
        drafter: makes their drafts.
        clips_per_part: clips that a part has, but for the last one.
    """

    corpus: Corpus
    drafter: Drafter
    clips_per_part: int

    def numbers(self, part: int) -> range:
        """Return which clips belong to a part."""
        return range(part * self.clips_per_part, min((part + 1) * self.clips_per_part, len(self.corpus)))

    def __call__(self, part: int) -> DraftedPart:
        """Return the drafts of a part."""
        return DraftedPart(part, [self._draft(number) for number in self.numbers(part)])

    def _draft(self, number: int) -> Draft | Unreadable:
        try:
            return self.drafter.draft(read_clip(self.corpus, number))
        except BadClip as error:
            return Unreadable(self.corpus.clip_id(number), str(error))
        except (RuntimeError, ValueError, MemoryError) as error:  # of libraries that a clip is too much for
            reason = " ".join(f"{self.drafter.detector.name} failed on it ({type(error).__name__}: {error})".split())
            return Unreadable(self.corpus.clip_id(number), reason)


@dataclass(frozen=True)
class Telling:
    """Gives the drafts of a part their captions, and writes its file.

    Attributes:
        make_rephraser: makes what writes captions, in the process that uses it.
        folder: of the files.
    """

    make_rephraser: Callable[[], Rephraser]
    folder: Path

    def file(self, part: int) -> Path:
        """Return where the records of a part are."""
        return self.folder / f"part-{part:06}.parquet"

    def __call__(self, drafted: DraftedPart, rephraser: Rephraser, progress: Progress = ignore) -> WrittenPart:
        """Write the records of a part, all or none; `progress` hears how many more clips are done.

        Raises:
            UserError: the rephraser refuses.
        """
        drafts = [clip for clip in drafted.clips if isinstance(clip, Draft)]
        progress(len(drafted.clips) - len(drafts))
        captioned = iter(rephraser.caption(drafts, progress))
        records = [
            unreadable_record(clip.clip_id, clip.reason) if isinstance(clip, Unreadable) else to_record(next(captioned))
            for clip in drafted.clips
        ]
        write_records(self.file(drafted.part), records)
        bad = [clip for clip in drafted.clips if isinstance(clip, Unreadable)]
        return WrittenPart(drafted.part, len(records), bad)


def run_here(
    seeing: Seeing, telling: Telling, parts: Sequence[int], progress: Progress, num_workers: int
) -> Iterator[WrittenPart]:
    """Write `parts` on this machine, and yield each when it is written; the next ones are drafted meanwhile.

    Args:
        seeing: drafts them.
        telling: writes them.
        parts: which.
        progress: hears how many more clips are done.
        num_workers: processes that draft; 1 is a thread of this one.

    Raises:
        UserError: a process died, or a stage refuses.
    """
    if not parts:
        return
    num_workers = min(num_workers, len(parts))
    with closing(telling.make_rephraser()) as rephraser, _executor(seeing, num_workers) as pool:
        try:
            for drafted in _in_order(pool, seeing if num_workers == 1 else _see, parts, ahead=num_workers):
                yield telling(drafted, rephraser, progress)
        except BrokenProcessPool as error:
            raise UserError(
                "a process that finds hands died (out of memory?): try num_workers=1; finished parts are kept"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


_seeing: Seeing | None = None  # of this worker process: detectors can be large, and are sent once


def _start(seeing: Seeing) -> None:
    global _seeing
    exit_with_parent()
    _seeing = seeing


def _see(part: int) -> DraftedPart:
    assert _seeing is not None
    return _seeing(part)


def _executor(seeing: Seeing, num_workers: int) -> Executor:
    if num_workers == 1:
        return ThreadPoolExecutor(1)
    return ProcessPoolExecutor(num_workers, mp_context=spawn_context(), initializer=_start, initargs=(seeing,))


def _in_order(
    pool: Executor, see: Callable[[int], DraftedPart], parts: Sequence[int], ahead: int
) -> Iterator[DraftedPart]:
    """Yield drafted parts, of which at most `ahead` more are under way: memory does not grow with their number."""
    waiting: list[Future[DraftedPart]] = []
    for part in parts:
        waiting.append(pool.submit(see, part))
        if len(waiting) > ahead:
            yield waiting.pop(0).result()
    for future in waiting:
        yield future.result()

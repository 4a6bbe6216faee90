"""The two halves of captioning a part of a corpus: seeing and telling, in one process or in several."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path

from egorobot.errors import UserError
from egorobot.pretrain.hod.captioning import Draft, Drafter
from egorobot.pretrain.hod.clips import read_clip
from egorobot.pretrain.hod.records import to_record, unreadable_record, write_records
from egorobot.pretrain.hod.rephrasing import Progress, Rephraser, ignore
from egorobot.pretrain.samples import BadClip, Corpus
from egorobot.processes import exit_with_parent, spawn_context

CLIPS_A_PROCESS = 4  # at least: to start one takes as long as to see some


@dataclass(frozen=True)
class Unreadable:
    """A clip that cannot be read, and why."""

    clip_id: str
    reason: str


Drafts = Sequence[Draft | Unreadable]


@dataclass(frozen=True)
class DraftedPart:
    """The clips of a part in order, as they were seen."""

    part: int
    clips: Drafts


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
        return DraftedPart(part, self.drafts(self.numbers(part)))

    def drafts(self, numbers: range, stop: threading.Event | Event | None = None) -> Drafts:
        """Return the drafts of clips, in their order.

        Args:
            numbers: of the clips.
            stop: set as soon as nobody wants them.

        Raises:
            InterruptedError: `stop` is set; it is looked at between clips.
        """
        found = []
        for number in numbers:
            if stop is not None and stop.is_set():
                raise InterruptedError("the process that wants the clips has stopped")
            found.append(self._draft(number))
        return found

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

    What is written does not depend on the number of processes.

    Args:
        seeing: drafts them.
        telling: writes them.
        parts: which.
        progress: hears how many more clips are done.
        num_workers: processes that draft, or fewer where there are few clips; 1 is a thread of this one.

    Raises:
        UserError: a process died, or a stage refuses.
    """
    if not parts:
        return
    num_clips = sum(len(seeing.numbers(part)) for part in parts)
    num_workers = min(num_workers, max(1, num_clips // CLIPS_A_PROCESS))
    with closing(telling.make_rephraser()) as rephraser, _pool(seeing, num_workers) as (pool, see):
        for drafted in _in_order(pool, see, seeing, parts, num_workers):
            yield telling(drafted, rephraser, progress)


See = Callable[[range], Drafts]


@contextmanager
def _pool(seeing: Seeing, num_workers: int) -> Iterator[tuple[Executor, See]]:
    """Yield what runs functions, and the one that drafts clips there; whatever is under way at the end is dropped."""
    pool: Executor
    see: See
    stop: threading.Event | Event
    if num_workers == 1:
        stop = threading.Event()
        pool, see = ThreadPoolExecutor(1), partial(seeing.drafts, stop=stop)
    else:
        context = spawn_context()
        stop = context.Event()
        pool, see = ProcessPoolExecutor(num_workers, context, initializer=_start, initargs=(seeing, stop)), _see
    try:
        yield pool, see
    except BrokenProcessPool as error:
        raise UserError(
            "a process that finds hands died (out of memory?): try num_workers=1; finished parts are kept"
        ) from error
    finally:
        stop.set()  # a part takes minutes
        pool.shutdown(cancel_futures=True)


_worker: tuple[Seeing, Event]  # of this process: detectors can be large, and are sent once


def _start(seeing: Seeing, stop: Event) -> None:
    global _worker
    exit_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker = seeing, stop


def _see(numbers: range) -> Drafts:
    seeing, stop = _worker
    return seeing.drafts(numbers, stop)


def _in_order(
    pool: Executor, see: See, seeing: Seeing, parts: Sequence[int], num_workers: int
) -> Iterator[DraftedPart]:
    """Yield drafted parts, of which `num_workers` more at most are under way: memory does not grow with their number.

    Where fewer parts than workers are left, several workers share one.
    """
    waiting: deque[tuple[int, list[Future[Drafts]]]] = deque()
    for index, part in enumerate(parts):
        shares = _split(seeing.numbers(part), -(-num_workers // (len(parts) - index)))
        waiting.append((part, [pool.submit(see, share) for share in shares]))
        if len(waiting) > num_workers:
            yield _joined(*waiting.popleft())
    while waiting:
        yield _joined(*waiting.popleft())


def _split(numbers: range, count: int) -> list[range]:
    """Return `numbers` in at most `count` pieces that are about equal."""
    size = -(-len(numbers) // count)
    return [numbers[first : first + size] for first in range(0, len(numbers), size)]


def _joined(part: int, shares: Sequence[Future[Drafts]]) -> DraftedPart:
    return DraftedPart(part, [clip for share in shares for clip in share.result()])

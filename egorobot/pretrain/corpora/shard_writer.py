"""Writing shards from any corpus: in parallel, each whole or not at all, going on where a killed run stopped."""

import json
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.files import atomic_path, claim_folder, sole_user, write_json
from egorobot.pretrain.corpora.tar_samples import BLOCK, to_members, to_tar
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.quarantine import Quarantine
from egorobot.pretrain.samples import BadClip, ClipSample, Corpus
from egorobot.processes import default_num_workers, exit_with_parent, spawn_context

OPTIONS_FILE = "shards.json"
QUARANTINE_FILE = "quarantine.jsonl"
REFRESH = 0.5  # s between two looks at how far the processes are
END_OF_TAR = bytes(2 * BLOCK)


@dataclass(frozen=True)
class ShardJob:
    """What is written where.

    Attributes:
        corpus: the clips.
        out: folder of the shards.
        clips_per_shard: clips of the corpus that a shard covers, a multiple of its groups.
        jpeg_quality: of the frames, 1 to 95; None keeps them as they are.
        record: fields noted in every sample.
    """

    corpus: Corpus
    out: Path
    clips_per_shard: int
    jpeg_quality: int | None
    record: dict[str, Any]

    @property
    def num_shards(self) -> int:
        """How many shards there are in all."""
        return -(-len(self.corpus) // self.clips_per_shard)

    def tar_file(self, shard: int) -> Path:
        """Return the path of a shard."""
        return self.out / f"shard-{shard:06}.tar"

    def bad_file(self, shard: int) -> Path:
        """Return where the bad clips of a shard are listed: written last, so it tells that the shard is whole."""
        return self.out / f"shard-{shard:06}.bad.json"

    def numbers(self, shard: int) -> range:
        """Return the clips that a shard covers."""
        return range(shard * self.clips_per_shard, min((shard + 1) * self.clips_per_shard, len(self.corpus)))


def claim(job: ShardJob, options: dict[str, Any]) -> None:
    """Make the folder of `job` that of shards with `options`; its corpus need not be rendered.

    Raises:
        UserError: the folder holds something else.
    """
    claim_folder(job.out, OPTIONS_FILE, {**options, "num_clips": len(job.corpus)}, "shards")


def write_shards(
    job: ShardJob, options: dict[str, Any], max_bad_share: float, num_workers: int | None = None
) -> Quarantine:
    """Write the shards that are not there yet, and return which clips could not be read.

    What the shards hold does not depend on the number of processes, nor on interruptions.

    Args:
        job: what is written.
        options: all that decides what the shards hold; kept with them.
        max_bad_share: share of the clips that may be bad, in [0, 1].
        num_workers: processes; None is one a core.

    Raises:
        UserError: the folder holds something else, too many clips are bad, or a process died.
    """
    claim(job, options)
    with _alone_in(job.out):
        return _write(job, max_bad_share, num_workers or default_num_workers())


def _write(job: ShardJob, max_bad_share: float, num_workers: int) -> Quarantine:
    quarantine = Quarantine(job.out / QUARANTINE_FILE, max_bad_share, len(job.corpus))
    todo = [shard for shard in range(job.num_shards) if not job.bad_file(shard).exists()]
    done = len(job.corpus) - sum(len(job.numbers(shard)) for shard in todo)
    for shard in sorted({*range(job.num_shards)} - {*todo}):
        _note_bad(job, shard, quarantine)
    if not todo:
        return quarantine
    with (
        tqdm(total=len(job.corpus), initial=done, desc="shards", unit="clip", dynamic_ncols=True) as bar,
        _pool(job, min(num_workers, len(todo))) as (pool, num_read),
    ):
        jobs: dict[Future[None], int] = {pool.submit(_write_shard, shard): shard for shard in todo}
        pending = {*jobs}
        while pending:
            finished, pending = wait(pending, timeout=REFRESH, return_when="FIRST_COMPLETED")
            if new := done + num_read.value - bar.n:
                bar.update(new)
            for future in finished:
                future.result()
                _note_bad(job, jobs[future], quarantine)
    return quarantine


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Keep other processes from writing to `out`, and remove what a killed one left half-written.

    Raises:
        BusyError: another process writes there.
    """
    with sole_user(out, "shards"):
        for path in out.glob(".shard-*"):
            path.unlink(missing_ok=True)
        yield


def _note_bad(job: ShardJob, shard: int, quarantine: Quarantine) -> None:
    quarantine.record_all(json.loads(job.bad_file(shard).read_text(encoding="utf-8")))


@contextmanager
def _pool(job: ShardJob, num_workers: int) -> Iterator[tuple[ProcessPoolExecutor, "Synchronized[int]"]]:
    """Yield processes that write shards, and the number of clips that they have read."""
    context = spawn_context()  # threads of decoders do not survive a fork
    num_read: Synchronized[int] = context.Value("q", 0)
    stop = context.Event()
    pool = ProcessPoolExecutor(num_workers, context, initializer=_start_worker, initargs=(job, num_read, stop))
    try:
        yield pool, num_read
    except BrokenProcessPool as error:
        raise UserError(
            "a process that writes shards died (out of memory?): try num_workers=1; finished shards are kept"
        ) from error
    finally:
        stop.set()  # a shard takes minutes
        pool.shutdown(cancel_futures=True)


_worker: tuple[ShardJob, "Synchronized[int]", Event]


def _start_worker(job: ShardJob, num_read: "Synchronized[int]", stop: Event) -> None:
    global _worker
    exit_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker = job, num_read, stop


def _write_shard(shard: int) -> None:
    job, num_read, stop = _worker
    bad: list[tuple[str, str]] = []
    numbers, size = job.numbers(shard), job.corpus.group_size
    with atomic_path(job.tar_file(shard)) as temporary, temporary.open("wb") as file:
        for first in range(numbers.start, numbers.stop, size):
            group = range(first, min(first + size, numbers.stop))
            for number, sample in _read_group(job.corpus, group, bad):
                record = {**job.record, **_times(job.corpus, number)}
                file.write(to_tar(f"{number:08}", to_members(sample, record, job.jpeg_quality)))
            if stop.is_set():
                raise InterruptedError("the process that wants the shards has stopped")
            with num_read.get_lock():
                num_read.value += len(group)
        file.write(END_OF_TAR)
    write_json(job.bad_file(shard), bad)


def _read_group(corpus: Corpus, group: range, bad: list[tuple[str, str]]) -> list[tuple[int, ClipSample]]:
    """Return the clips of a group by number; none if one of them is bad, which is added to `bad`."""
    samples = []
    for number in group:
        try:
            samples.append((number, corpus[number]))
        except BadClip as error:
            bad.append((corpus.clip_id(number), str(error)))
    return samples if len(samples) == len(group) else []


def _times(corpus: Corpus, number: int) -> dict[str, float]:
    """Return where in its video a clip is, in s, if it comes from one."""
    if not isinstance(corpus, VideoCorpus):
        return {}
    clip = corpus.table[number]
    return {"start_second": clip.start, "end_second": clip.end}

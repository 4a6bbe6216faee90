"""Batches made by other processes while the model trains, and how long it had to wait for them."""

import os
import signal
import time
from collections import deque
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from egorobot.errors import UserError
from egorobot.pretrain.batches import Batch, Memory, TrainingBatches
from egorobot.processes import exit_with_parent

PREFETCHED = 2  # batches made ahead by each process
GIVES_WAY = 15  # niceness of a process that does
WINDOW = 20  # steps that rates are taken over


class BatchLoader:
    """The batches of consecutive steps.

    Later batches of other processes are written over earlier ones, which is faster than memory that is
    new each time: a batch is whole until the one after the next is asked for.

    Args:
        batches: makes them.
        steps: which ones.
        num_workers: processes that make them; with 0 they are made when they are asked for.
        give_way: whether those processes take the time that others leave. Threads that train on a CPU wait for
            each other: what takes a core from one of them holds up all.
    """

    def __init__(self, batches: TrainingBatches, steps: range, num_workers: int = 1, give_way: bool = False) -> None:
        self.num_workers = num_workers
        slots = num_slots(num_workers)
        self._kept: deque[Memory] = deque(maxlen=num_workers * slots)  # memory stays mapped while it is kept
        self._spans: deque[tuple[float, float]] = deque(maxlen=WINDOW)  # of each step, in s: all, waiting
        self._loader: DataLoader[Batch | UserError] = DataLoader(
            _Steps(batches, slots),
            batch_size=None,
            sampler=steps,
            num_workers=num_workers,
            collate_fn=_unchanged,
            prefetch_factor=PREFETCHED if num_workers else None,
            multiprocessing_context="spawn" if num_workers else None,  # threads of torch and PyAV survive no fork
            worker_init_fn=partial(_start_worker, give_way),
            generator=torch.Generator(),  # of seeds that nothing uses; without it the global one would move
        )

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches in order.

        Raises:
            UserError: a batch could not be made, or a process died.
        """
        batches = iter(self._loader)
        finished = time.perf_counter()
        while True:
            asked = time.perf_counter()
            batch = self._next(batches)
            if batch is None:
                return
            waited = time.perf_counter() - asked
            self._kept.append(batch.memory)
            yield batch
            began, finished = finished, time.perf_counter()
            self._spans.append((finished - began, waited))

    @property
    def steps_per_second(self) -> float:
        """Steps a second, on average over the last ones; 0 before the first is over."""
        return len(self._spans) / self._seconds if self._spans else 0.0

    @property
    def wait_share(self) -> float:
        """Share of the last steps' time that was spent waiting for a batch, in [0, 1]."""
        return sum(waited for _, waited in self._spans) / self._seconds if self._spans else 0.0

    @property
    def _seconds(self) -> float:
        return sum(whole for whole, _ in self._spans)

    def _next(self, batches: Iterator[Batch | UserError]) -> Batch | None:
        try:
            batch = next(batches, None)
        except RuntimeError as error:
            if "DataLoader worker (pid" not in str(error):
                raise
            raise UserError(
                f"a process that loads clips died ({str(error).splitlines()[0]}): "
                "where memory or shared memory (/dev/shm) is short, try loader_workers=0"
            ) from error
        if isinstance(batch, UserError):
            raise batch
        return batch


def num_slots(num_workers: int) -> int:
    """Return how many batches each process has memory for: those made ahead, the one in use and the one before.

    The one before was made by another process where there are several.
    """
    if num_workers == 0:
        return 0
    return PREFETCHED + (2 if num_workers == 1 else 1)


class _Steps(Dataset[Batch | UserError]):
    """Batches by step; an error that a person can mend comes as a value, not wrapped in a traceback."""

    def __init__(self, batches: TrainingBatches, slots: int) -> None:
        self.batches = batches
        self.slots = slots
        self._written: deque[Memory] = deque()

    def __getitem__(self, step: int) -> Batch | UserError:
        out = self._written.popleft() if len(self._written) == self.slots > 0 else None
        try:
            batch = self.batches.make(step, out)
        except UserError as error:
            return error
        if self.slots:
            self._written.append(batch.memory)
        return batch


def _unchanged(batch: Any) -> Any:
    return batch


def _start_worker(give_way: bool, _: int) -> None:
    exit_with_parent()
    if give_way:
        os.nice(GIVES_WAY)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the training process's to handle

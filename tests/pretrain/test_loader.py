"""Batches made by other processes: the same ones, in order, and errors in one line."""

import multiprocessing
import os
import time
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from egorobot.errors import UserError
from egorobot.pretrain import loader as loader_module
from egorobot.pretrain.batches import Batch, Memory, TrainingBatches, TrainingCorpus
from egorobot.pretrain.loader import GIVES_WAY, BatchLoader, num_slots


def test_a_process_makes_the_same_batches_in_the_same_order(batches: TrainingBatches) -> None:
    state = torch.random.get_rng_state()
    loader = BatchLoader(batches, range(3, 8), num_workers=1)
    for step, batch in zip(range(3, 8), loader, strict=True):
        assert batch.frames_fast.equal(batches[step].frames_fast) and batch.captions == batches[step].captions
    assert torch.random.get_rng_state().equal(state)
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("give_way", [False, True])
def test_a_process_gives_way_where_it_should(batches: TrainingBatches, give_way: bool) -> None:
    usual = os.nice(0)
    loading = iter(BatchLoader(batches, range(2), num_workers=1, give_way=give_way))
    next(loading)
    [process] = multiprocessing.active_children()
    assert process.pid is not None
    expected = min(usual + GIVES_WAY, 19) if give_way else usual
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == expected
    assert os.nice(0) == usual


@pytest.mark.parametrize("fast_size", [16, 32])
@pytest.mark.parametrize("num_workers", [0, 1, 2])
def test_memory_is_used_again_but_a_batch_and_the_one_before_stay_whole(
    two_corpora: list[TrainingCorpus], num_workers: int, fast_size: int
) -> None:
    batches = TrainingBatches(two_corpora, 8, (32, fast_size), 0)
    before: Batch | None = None
    places = set()
    for step, batch in enumerate(BatchLoader(batches, range(20), num_workers)):
        time.sleep(0.1)  # the processes make what they may meanwhile
        assert batch.frames_fast.equal(batches[step].frames_fast)
        assert batch.frames_slow.equal(batches[step].frames_slow)
        assert before is None or before.frames_fast.equal(batches[step - 1].frames_fast)
        assert before is None or before.frames_slow.equal(batches[step - 1].frames_slow)
        before = batch
        places.add((batch.frames_fast.data_ptr(), batch.frames_slow.data_ptr()))
    assert num_workers == 0 or len(places) == num_workers * num_slots(num_workers)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_that_can_be_mended_stays_one_line(tiny_corpus: Any, num_workers: int) -> None:
    gone = TrainingCorpus(tiny_corpus("gone", 16, bad=range(16)), range(16))
    loader = BatchLoader(TrainingBatches([gone], 8, (32, 32), 0), range(5), num_workers)
    with pytest.raises(UserError, match="in a row cannot be read") as caught:
        next(iter(loader))
    assert "\n" not in str(caught.value)


def test_a_process_that_dies_is_told_in_one_line(deadly_corpus: Any) -> None:
    batches = TrainingBatches([TrainingCorpus(deadly_corpus("deadly", 16), range(16))], 8, (32, 32), 0)
    with pytest.raises(UserError, match="loader_workers=0") as caught:
        next(iter(BatchLoader(batches, range(5), num_workers=1)))
    assert "\n" not in str(caught.value)


class Slow(TrainingBatches):
    """Takes a second of a clock of its own for each batch."""

    clock = 0.0

    def make(self, step: int, out: Memory | None = None) -> Batch:
        Slow.clock += 1
        return super().make(step, out)


def test_the_share_of_time_spent_waiting_is_told(
    two_corpora: list[TrainingCorpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loader_module, "time", SimpleNamespace(perf_counter=lambda: Slow.clock))
    loader = BatchLoader(Slow(two_corpora, 8, (32, 32), 0), range(5), num_workers=0)
    assert loader.wait_share == loader.steps_per_second == 0
    for _ in loader:
        Slow.clock += 3
    assert loader.wait_share == loader.steps_per_second == 0.25


def test_batches_are_not_kept(two_corpora: list[TrainingCorpus]) -> None:
    loader = BatchLoader(TrainingBatches(two_corpora, 8, (128, 128), 0), range(300), num_workers=0)
    used = [psutil.Process().memory_info().rss for _ in loader]
    assert used[-1] - used[100] < 20e6  # 200 batches have 157 MB

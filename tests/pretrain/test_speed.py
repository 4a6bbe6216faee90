"""The benchmark of pre-training measures what it says."""

import json
from pathlib import Path

import pytest

from egorobot.figures import Comparison, Share
from egorobot.pretrain.speed import compare_pretraining, matrix_peak, measure_embedding, measure_growth
from egorobot.pretrain.train import RECORD_FILE


def test_embedding_is_measured_with_both_streams_and_with_one() -> None:
    both, slow = measure_embedding(seconds=0.2)
    assert "both streams" in both.subject and "alone" in slow.subject
    assert 0 < both.rate < slow.rate


@pytest.mark.slow
def test_training_is_compared_at_the_same_loss(tmp_path: Path) -> None:
    comparison, arithmetic, waiting = compare_pretraining(80, 0.5, tmp_path)  # raises where losses differ
    assert isinstance(comparison, Comparison) and comparison.ours[1] > 0 and comparison.usual[1] > 0
    assert isinstance(arithmetic, Share) and 0.001 < arithmetic.share < 1
    assert isinstance(waiting, Share) and 0 <= waiting.share < 1


def test_the_peak_is_that_of_matrix_products() -> None:
    assert matrix_peak(0.1) > 1e9


@pytest.mark.slow
def test_growth_is_that_of_two_runs(tmp_path: Path) -> None:
    growth = measure_growth(72, 2, tmp_path)
    records = [json.loads((tmp_path / f"encoder_{clips}" / RECORD_FILE).read_text()) for clips in (72, 144)]
    assert [record["options"]["steps"] for record in records] == [3, 6]
    assert growth.times == 2 and growth.seconds == tuple(record["clips_s"] + record["train_s"] for record in records)
    assert all(1e8 < peak < 5e9 for peak in growth.peaks)

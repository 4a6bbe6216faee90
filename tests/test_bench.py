"""What the benchmark measures is what it says."""

import sys
import time
from pathlib import Path

import pytest
from omegaconf import DictConfig

from egorobot.bench import Comparison, bench, compare_rendering, compare_training, peak_memory, rate
from egorobot.cli import load_config
from egorobot.errors import UserError


def options(*overrides: str) -> DictConfig:
    return load_config("bench", ["encoder=random_vit", *overrides])


def test_rate_counts_what_was_done() -> None:
    done = []
    measured = rate(lambda: (done.append(None), time.sleep(0.02)), seconds=0.3)
    assert 5 < measured <= 50
    assert len(done) - 1 == pytest.approx(0.3 * measured, rel=0.5)


def test_comparison_reads_as_a_ratio() -> None:
    comparison = Comparison("rendering", "frames", ("egorobot", 90.0), ("as shipped", 3.0))
    assert str(comparison) == "rendering: 30.0 times (egorobot 90 frames/s, as shipped 3 frames/s)"


def test_rendering_is_faster_than_as_shipped() -> None:
    """Far below what is measured on an idle machine, lest a busy one fail it."""
    assert compare_rendering(seconds=0.5).ratio > 5


def test_training_is_faster_on_cached_embeddings(demonstrations: Path, tmp_path: Path) -> None:
    comparison = compare_training(demonstrations, options("seconds=0.5", "policy.batch_size=16"), tmp_path)
    assert comparison.unit == "steps"
    assert comparison.ratio > 5


def test_peak_memory_counts_children() -> None:
    """A process holds 100 MB and its child 200 MB, at the same time and for long enough to be seen."""
    child = "x = bytearray(200_000_000); import time; time.sleep(1.5)"
    parent = f"import subprocess, sys; x = bytearray(100_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    assert 300e6 < peak_memory([sys.executable, "-c", parent]) < 400e6


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(UserError, match="failed: ZeroDivisionError"):
        peak_memory([sys.executable, "-c", "1 / 0"])


def test_unknown_part() -> None:
    with pytest.raises(UserError, match="unknown part 'rendring'"):
        bench(options("parts=[rendring]"))

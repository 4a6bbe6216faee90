"""How fast clips are captioned, and how that grows with processes and with clips."""

import sys
import time
from pathlib import Path

from egorobot.cli import load_config
from egorobot.figures import Comparison, Growth
from egorobot.memory import peak_memory
from egorobot.pretrain.hod.options import open_corpus

WORKERS = 2


def compare_workers(num_clips: int, backend: str, folder: Path) -> Comparison:
    """Compare captioning in `WORKERS` processes that find hands with one.

    Clips are of simulated hands, rendered before. MediaPipe looks at them, a template tells;
    Python's start counts.

    Args:
        num_clips: how many, a multiple of four.
        backend: "local" or "ray".
        folder: for clips and captions.

    Raises:
        UserError: captioning failed.
    """
    rates = {}
    for workers in (WORKERS, 1):
        seconds, _ = _caption(num_clips, backend, workers, folder)
        rates[workers] = num_clips / seconds
    return Comparison(
        f"captions, backend={backend}", "clips", (f"{WORKERS} workers", rates[WORKERS]), ("1 worker", rates[1])
    )


def measure_growth(num_clips: int, times: int, backend: str, folder: Path) -> Growth:
    """Measure captioning of `num_clips` clips and of `times` as many; as for `compare_workers`.

    Raises:
        UserError: captioning failed.
    """
    small, large = (_caption(clips, backend, WORKERS, folder) for clips in (num_clips, times * num_clips))
    return Growth(f"captions, backend={backend}", times, (small[0], large[0]), (small[1], large[1]))


def _caption(num_clips: int, backend: str, workers: int, folder: Path) -> tuple[float, float]:
    """Return how long it takes to caption clips, in s, and the most memory that it takes, in bytes."""
    out = folder / f"captions_{backend}_{num_clips}_{workers}"
    options = [
        "corpus=simulated_hands", f"corpus.num_clips={num_clips}", f"data_dir={folder}", f"out={out}",
        f"backend={backend}", f"num_workers={workers}", "previews=0", "clips_per_part=20",
    ]  # fmt: skip
    open_corpus(load_config("pretrain.hod", options))  # renders what is not there
    start = time.perf_counter()
    peak = peak_memory([sys.executable, "-m", "egorobot", "pretrain.hod", *options])
    return time.perf_counter() - start, peak

"""How fast clips are captioned, and how that grows with processes and with clips."""

import sys
import time
from pathlib import Path

from egorobot.cli import load_config
from egorobot.figures import Comparison, Growth
from egorobot.memory import peak_memory
from egorobot.pretrain.hod.options import open_corpus

WORKERS = 2


def measure_captioning(num_clips: int, times: int, backend: str, folder: Path) -> tuple[Comparison, Growth]:
    """Compare captioning in `WORKERS` processes that find hands with one, and many clips with few.

    Clips are of simulated hands, rendered before. MediaPipe looks at them, a template tells;
    Python's start counts.

    Args:
        num_clips: of the smaller work, a multiple of four.
        times: as many clips in the larger work, on which processes are compared.
        backend: "local" or "ray".
        folder: for clips and captions.

    Raises:
        UserError: captioning failed.
    """
    many, name = times * num_clips, f"captions, backend={backend}"
    small, large = (_caption(clips, backend, WORKERS, folder) for clips in (num_clips, many))
    alone, _ = _caption(many, backend, 1, folder)
    rates = (f"{WORKERS} workers", many / large[0]), ("1 worker", many / alone)
    return Comparison(name, "clips", *rates), Growth(name, times, (small[0], large[0]), (small[1], large[1]))


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

"""Where a path turns round."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

AVERAGED = 0.3  # s that a path is averaged over before its turning points are sought


def split_at_turns(
    path: NDArray[np.float64], frames: tuple[int, int], rate: float, min_move: float
) -> list[tuple[int, int]]:
    """Return first and last frame of the parts of a stretch between which it turns by more than a right angle.

    Args:
        path: places, (F, 2), none NaN in the stretch.
        frames: first and last of the stretch.
        rate: of the path, in Hz.
        min_move: length that parts have at least, unless there is but one.
    """
    first, last = frames
    smooth = _averaged(path[first : last + 1], max(1, round(AVERAGED * rate)))
    turns = sorted({frame for axis in range(2) for frame in _extremes(smooth[:, axis], min_move)})
    while turns:
        moves = np.diff(smooth[[0, *turns, -1]], axis=0)
        short = np.linalg.norm(moves, axis=1) < min_move
        faults = [cosine(*moves[i : i + 2]) + 2.0 * bool(short[i : i + 2].any()) for i in range(len(turns))]
        worst = int(np.argmax(faults))
        if faults[worst] < 0:
            break
        del turns[worst]
    return list(pairwise([first, *(first + turn for turn in turns), last]))


def _averaged(path: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """Return a path (F, 2) averaged over about `frames` frames about each, fewer at the ends."""
    reach = frames // 2
    return np.stack([path[max(i - reach, 0) : i + reach + 1].mean(axis=0) for i in range(len(path))])


def _extremes(values: NDArray[np.float64], least: float) -> Iterator[int]:
    """Yield where `values` (F,) stop rising or falling, and go back by `least` or more."""
    low = high = 0  # where they were lowest and highest since the last extreme
    rises: bool | None = None  # not known yet
    for i, value in enumerate(values):
        low, high = min(low, i, key=values.__getitem__), max(high, i, key=values.__getitem__)
        if rises is not False and values[high] - value >= least:
            if high > 0:
                yield high
            rises, low = False, i
        elif rises is not True and value - values[low] >= least:
            if low > 0:
                yield low
            rises, high = True, i


def cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return that of the angle between two moves (2,); -1 where one is none, NaN where one is unknown."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths != 0 else -1.0

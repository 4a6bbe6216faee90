"""Columns of numbers and of text on disk, mapped instead of loaded, so that millions of rows take no memory."""

from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.files import atomic_path


def write_column(path: Path, values: NDArray[Any]) -> None:
    """Write `values` as a `.npy` file, atomically."""
    with atomic_path(path) as temporary:
        np.save(temporary, values)


def open_column(path: Path) -> NDArray[Any]:
    """Return the array in the `.npy` file `path`, mapped where it has rows (none cannot be mapped)."""
    mapped = np.load(path, mmap_mode="r")
    return mapped if len(mapped) else np.array(mapped)


class TextColumn:
    """Strings by number: all of them in one file as UTF-8, and where each ends in another.

    Args:
        path: without suffix, as given to `write_texts`.
    """

    def __init__(self, path: Path) -> None:
        self._ends = open_column(path.with_suffix(".ends.npy"))
        has_bytes = len(self._ends) and self._ends[-1]
        self._bytes = np.memmap(path.with_suffix(".utf8"), np.uint8, "r") if has_bytes else np.empty(0, np.uint8)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, number: int) -> str:
        start = int(self._ends[number - 1]) if number else 0
        return self._bytes[start : int(self._ends[number])].tobytes().decode()


def write_texts(path: Path, texts: Iterable[str]) -> None:
    """Write `texts`, however many, so that `TextColumn(path)` finds them.

    Args:
        path: without suffix.
        texts: the strings; an iterator is not held in memory.
    """
    ends, end = array("q"), 0
    with atomic_path(path.with_suffix(".utf8")) as temporary, temporary.open("wb") as file:
        for text in texts:
            end += file.write(text.encode())
            ends.append(end)
    write_column(path.with_suffix(".ends.npy"), np.frombuffer(ends, np.int64))

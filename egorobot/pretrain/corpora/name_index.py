"""Which row of a table on disk has a name, found without holding the names in memory."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egorobot.files import digest
from egorobot.pretrain.corpora.columns import open_column, write_column

HASHES_FILE, ORDER_FILE = "hashes.npy", "hash_order.npy"  # beside the table's columns; the second is written last


def write_name_index(folder: Path, names: Iterator[str], count: int) -> None:
    """Write the hashes of the `count` names of a table's rows into its folder, sorted, unless they are there."""
    if (folder / ORDER_FILE).exists():
        return
    hashes = np.fromiter((_hash(name) for name in names), np.uint64, count)
    order = np.argsort(hashes)
    write_column(folder / HASHES_FILE, hashes[order])
    write_column(folder / ORDER_FILE, order)


def find_rows(folder: Path, name: str) -> Iterator[int]:
    """Yield the rows that may have a name: those whose names have its hash."""
    hashes, order = _open(folder)
    wanted = _hash(name)
    at = int(np.searchsorted(hashes, wanted))
    while at < len(hashes) and hashes[at] == wanted:
        yield int(order[at])
        at += 1


def _hash(name: str) -> np.uint64:
    return np.uint64(int(digest(name), 16))


@lru_cache(maxsize=16)
def _open(folder: Path) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return what `write_name_index` wrote, mapped; no part of a corpus, which goes to other processes whole."""
    return open_column(folder / HASHES_FILE), open_column(folder / ORDER_FILE)

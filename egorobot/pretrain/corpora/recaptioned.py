"""A corpus whose captions of hand-object dynamics are replaced by those of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.files import digest
from egorobot.pretrain.corpora.clip_table import ClipTable, open_clip_table
from egorobot.pretrain.corpora.columns import open_column, write_column
from egorobot.pretrain.samples import ClipSample, ClipWords, Corpus

HASHES_FILE, ORDER_FILE = "hashes.npy", "hash_order.npy"  # beside the table's columns; the second is written last


class Recaptioned:
    """Clips of `corpus` with the captions of hand and object that a file gives, and the narrations they have.

    Clips that the file does not name keep their narrations only; what it says of clips that
    the corpus does not have is not used.

    Args:
        corpus: the clips.
        captions: annotation file with captions, such as `captions.csv` of captioning; clips
            go by the names of their videos and by their times.
        cache_dir: folder for its index.

    Raises:
        UserError: there is no such file, it makes no sense, or it names none of the clips.
    """

    def __init__(self, corpus: Corpus, captions: Path, cache_dir: Path) -> None:
        self.corpus = corpus
        self.name = corpus.name
        self.group_size = corpus.group_size
        self.variants = corpus.variants
        self.table = open_clip_table(None, captions, cache_dir)
        _index(self.table)
        if all(self._row(corpus.clip_id(number)) is None for number in range(len(corpus))):
            raise UserError(
                f"{captions} has captions of none of the clips of corpus {corpus.name}, whose first is "
                f"{corpus.clip_id(0)} (<video>/<start>-<end>): was it made of other clips?"
            )

    def __len__(self) -> int:
        return len(self.corpus)

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`.

        Raises:
            BadClip: it cannot be read.
        """
        sample = self.corpus[number]
        return replace(sample, hod=self._hod(sample.clip_id))

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`."""
        return self.corpus.clip_id(number)

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`.

        Raises:
            BadClip: it cannot be read.
        """
        return self.corpus.words(number)._replace(hod=self._hod(self.clip_id(number)))

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips, and those of the file that belong to none."""
        for number in range(len(self)):
            yield from self.corpus.words(number).narrations
        yield from self.table.captions()

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out."""
        return self.corpus.split(valid_share)

    def _hod(self, clip_id: str) -> list[str]:
        row = self._row(clip_id)
        return [] if row is None else self.table[row].hod

    def _row(self, clip_id: str) -> int | None:
        """Return which clip of the table has a name, None if none has."""
        hashes, order = _open_index(self.table.folder)
        wanted = _hash(clip_id)
        at = int(np.searchsorted(hashes, wanted))
        while at < len(hashes) and hashes[at] == wanted:
            if self.table[int(order[at])].clip_id == clip_id:
                return int(order[at])
            at += 1
        return None


def _hash(clip_id: str) -> np.uint64:
    return np.uint64(int(digest(clip_id), 16))


@lru_cache(maxsize=16)
def _open_index(folder: Path) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return what `_index` wrote, mapped; no part of a corpus, which goes to other processes whole."""
    return open_column(folder / HASHES_FILE), open_column(folder / ORDER_FILE)


def _index(table: ClipTable) -> None:
    """Write the hashes of the names of a table's clips, sorted, with their numbers, unless they are there."""
    if (table.folder / ORDER_FILE).exists():
        return
    hashes = np.fromiter((_hash(table[number].clip_id) for number in range(len(table))), np.uint64, len(table))
    order = np.argsort(hashes)
    write_column(table.folder / HASHES_FILE, hashes[order])
    write_column(table.folder / ORDER_FILE, order)

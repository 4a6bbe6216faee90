"""A corpus whose captions of hand-object dynamics are replaced by those of a file."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.name_index import find_rows, write_name_index
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords, Corpus


class Recaptioned:
    """Clips of `corpus` with the captions of hand and object that a file gives, and the narrations they have.

    Clips that the file does not name keep their narrations only, and cannot be read where they
    have none; what it says of clips that the corpus does not have is not used.

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
        self.captions_file = captions
        self.name = corpus.name
        self.group_size = corpus.group_size
        self.variants = corpus.variants
        self.table = open_clip_table(None, captions, cache_dir)
        names = (self.table[row].clip_id for row in range(len(self.table)))
        write_name_index(self.table.folder, names, len(self.table))
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
        return replace(sample, hod=self._hod(sample.clip_id, sample.narrations))

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`."""
        return self.corpus.clip_id(number)

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`.

        Raises:
            BadClip: it cannot be read.
        """
        words = self.corpus.words(number)
        return words._replace(hod=self._hod(self.clip_id(number), words.narrations))

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips, and those of the file that belong to none."""
        for number in range(len(self)):
            try:
                yield from self.corpus.words(number).narrations
            except BadClip:
                continue  # it counts when it is read
        yield from self.table.captions()

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out."""
        return self.corpus.split(valid_share)

    def _hod(self, clip_id: str, narrations: list[str]) -> list[str]:
        row = self._row(clip_id)
        if row is None and not narrations:
            raise BadClip(f"it has no narration, and {self.captions_file} no caption of it")
        return [] if row is None else self.table[row].hod

    def _row(self, clip_id: str) -> int | None:
        """Return which clip of the table has a name, None if none has."""
        rows = find_rows(self.table.folder, clip_id)
        return next((row for row in rows if self.table[row].clip_id == clip_id), None)

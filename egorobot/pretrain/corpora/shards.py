"""A corpus of clips in shards: tar files of samples, read one by one in any order."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from braceexpand import braceexpand
from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.pretrain.corpora.frames import ClipFrames
from egorobot.pretrain.corpora.shard_index import Span, open_index
from egorobot.pretrain.corpora.splitting import split_by_video
from egorobot.pretrain.corpora.tar_samples import JSON, from_tar, parse_record, to_sample
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords

TRIES = 100  # clips that may be bad before a good one, when a corpus is opened


def find_shards(patterns: str | Sequence[str]) -> list[Path]:
    """Return the tar files that `patterns` name: with `*` and `?`, with braces `{000000..000123}`, or folders of them.

    Raises:
        UserError: one of them names none.
    """
    if not patterns:
        raise UserError("shards names none: give tar files or a folder of them, shards=data/shards")
    shards: list[Path] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        try:
            texts = list(braceexpand(pattern))
        except ValueError as error:  # its own are of that kind
            raise UserError(f"shards={pattern}: its braces do not match") from error
        for text in texts:
            path = Path(text)
            if path.is_dir():
                found = sorted(path.glob("*.tar"))
            elif any(letter in text for letter in "*?["):
                found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
            else:
                found = [path] if path.is_file() else []
            if not found:
                raise UserError(f"no shard {text}: check shards=..., or write some with egorobot pretrain.shards")
            shards += found
    return shards


class ShardCorpus:
    """Clips by number; see `Corpus`.

    Args:
        shards: tar files; `to_members` tells what is in them.
        frames: how many frames a sample must have, and lambda; and their rate, where it is to be checked.
        cache_dir: where indexes are kept.
        name: what the corpus is called in messages.

    Attributes:
        group_size: clips that belong together, as the first sample says.
        variants: what sets the clips of a group apart, likewise.
        frame_rate: of the frames, in Hz, likewise; they lie around the middle of a clip. None
            where they are spread over it, or nothing says.

    Raises:
        UserError: none of the first clips can be read, or they have another number of frames,
            or were written with another frame rate.
    """

    def __init__(self, shards: Sequence[Path], frames: ClipFrames, cache_dir: Path, name: str = "shards") -> None:
        self.shards = list(shards)
        self.frames = frames
        self.cache_dir = cache_dir
        self.name = name
        bar = tqdm(self.shards, desc="indexing shards", unit="shard", leave=False, disable=None)
        self._sizes = np.array([len(open_index(shard, cache_dir)) for shard in bar], np.int64)
        first = self._first_record()
        self.group_size = int(first.get("group_size", 1))
        self.variants = tuple(first.get("variants", ()))
        self.frame_rate: float | None = first.get("frame_rate")
        # A shard that ends within a group has the rest of it as clips that cannot be read.
        self._ends = np.cumsum(-(-self._sizes // self.group_size) * self.group_size)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`.

        Raises:
            BadClip: its members are cut off, damaged or not those of a clip.
        """
        sample, _ = self._read(*self._place(number))
        if len(sample.frames_fast) != self.frames.num_frames:
            raise BadClip(f"it has {len(sample.frames_fast)} frames instead of {self.frames.num_frames}")
        return sample

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`; where its JSON cannot be read, its shard's and its place there."""
        shard, row = self._place(number)
        try:
            return self._record(shard, row)["clip_id"]
        except BadClip:
            return f"{self.shards[shard].name}:{row}"

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`.

        Raises:
            BadClip: its JSON is cut off or damaged.
        """
        return _words(self._record(*self._place(number)))

    def captions(self) -> Iterator[str]:
        """Yield all captions of all clips that have some."""
        for shard, size in enumerate(self._sizes):
            for row in range(size):
                try:
                    record = self._record(shard, row)
                except BadClip:
                    continue  # it counts when it is read
                for captions in _words(record):
                    yield from captions

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out; see `split_by_video`. A group goes by its first clip."""
        parts = []
        for shard in self.shards:
            firsts = open_index(shard, self.cache_dir)["video"][:: self.group_size]
            parts.append(np.repeat(firsts, self.group_size))
        return split_by_video(np.concatenate(parts), valid_share, self.name)

    def _first_record(self) -> dict[str, Any]:
        """Return the JSON of the first clip that can be read."""
        problem = "they are empty"
        for number in range(min(TRIES, int(self._sizes.sum()))):
            shard = int(np.searchsorted(np.cumsum(self._sizes), number, side="right"))
            try:
                sample, record = self._read(shard, number - int(self._sizes[:shard].sum()))
            except BadClip as error:
                problem = str(error)
                continue
            if len(sample.frames_fast) != self.frames.num_frames:
                raise UserError(
                    f"{self.shards[shard]} has clips of {len(sample.frames_fast)} frames, and the model takes "
                    f"{self.frames.num_frames} (num_slow times fast_ratio): write shards for it, or change the model"
                )
            rate = record.get("frame_rate")
            if None not in (rate, self.frames.frame_rate) and rate != self.frames.frame_rate:
                raise UserError(
                    f"{self.shards[shard]} has clips of {rate} frames a second, and the model takes "
                    f"{self.frames.frame_rate:g}: model.frame_rate={rate}, or corpus.frame_rate=null for either"
                )
            return record
        raise UserError(f"no clip can be read in {self.shards[0]} and the shards after it: {problem}")

    def _place(self, number: int) -> tuple[int, int]:
        """Return the shard of clip `number`, and which of its clips it is."""
        if not 0 <= number < len(self):
            raise IndexError(f"clip {number} of {len(self)}")
        shard = int(np.searchsorted(self._ends, number, side="right"))
        return shard, number - (int(self._ends[shard - 1]) if shard else 0)

    def _span(self, shard: int, row: int) -> Span:
        if row >= self._sizes[shard]:
            raise BadClip(f"{self.shards[shard]} ends within a group: cut off, perhaps")
        try:
            return Span(*open_index(self.shards[shard], self.cache_dir)[row].item())
        except OSError as error:
            raise BadClip(f"{self.shards[shard]} cannot be read: {error.strerror}") from error

    def _read(self, shard: int, row: int) -> tuple[ClipSample, dict[str, Any]]:
        span = self._span(shard, row)
        try:
            members = from_tar(_bytes(self.shards[shard], span.start, span.stop))
            return to_sample(members, self.frames.fast_ratio), parse_record(members.get(JSON))
        except BadClip as error:
            raise BadClip(f"{self.shards[shard]}, bytes {span.start} to {span.stop}: {error}") from error

    def _record(self, shard: int, row: int) -> dict[str, Any]:
        span = self._span(shard, row)
        content = _bytes(self.shards[shard], span.json_start, span.json_start + span.json_size)
        return parse_record(content or None)


def _words(record: dict[str, Any]) -> ClipWords:
    return ClipWords(record.get("narrations", []), record.get("hod", []))


def _bytes(path: Path, start: int, stop: int) -> bytes:
    """Return bytes `start` to `stop` of a file, as many of them as there are.

    Raises:
        BadClip: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(stop - start)
    except OSError as error:
        raise BadClip(f"{path} cannot be read: {error.strerror}") from error

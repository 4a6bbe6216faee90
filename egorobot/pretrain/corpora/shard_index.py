"""Where in a tar file each sample stands: found once, from the headers of its members, and kept."""

import tarfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from os import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from egorobot.files import digest
from egorobot.pretrain.corpora.columns import open_column, write_column
from egorobot.pretrain.corpora.splitting import video_hash
from egorobot.pretrain.corpora.tar_samples import BLOCK, JSON, parse_record, split_key
from egorobot.pretrain.samples import BadClip

VERSION = "1"  # counted up when the same file gives another index


@dataclass
class Span:
    """A sample in a tar file: bytes `start` to `stop` hold its members, and its JSON is one of them.

    Attributes:
        start: of the first member's header.
        stop: behind the last member, padding included.
        json_start: of the JSON's text.
        json_size: of the JSON's text, in bytes; 0 where there is none.
        video: hash of its video's name, or of its own where the JSON cannot be read.
    """

    start: int
    stop: int
    json_start: int = 0
    json_size: int = 0
    video: int = 0


SPAN = np.dtype([*((name, np.int64) for name in ("start", "stop", "json_start", "json_size")), ("video", np.uint64)])


def open_index(shard: Path, cache_dir: Path) -> NDArray[Any]:
    """Return the samples of `shard`, a structured array `SPAN` (S,), mapped.

    What cannot be read, from the first such byte to the end, counts as one more sample,
    whose reading fails: a shard that is cut off is not taken for a shorter one.

    Args:
        shard: a tar file, not compressed.
        cache_dir: where the index is kept; a shard of another size or time gets a new one.
    """
    state = shard.stat()
    key = digest(VERSION, str(shard.resolve()), str(state.st_size), str(state.st_mtime_ns))
    path = cache_dir / f"{shard.stem}_{key}.npy"
    if not path.exists():
        write_column(path, np.array([astuple(span) for span in find_spans(shard)], SPAN))
    return open_column(path)


def find_spans(shard: Path) -> Iterator[Span]:
    """Yield the samples of `shard`: members that follow each other and share a key are one."""
    with shard.open("rb") as file:
        span, key, end = None, "", 0
        for member in _members(file):
            if span is None or split_key(member.name)[0] != key:
                if span is not None:
                    yield span
                key = split_key(member.name)[0]
                span = Span(member.offset, 0, video=video_hash(f"{shard}/{key}"))
            end = span.stop = member.offset_data + -(-member.size // BLOCK) * BLOCK
            if split_key(member.name)[1] == JSON:
                file.seek(member.offset_data)
                _add_json(span, member, file.read(member.size))
        if span is not None:
            yield span
        size = file.seek(0, SEEK_END)
        file.seek(end)
        if end <= size and file.read(BLOCK) != bytes(BLOCK):  # blocks of zeros end a tar file
            yield Span(end, size, video=video_hash(f"{shard}/{end}"))


def _members(file: BinaryIO) -> Iterator[tarfile.TarInfo]:
    """Yield the files in a tar file, as far as it can be read."""
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # it would keep them all
                if member.isfile():
                    yield member
    except tarfile.TarError:
        return


def _add_json(span: Span, member: tarfile.TarInfo, content: bytes) -> None:
    span.json_start, span.json_size = member.offset_data, member.size
    with suppress(BadClip):
        span.video = video_hash(parse_record(content)["video_id"])

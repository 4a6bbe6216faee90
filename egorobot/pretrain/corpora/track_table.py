"""Where hands and objects are in clips, from the records of captioning: columns on disk, made once, then mapped."""

import json
import math
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.files import atomic_path, digest, write_json
from egorobot.pretrain.corpora.columns import TextColumn, open_column, write_column, write_texts
from egorobot.pretrain.corpora.name_index import find_rows, write_name_index
from egorobot.pretrain.samples import HandObjectTracks

VERSION = "1"  # counted up when the same files give other columns
DONE_FILE = "tracks.json"  # written last
FRAMES_FILE = "frames.float32"
NUMBERS = 14  # of a frame, see `HandObjectTracks.to_array`


class TrackTable:
    """Tracks of clips by their names.

    Args:
        folder: made by `open_track_table`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._names = TextColumn(folder / "names")
        self._starts = open_column(folder / "starts.npy")  # of the first frame, in s, (C,)
        self._rates = open_column(folder / "rates.npy")  # in Hz, (C,)
        self._ends = open_column(folder / "ends.npy")  # (C,): where a clip's frames end in all of them
        frames = folder / FRAMES_FILE
        numbers = np.memmap(frames, np.float32, "r") if frames.stat().st_size else np.empty(0, np.float32)
        self._frames = numbers.reshape(-1, NUMBERS)  # (N, 14)

    def __reduce__(self) -> tuple[type["TrackTable"], tuple[Path]]:
        return TrackTable, (self.folder,)  # other processes map the same files

    def has(self, clip_id: str) -> bool:
        """Return whether there is a record of a clip."""
        return self._row(clip_id) is not None

    def at(self, clip_id: str, times: NDArray[np.float64]) -> HandObjectTracks | None:
        """Return the tracks of a clip at the frames that are nearest to `times`.

        Args:
            clip_id: its name.
            times: in its video, in s, (F,).

        Returns:
            The tracks; None where they are not known of all `times`, to within a frame: what
            nobody looked for must not pass for something that is not there.
        """
        row = self._row(clip_id)
        if row is None:
            return None
        frames = self._frames[int(self._ends[row - 1]) if row else 0 : int(self._ends[row])]
        if not len(frames):
            return None  # the clip could not be read
        numbers = np.rint((times - self._starts[row]) * self._rates[row]).astype(np.int64)
        if numbers.min() < -1 or numbers.max() > len(frames):
            return None
        return HandObjectTracks.from_array(frames[numbers.clip(0, len(frames) - 1)])

    def _row(self, clip_id: str) -> int | None:
        return next((row for row in find_rows(self.folder, clip_id) if self._names[row] == clip_id), None)


def open_track_table(records: Path, cache_dir: Path) -> TrackTable:
    """Return the tracks in the folder `records` that captioning wrote, read once and kept in a folder in `cache_dir`.

    Raises:
        UserError: there are none, or a file is damaged or no record of captioning.
    """
    files = sorted(records.glob("part-*.parquet"))
    if not files:
        raise UserError(f"no records (part-*.parquet) in {records}: pretrain.hod writes them to out=, folder records")
    states = [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    folder = cache_dir / f"tracks_{digest(VERSION, *states)}"
    if not (folder / DONE_FILE).exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, files)
        write_json(folder / DONE_FILE, [str(path) for path in files])
    return TrackTable(folder)


def _write(folder: Path, files: Sequence[Path]) -> None:
    """Write the records in `files` as columns; of all clips no more is held than a few numbers of each."""
    write_texts(folder / "names", (name for (name,) in _read(files, "clip_id")))
    starts, rates, ends, end = array("d"), array("d"), array("q"), 0
    with atomic_path(folder / FRAMES_FILE) as temporary, temporary.open("wb") as file:
        for start, rate, tracks in _read(files, "first_second", "frame_rate", "tracks"):
            frames = np.array(json.loads(tracks), np.float32).reshape(-1, NUMBERS)
            file.write(frames.tobytes())
            end += len(frames)
            ends.append(end)
            starts.append(math.nan if start is None else start)  # of a clip that could not be read
            rates.append(math.nan if rate is None else rate)
    for name, values in (("starts", starts), ("rates", rates), ("ends", ends)):
        write_column(folder / f"{name}.npy", np.array(values))
    names = TextColumn(folder / "names")
    write_name_index(folder, (names[row] for row in range(len(names))), len(names))


def _read(files: Sequence[Path], *fields: str) -> Iterator[tuple[Any, ...]]:
    """Yield the values that all records in `files` have in `fields`."""
    from egorobot.pretrain.hod.records import read_records  # what captions is not loaded where nothing is captioned

    for path in files:
        try:
            for record in read_records(path, fields):
                yield tuple(record[field] for field in fields)
        except (KeyError, OSError, ValueError) as error:  # pyarrow's own are among them
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            raise UserError(f"{path} cannot be read as records of pretrain.hod ({reason})") from error

"""Reading annotation files: which second of which video, and what is said of it.

Columns are those of EgoHOD's files (dataset, video_id, start_second, end_second, text) or of EgoClip's (video_uid,
clip_start, clip_end, clip_text; https://github.com/showlab/EgoVLP), separated by commas or by tabs.
"""

import ast
import csv
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError

# What a column is called, the usual spelling first. Of the captions one is needed.
NEEDED = {
    "video_id": ("video_id", "video_uid"),
    "start_second": ("start_second", "clip_start"),
    "end_second": ("end_second", "clip_end"),
}
TEXT = ("text", "caption", "clip_text")
NARRATION = ("narration",)
OPTIONAL = {"dataset": ("dataset",), "uid": ("uid",)}

CHUNK_ROWS = 10_000  # read at a time
FIRST_ROW = 2  # as a spreadsheet counts: the first is the header
LONGEST = 1e9  # s: no video has so many


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of an annotation file, R of them.

    Attributes:
        video_ids: R names.
        datasets: R names of what the videos belong to, empty where none is given.
        uids: hashes of the clips' own names, uint64 (R,); 0 where none is given.
        start_ms: where the clips begin, in ms, int64 (R,).
        end_ms: where they end, in ms, int64 (R,).
        narrations: of each row.
        hod: captions of hand-object dynamics of each row.
    """

    video_ids: list[str]
    datasets: list[str]
    uids: NDArray[np.uint64]
    start_ms: NDArray[np.int64]
    end_ms: NDArray[np.int64]
    narrations: list[list[str]]
    hod: list[list[str]]


def read_annotations(path: Path, is_hod: bool) -> Iterator[Rows]:
    """Yield the rows of an annotation file, in order, so many at a time that memory does not grow with the file.

    Args:
        path: the file.
        is_hod: whether its column of text holds captions of hand-object dynamics. A column `narration` never does.

    Raises:
        UserError: the file cannot be read, a column is missing, or a row makes no sense.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            separator = "\t" if "\t" in file.readline() else ","
            file.seek(0)
            rows = _read_rows(file, separator)
            header = [name.strip() for name in next(rows, [])]
            columns = _find_columns(path, header)
            number = FIRST_ROW
            while table := list(islice(rows, CHUNK_ROWS)):
                yield _parse(path, number, table, header, columns, is_hod)
                number += len(table)
    except FileNotFoundError as error:
        raise UserError(f"no annotation file {path}: check where it is") from error
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} cannot be read as a table of text ({error}): mend it") from error


def _read_rows(file: TextIO, separator: str) -> Iterator[list[str]]:
    """Yield the fields of every row; empty lines are none."""
    reader = csv.reader(file, delimiter=separator, strict=True)
    try:
        yield from filter(None, reader)
    except csv.Error as error:
        raise csv.Error(f"line {reader.line_num}: {error}") from error


def _find_columns(path: Path, header: list[str]) -> dict[str, int]:
    """Return which column each of ours is."""
    known = {**NEEDED, "text": TEXT, "narration": NARRATION, **OPTIONAL}
    columns = {}
    for name, spellings in known.items():
        found = [spelling for spelling in spellings if spelling in header]
        if found:
            columns[name] = header.index(found[0])
    missing = [name for name in NEEDED if name not in columns]
    if "text" not in columns and "narration" not in columns:
        missing.append("text (or narration)")
    if missing:
        raise UserError(f"{path} has no column {', '.join(missing)}: its columns are {', '.join(header) or 'none'}")
    return columns


def _parse(
    path: Path, first: int, table: list[list[str]], header: list[str], columns: dict[str, int], is_hod: bool
) -> Rows:
    """Return the rows of `table`, whose first is row `first` of the file."""
    lengths = np.array([len(row) for row in table])
    _refuse(path, first, lengths != len(header), f"has not as many fields as the header ({len(header)})")
    cells = {name: [row[column].strip() for row in table] for name, column in columns.items()}
    start_ms, end_ms = (_milliseconds(cells[name]) for name in ("start_second", "end_second"))
    nothing = [""] * len(table)
    texts, narrations = ([_captions(cell) for cell in cells.get(name, nothing)] for name in ("text", "narration"))
    _refuse(path, first, np.isnan(start_ms + end_ms), "has no start_second and end_second that are numbers")
    _refuse(path, first, start_ms < 0, "starts before second 0")
    _refuse(path, first, end_ms <= start_ms, "ends before it begins")
    _refuse(path, first, [not name for name in cells["video_id"]], "has no video_id")
    _refuse(path, first, [not (a or b) for a, b in zip(texts, narrations, strict=True)], "has no text")
    return Rows(
        video_ids=cells["video_id"],
        datasets=cells.get("dataset", nothing),
        uids=np.array([_hash(uid) for uid in cells.get("uid", nothing)], np.uint64),
        start_ms=start_ms.astype(np.int64),
        end_ms=end_ms.astype(np.int64),
        narrations=narrations if is_hod else [a + b for a, b in zip(texts, narrations, strict=True)],
        hod=texts if is_hod else [[] for _ in table],
    )


def _refuse(path: Path, first: int, faulty: Iterable[bool], fault: str) -> None:
    """Refuse the file for the first row that is `faulty`.

    Raises:
        UserError: there is one.
    """
    row = next((row for row, is_faulty in enumerate(faulty, first) if is_faulty), None)
    if row is not None:
        raise UserError(f"{path}, row {row} (the header is row 1) {fault}: mend or remove it")


def _milliseconds(cells: list[str]) -> NDArray[np.float64]:
    """Return times in s as whole ms, NaN where there is no number or none that can be a time."""
    values = np.full(len(cells), np.nan)
    for i, cell in enumerate(cells):
        try:
            values[i] = float(cell)
        except ValueError:
            continue
    values[np.abs(values) > LONGEST] = np.nan
    return np.rint(1000 * values)


def _captions(cell: str) -> list[str]:
    """Return the captions in a cell: one, or those of a Python list that was written as text."""
    if cell.startswith("[") and cell.endswith("]"):
        try:
            entries = ast.literal_eval(cell)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            entries = None  # a caption that happens to stand in brackets
        if isinstance(entries, list) and all(isinstance(entry, str) for entry in entries):
            return [entry.strip() for entry in entries if entry.strip()]
    return [cell] if cell else []


def _hash(uid: str) -> int:
    return int.from_bytes(hashlib.blake2b(uid.encode(), digest_size=8).digest(), "little") if uid else 0

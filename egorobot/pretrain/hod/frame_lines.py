"""A file of 100DOH detections, one JSON object a line: found by time, checked when a clip needs it."""

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.detections import CONTACTS, Box, HandDetection, ObjectDetection
from egorobot.pretrain.samples import SIDES, BadClip

MAX_LINE = 1 << 20  # bytes: a hundred hands and a hundred objects take some 30 kB
HAND_FIELDS, OBJECT_FIELDS = 10, 5  # numbers of a row: all of a hand's, the least of an object's
STATE, SIDE = 5, 9  # which of a hand's they are
OVERHANG = 1.0  # px that rounding may put a box outside the frame
LARGEST = 1e9  # of a number; a larger one is no pixel and no second


@dataclass(frozen=True)
class FrameFile:
    """Where the lines of a file are. The file itself stays on disk: hours of video are long.

    Attributes:
        path: of the file.
        times: of the lines' frames in the video, in s, ascending, (N,).
        starts: the byte at which each of these lines begins, (N,).
        numbers: their line numbers, from 1, (N,).
        fault: why the file cannot be used, empty where it can.
    """

    path: Path
    times: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    starts: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    fault: str = ""

    def detections(self, index: int) -> tuple[list[HandDetection], list[ObjectDetection]]:
        """Return hands and objects of the frame that is number `index` in order of time.

        Raises:
            BadClip: the line makes no sense.
        """
        try:
            with self.path.open("rb") as file:
                file.seek(int(self.starts[index]))
                frame = _parse(file.readline(MAX_LINE + 1))
            width, height = (_number(frame.get(name), name) for name in ("width", "height"))
            if min(width, height) <= 0:
                raise ValueError(f"the frame is {width:g} x {height:g}")
            hands = [_hand(row, width, height) for row in _rows(frame, "hands")]
            return hands, [_object(row, width, height) for row in _rows(frame, "objects")]
        except (OSError, ValueError) as error:
            raise BadClip(f"{self.path}, line {self.numbers[index]}: {error}") from error


def open_frames(path: Path) -> FrameFile:
    """Return the lines of a file, the last one that was asked for from memory unless it has changed.

    Raises:
        BadClip: there is no such file, or a line is not JSON or has no time.
    """
    try:
        state = path.stat()
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise BadClip(f"no detections {path}: {getattr(error, 'strerror', None) or error}") from error
    frames = _find_lines(path, state.st_size, state.st_mtime_ns)
    if frames.fault:
        raise BadClip(frames.fault)
    return frames


@lru_cache(maxsize=1)  # clips of a video follow each other
def _find_lines(path: Path, size: int, mtime_ns: int) -> FrameFile:
    """Return where each time is in a file; a fault is returned, so that it too is found only once."""
    found, start, number = [], 0, 0
    try:
        with path.open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if line.strip() or len(line) > MAX_LINE:
                    found.append((_number(_parse(line).get("time"), "time"), start, number))
                start += len(line)
    except OSError as error:
        return FrameFile(path, fault=f"{path} cannot be read: {error.strerror}")
    except ValueError as error:
        return FrameFile(path, fault=f"{path}, line {number}: {error}")
    times, starts, numbers = zip(*sorted(found), strict=True) if found else ((), (), ())
    return FrameFile(path, np.array(times, float), np.array(starts, np.int64), np.array(numbers, np.int64))


def _parse(line: bytes) -> dict[str, Any]:
    if len(line) > MAX_LINE:
        raise ValueError(f"longer than {MAX_LINE} bytes")
    try:
        frame = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({str(error).splitlines()[0]})") from error
    if not isinstance(frame, dict):
        raise ValueError("not a JSON object")
    return frame


def _number(value: Any, name: str) -> float:
    if value is None:
        raise ValueError(f"no {name}")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name} is a {type(value).__name__}, not a number")
    if not -LARGEST < value < LARGEST:  # true for NaN too
        raise ValueError(f"{name} is not finite, or beyond {LARGEST:g}")
    return float(value)


def _rows(frame: dict[str, Any], name: str) -> list[list[float]]:
    if name not in frame:
        raise ValueError(f"no {name}")
    rows = frame[name] if frame[name] is not None else []  # the detector says None of no detections
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise ValueError(f"{name} is not a list of rows of numbers")
    return [[_number(value, f"a number of {name}") for value in row] for row in rows]


def _hand(row: list[float], width: float, height: float) -> HandDetection:
    if len(row) != HAND_FIELDS:
        raise ValueError(f"a hand has {len(row)} numbers: it must have {HAND_FIELDS}")
    state, side = row[STATE], row[SIDE]
    if state not in range(len(CONTACTS)) or side not in range(len(SIDES)):
        raise ValueError(f"a hand's state is {state:g} and its side {side:g}: they must be 0 to 4, and 0 or 1")
    return HandDetection(SIDES[int(side)], _box(row, width, height), _score(row), CONTACTS[int(state)])


def _object(row: list[float], width: float, height: float) -> ObjectDetection:
    if len(row) < OBJECT_FIELDS:
        raise ValueError(f"an object has {len(row)} numbers: it must have {OBJECT_FIELDS} at least")
    return ObjectDetection(_box(row, width, height), _score(row))


def _score(row: list[float]) -> float:
    if not 0 <= row[4] <= 1:
        raise ValueError(f"a score is {row[4]:g}: it must be in [0, 1]")
    return row[4]


def _box(row: list[float], width: float, height: float) -> Box:
    """Return the box of a row, from pixels to [0, 1]."""
    left, top, right, bottom = row[:4]
    if min(left, top) < -OVERHANG or right > width + OVERHANG or bottom > height + OVERHANG:
        raise ValueError(f"the box {row[:4]} lies outside the frame of {width:g} x {height:g}")
    left, top = max(left / width, 0.0), max(top / height, 0.0)
    right, bottom = min(right / width, 1.0), min(bottom / height, 1.0)
    if left >= right or top >= bottom:
        raise ValueError(f"the box {row[:4]} is empty")
    return left, top, right, bottom

"""Detections of single frames to tracks: one box a hand, short gaps filled, jitter smoothed."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.detections import WITH_OBJECT, Box, FrameDetections, HandDetection, ObjectDetection
from egorobot.pretrain.samples import SIDES, HandObjectTracks

SMOOTHING = 3  # frames that a box is averaged over
MIN_OVERLAP = 0.1  # of the smaller box, from which hand and object touch


def to_tracks(frames: Sequence[FrameDetections], max_gap: float) -> HandObjectTracks:
    """Return the tracks of both hands and of the object that was detected most surely.

    Where the detector tells no contact, a hand touches the object when their boxes overlap.

    Args:
        frames: in order of time, one at least.
        max_gap: longest time without a detection that is filled, in s.
    """
    times = np.array([frame.time for frame in frames])
    seen = [[surest(hand for hand in frame.hands if hand.side == side) for frame in frames] for side in SIDES]
    hands = [_track(found, times, max_gap) for found in seen]
    thing = _track([surest(frame.objects) for frame in frames], times, max_gap)
    contact = [_contact(found, boxes, thing) for found, boxes in zip(seen, hands, strict=True)]
    return HandObjectTracks(np.stack(hands, axis=1), thing, np.stack(contact, axis=1))


Detection = TypeVar("Detection", HandDetection, ObjectDetection)


def surest(found: Iterable[Detection]) -> Detection | None:
    """Return the detection with the highest score, None of none."""
    return max(found, key=lambda detection: detection.score, default=None)


def _track(
    found: Sequence[HandDetection | None] | Sequence[ObjectDetection | None], times: NDArray[np.float64], max_gap: float
) -> NDArray[np.float32]:
    """Return the box at each of `times`, (F, 4), NaN where it is not known."""
    boxes = np.array([[np.nan] * 4 if detection is None else detection.box for detection in found])
    known = np.flatnonzero(~np.isnan(boxes[:, 0]))
    for before, after in pairwise(known):
        if times[after] - times[before] <= max_gap:
            inside = slice(before, after + 1)
            for side in range(4):
                ends = boxes[[before, after], side]
                boxes[inside, side] = np.interp(times[inside], times[[before, after]], ends)
    return _smooth(boxes).astype(np.float32)


def _smooth(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes (F, 4) averaged with their neighbours where there are some; what is unknown stays so."""
    reach = SMOOTHING // 2
    padded = np.pad(boxes, ((reach, reach), (0, 0)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=0)  # (F, 4, SMOOTHING)
    known = ~np.isnan(windows)
    sums = np.where(known, windows, 0.0).sum(axis=2)
    averages = sums / np.maximum(known.sum(axis=2), 1)
    return np.where(np.isnan(boxes), np.nan, averages)


def _contact(
    found: Sequence[HandDetection | None], hand: NDArray[np.float32], thing: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return whether a hand touches the object, (F,)."""
    told = [detection.contact if detection is not None else None for detection in found]
    if any(contact is not None for contact in told):
        touches = np.array([contact in WITH_OBJECT for contact in told])
        for frame in range(1, len(touches)):
            if found[frame] is None and not np.isnan(hand[frame, 0]):  # in a gap that is filled: as before it
                touches[frame] = touches[frame - 1]
        return touches
    return np.array([overlap(tuple(a), tuple(b)) >= MIN_OVERLAP for a, b in zip(hand, thing, strict=True)])


def overlap(a: Box, b: Box) -> float:
    """Return the share of the smaller of two boxes that the other covers, 0 where one is NaN."""
    if np.isnan([*a, *b]).any():
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(width * height / min(areas))

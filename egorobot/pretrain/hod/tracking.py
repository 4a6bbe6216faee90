"""Detections of single frames to tracks: one box a hand, short gaps filled, jitter smoothed."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.association import Detection, associate
from egorobot.pretrain.hod.detections import WITH_OBJECT, Box, FrameDetections, HandDetection
from egorobot.pretrain.samples import SIDES, HandObjectTracks

SMOOTHING = 3  # frames that a box is averaged over
MIN_OVERLAP = 0.1  # of the smaller box, from which hand and object may touch
MOTION_TIME = 0.1  # s before and after a frame over which motions are compared
MAX_SLIP = 0.03  # of the image's side that hand and object may move differently in that time, ...
MAX_SLIP_SHARE = 0.8  # ... or of the larger of the two moves: the middle of a door moves less than its handle


def to_tracks(frames: Sequence[FrameDetections], max_gap: float) -> HandObjectTracks:
    """Return the tracks of both hands and of one object: sure detections that do not jump.

    Where the detector tells no contact, a hand touches the object when their boxes overlap
    and both are still or move alike.

    Args:
        frames: in order of time, one at least.
        max_gap: longest time without a detection that is filled, in s.
    """
    times = np.array([frame.time for frame in frames])
    seen = associate([frame.hands for frame in frames], times.tolist(), SIDES)
    (things,) = associate([frame.objects for frame in frames], times.tolist(), ["object"])
    filled = [_fill(found, times, max_gap) for found in (*seen, things)]
    *hands, thing = [_smooth(boxes).astype(np.float32) for boxes in filled]
    contact = []
    for found, exact, smooth in zip(seen, filled, hands, strict=False):
        told = _told_contact(found, smooth)
        contact.append(_likely_contact(exact, filled[-1], times) if told is None else told)
    return HandObjectTracks(np.stack(hands, axis=1), thing, np.stack(contact, axis=1))


def _fill(found: Sequence[Detection | None], times: NDArray[np.float64], max_gap: float) -> NDArray[np.float64]:
    """Return the box at each of `times`, (F, 4), NaN where it is not known."""
    boxes = np.array([[np.nan] * 4 if detection is None else detection.box for detection in found])
    known = np.flatnonzero(~np.isnan(boxes[:, 0]))
    for before, after in pairwise(known):
        if times[after] - times[before] <= max_gap:
            inside = slice(before, after + 1)
            for side in range(4):
                ends = boxes[[before, after], side]
                boxes[inside, side] = np.interp(times[inside], times[[before, after]], ends)
    return boxes


def _smooth(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return boxes (F, 4) averaged with their neighbours; where one is unknown, as they are: no end is drawn in."""
    reach = SMOOTHING // 2
    padded = np.pad(boxes, ((reach, reach), (0, 0)), constant_values=np.nan)
    averages = np.lib.stride_tricks.sliding_window_view(padded, SMOOTHING, axis=0).mean(axis=2)  # (F, 4)
    return np.where(np.isnan(averages), boxes, averages)


def _told_contact(found: Sequence[Detection | None], hand: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Return whether a hand touches an object by the detector's word, (F,); None where it tells nothing."""
    told = [detection.contact if isinstance(detection, HandDetection) else None for detection in found]
    if all(contact is None for contact in told):
        return None
    touches = np.array([contact in WITH_OBJECT for contact in told])
    for frame in range(1, len(touches)):
        if found[frame] is None and not np.isnan(hand[frame, 0]):  # in a gap that is filled: as before it
            touches[frame] = touches[frame - 1]
    return touches


def _likely_contact(
    hand: NDArray[np.float64], thing: NDArray[np.float64], times: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return whether boxes (F, 4) overlap and move alike, (F,), as most of a frame and its neighbours do."""
    overlaps = [overlap(tuple(a), tuple(b)) >= MIN_OVERLAP for a, b in zip(hand, thing, strict=True)]
    touches = np.array(overlaps) & _move_alike(hand, thing, times)
    padded = np.pad(touches.astype(int), 1, mode="edge")
    return np.convolve(padded, np.ones(3, int), mode="valid") >= 2


def _move_alike(hand: NDArray[np.float64], thing: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return whether boxes (F, 4) move alike or not at all about each frame, (F,)."""
    frames = np.arange(len(times))
    early = np.maximum(np.minimum(np.searchsorted(times, times - MOTION_TIME - 1e-6), frames - 1), 0)
    late = np.searchsorted(times, times + MOTION_TIME + 1e-6, side="right") - 1
    late = np.minimum(np.maximum(late, frames + 1), len(times) - 1)
    moves = [(boxes[late] - boxes[early]).reshape(-1, 2, 2).mean(axis=1) for boxes in (hand, thing)]  # (F, 2)
    slip = np.linalg.norm(moves[0] - moves[1], axis=1)
    larger = np.maximum(*(np.linalg.norm(move, axis=1) for move in moves))
    alike: NDArray[np.bool_] = slip <= np.maximum(MAX_SLIP, MAX_SLIP_SHARE * larger)
    return alike


def overlap(a: Box, b: Box) -> float:
    """Return the share of the smaller of two boxes that the other covers, 0 where one is NaN."""
    if np.isnan([*a, *b]).any():
        return 0.0
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(width * height / min(areas))

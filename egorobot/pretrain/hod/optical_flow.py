"""What moves as a hand does between two frames: dense optical flow, without the camera's own motion."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.detections import Box, ObjectDetection
from egorobot.pretrain.hod.packages import need

SHORT_SIDE = 160  # px that flow is computed at, at most; lengths below are in px of that size
MIN_MOVE = 1.0  # px; a hand that moves less rests
CLEAR_MOVE = 3.0  # px; more makes nothing surer
MIN_MOVING = 0.2  # share of a hand's box, less of which is the background's motion or noise
TOLERANCE = 0.35  # difference to the hand's motion, as a share of it
MIN_GAIN = 3.0  # grey levels by which its own flow must explain a pixel better than the camera's motion does
MAX_LEFT = 0.35  # share of the mismatch that this flow may leave
BLUR = 5  # px that these differences are averaged over
CLOSING, OPENING = 7, 5  # px: holes of smooth surfaces to fill, threads and specks to remove
BAND, MIN_TEXTURE = 8, 0.3  # px around a hand, and the share of them in which a motion must show
GREY, SKIN = 1 / 3, 0.06  # share of a colour in grey, and the difference up to which a colour is the hand's
EDGE = 6  # px from the edge of the image, beyond what leaves it by its motion
TOUCH = 3  # px between a hand's box and what it touches
MIN_AREA, CLEAR_AREA = 0.04, 0.25  # of a region, as shares of the hand's box
MAX_SCORE, MIN_SCORE = 0.6, 0.06  # of a region; one below is none
FLOW = {
    "pyr_scale": 0.5, "levels": 4, "winsize": 13, "iterations": 3, "poly_n": 5, "poly_sigma": 1.1, "flags": 0,
}  # fmt: skip


@dataclass(frozen=True)
class Motion:
    """Between two frames, in px of the reduced image, (h, w).

    Attributes:
        flow: without the camera's motion, (h, w, 2), to the right and down.
        moving: where that flow is real, (h, w): it explains the pixels better than none does.
        hands: where hands are, (h, w).
        grey: brightness of the first, (h, w).
        colour: shares of red and green in its brightness, (h, w, 2): shade does not change them.
        camera: the camera's motion, (2,).
    """

    flow: NDArray[np.float32]
    moving: NDArray[np.bool_]
    hands: NDArray[np.bool_]
    grey: NDArray[np.uint8]
    colour: NDArray[np.float32]
    camera: NDArray[np.float32]


@dataclass(frozen=True)
class Region:
    """What moves with a hand that moves.

    Attributes:
        thing: None where nothing is seen to.
        touches: whether a thing touches the hand; None where it could not be seen.
    """

    thing: ObjectDetection | None
    touches: bool | None


def small_image(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a frame (H, W, 3) with a short side of at most `SHORT_SIDE`, (h, w, 3)."""
    cv2 = need("cv2")
    scale = min(1.0, SHORT_SIDE / min(frame.shape[:2]))
    image = np.ascontiguousarray(frame)
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else image


def motion_between(image: NDArray[np.uint8], other: NDArray[np.uint8], hands: Sequence[Box]) -> Motion:
    """Return the motion from one `small_image` to another, seen from the first, which has `hands`."""
    cv2 = need("cv2")
    here, there = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (image, other))
    covered = np.zeros(here.shape, bool)
    for box in hands:
        covered[_slices(box, here.shape)] = True
    flow = cv2.calcOpticalFlowFarneback(here, there, None, **FLOW)
    around = flow[~covered] if not covered.all() else flow.reshape(-1, 2)
    camera = np.median(around, axis=0)
    moved, unmoved = _mismatch(here, there, flow), _mismatch(here, there, np.broadcast_to(camera, flow.shape))
    # What a hand is about to cover matches nothing well: hence the share.
    moving = (unmoved - moved > MIN_GAIN) & (moved < MAX_LEFT * unmoved)
    return Motion(flow - camera, moving, covered, here, _shares(image), camera)


def region_of(motion: Motion, hand: Box) -> Region | None:
    """Return what moves with a hand, None where the hand itself hardly moves."""
    shape = motion.moving.shape
    inside = _slices(hand, shape)
    moving = motion.moving[inside]
    if not moving.size or moving.mean() < MIN_MOVING:
        return None
    own = np.median(motion.flow[inside][moving], axis=0)
    speed = float(np.linalg.norm(own))
    if speed < MIN_MOVE:
        return None
    difference = np.linalg.norm(motion.flow - own, axis=-1) / speed  # (h, w)
    alike = motion.moving & (difference < TOLERANCE) & ~_like_skin(motion.colour, hand)
    labels = _pieces(alike & ~motion.hands, motion.hands, EDGE + int(np.abs(own + motion.camera).max()))
    window = _slices(_grown(hand), shape)
    near = np.zeros_like(labels)
    near[window] = labels[window]
    areas = np.bincount(near.ravel())
    areas[0] = 0
    areas[areas < MIN_AREA * moving.size] = 0
    touching = np.unique(near[_slices(hand, shape, TOUCH)])
    if areas[touching].any():  # the hand's shadow, for one, may be larger
        areas[np.setdiff1d(np.arange(len(areas)), touching)] = 0
    nothing = Region(None, False if _would_show(motion, hand, own) else None)
    best = int(areas.argmax())
    if not areas[best]:
        return nothing
    piece = near == best
    agreement = 1 - min(1.0, float(difference[piece].mean()) / TOLERANCE)
    size = min(1.0, areas[best] / (CLEAR_AREA * moving.size))
    score = MAX_SCORE * agreement * size * min(1.0, speed / CLEAR_MOVE)
    if score < MIN_SCORE:
        return nothing
    return Region(ObjectDetection(_box_around(piece), float(score)), bool(best in touching))


def _pieces(alike: NDArray[np.bool_], hands: NDArray[np.bool_], margin: int) -> NDArray[np.int32]:
    """Return the connected pieces of (h, w), each with a number from 1, but for those within `margin` of the edge."""
    cv2 = need("cv2")
    mask = alike.astype(np.uint8)
    mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((CLOSING, CLOSING), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((OPENING, OPENING), np.uint8))
    mask[hands] = 0  # closing may have grown into them
    _, labels = cv2.connectedComponents(mask)
    at_edge = np.ones(labels.shape, bool)
    at_edge[margin:-margin, margin:-margin] = False
    labels[np.isin(labels, labels[at_edge])] = 0  # forearms, and the background
    return labels


def _would_show(motion: Motion, hand: Box, own: NDArray[np.float32]) -> bool:
    """Return whether what lies around a hand has texture enough to see it move as the hand does."""
    changes = _mismatch(motion.grey, motion.grey, np.broadcast_to(own, motion.flow.shape)) > MIN_GAIN
    around = _slices(hand, motion.grey.shape, BAND)
    free = ~motion.hands[around]
    return bool(free.any() and changes[around][free].mean() >= MIN_TEXTURE)


def _shares(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the shares of red and green in the sum of an image's (h, w, 3) colours, (h, w, 2)."""
    colours = image.astype(np.float32) + 1  # black is grey
    return colours[..., :2] / colours.sum(axis=-1, keepdims=True)


def _like_skin(colour: NDArray[np.float32], hand: Box) -> NDArray[np.bool_]:
    """Return which pixels (h, w) have the colour of the middle of a hand; none where that is grey: it tells nothing."""
    rows, columns = _slices(hand, colour.shape[:2])
    quarters = [(part.stop - part.start) // 4 for part in (rows, columns)]
    rows, columns = (slice(p.start + q, p.stop - q) for p, q in zip((rows, columns), quarters, strict=True))
    skin = np.median(colour[rows, columns].reshape(-1, 2), axis=0)
    if np.linalg.norm(skin - GREY) < SKIN:
        return np.zeros(colour.shape[:2], bool)
    return np.linalg.norm(colour - skin, axis=-1) < SKIN


def _mismatch(here: NDArray[np.uint8], there: NDArray[np.uint8], flow: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return by how many grey levels each pixel of `here` differs from where `flow` says it is in `there`, (h, w)."""
    cv2 = need("cv2")
    rows, columns = np.indices(here.shape, np.float32)
    moved = cv2.remap(there, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
    return cv2.blur(cv2.absdiff(here, moved).astype(np.float32), (BLUR, BLUR))


def _slices(box: Box, shape: tuple[int, ...], margin: int = 0) -> tuple[slice, slice]:
    """Return rows and columns of a box in an image of a shape (h, w), with `margin` px around it."""
    height, width = shape
    left, top, right, bottom = (round(side * length) for side, length in zip(box, (width, height) * 2, strict=True))
    rows = slice(max(0, top - margin), min(height, bottom + margin))
    return rows, slice(max(0, left - margin), min(width, right + margin))


def _grown(box: Box) -> Box:
    """Return a box with its own width and height added on each side, as far as the image goes."""
    left, top, right, bottom = box
    width, height = right - left, bottom - top
    return max(0.0, left - width), max(0.0, top - height), min(1.0, right + width), min(1.0, bottom + height)


def _box_around(piece: NDArray[np.bool_]) -> Box:
    """Return the box around the pixels of a piece (h, w), in [0, 1]."""
    rows, columns = (np.flatnonzero(piece.any(axis=axis)) for axis in (1, 0))
    height, width = piece.shape
    left, right = columns[0] / width, (columns[-1] + 1) / width
    top, bottom = rows[0] / height, (rows[-1] + 1) / height
    return float(left), float(top), float(right), float(bottom)

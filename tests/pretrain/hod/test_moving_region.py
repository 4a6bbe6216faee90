"""Textured patches before a background that shifts: what moves with a hand is the object, what does not is none."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import Box, FrameDetections, HandDetection, ObjectDetection
from egorobot.pretrain.hod.moving_region import MovingRegion
from egorobot.pretrain.hod.optical_flow import _box_around

SIZE, NUM_FRAMES = 160, 8  # px, frames
SKIN, BLUE = (200, 140, 110), (70, 100, 190)
HAND = (60, 60, 28, 28)  # left, top, width, height in the first frame, in px
THING = (88, 62, 30, 24)  # at the hand's right side
CAMERA = (-2, 1)  # px a frame to the right and down, of the background
Patch = tuple[int, int, int, int]


class Hands:
    """A detector that knows where the right hand is."""

    name = "known"

    def __init__(self, way: tuple[int, int], contact: str | None = None) -> None:
        self.way = way
        self.contact = contact

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        boxes = [to_box(HAND, self.way, i) for i in range(len(clip.frames))]
        return [
            FrameDetections(float(time), [HandDetection("right", box, 0.9, self.contact)])
            for time, box in zip(clip.times, boxes, strict=True)
        ]


def to_box(patch: Patch, way: tuple[int, int], frame: int) -> Box:
    left, top = (patch[i] + way[i] * frame for i in range(2))
    return left / SIZE, top / SIZE, (left + patch[2]) / SIZE, (top + patch[3]) / SIZE


def texture(rng: np.random.Generator, height: int, width: int, colour: Sequence[int]) -> NDArray[np.uint8]:
    """Blotches of 4 px of one colour, brighter and darker."""
    blotches = rng.uniform(0.4, 1.25, (height // 4 + 1, width // 4 + 1)).repeat(4, axis=0).repeat(4, axis=1)
    return np.clip(blotches[:height, :width, None] * np.array(colour), 0, 255).astype(np.uint8)


def make_clip(patches: Sequence[tuple[Patch, tuple[int, int], Sequence[int]]], rate: float = 10.0) -> HodClip:
    """Patches, their ways in px a frame and their colours, before a background that moves with the camera."""
    rng = np.random.default_rng(0)
    wide = texture(rng, SIZE + 100, SIZE + 100, (120, 120, 120))
    looks = [texture(rng, patch[3], patch[2], colour) for patch, _, colour in patches]
    frames = []
    for i in range(NUM_FRAMES):
        x, y = 50 - CAMERA[0] * i, 50 - CAMERA[1] * i
        frame = wide[y : y + SIZE, x : x + SIZE].copy()
        for (patch, way, _), look in zip(patches, looks, strict=True):
            left, top = patch[0] + way[0] * i, patch[1] + way[1] * i
            part = frame[top : top + patch[3], left : left + patch[2]]
            part[:] = look[: part.shape[0], : part.shape[1]]  # as far as it is in view
        frames.append(frame)
    return HodClip(AnnotatedClip("made", "", 0, NUM_FRAMES / rate, [], []), np.stack(frames), rate)


def intersection_over_union(a: Box, b: Box) -> float:
    width, height = (max(0.0, min(a[i + 2], b[i + 2]) - max(a[i], b[i])) for i in range(2))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize("way", [(3, -2), (-4, 2), (0, 0)])  # the last is moved by the camera alone
def test_what_moves_with_the_hand_is_the_object_and_touched(way: tuple[int, int]) -> None:
    frames = MovingRegion(Hands(way)).detect(make_clip([(HAND, way, SKIN), (THING, way, BLUE)]))
    assert [len(frame.objects) for frame in frames] == [1] * NUM_FRAMES
    found = [frame.objects[0] for frame in frames]
    shares = [intersection_over_union(one.box, to_box(THING, way, i)) for i, one in enumerate(found)]
    assert np.mean(shares) > 0.6 and min(shares) > 0.4
    assert all(0.1 < one.score <= 0.6 for one in found)
    assert [frame.hands[0].contact for frame in frames] == ["P"] * NUM_FRAMES


@pytest.mark.parametrize("thing_way", [CAMERA, (3, 3)])  # it lies there, or moves another way
def test_what_does_not_move_with_the_hand_is_none(thing_way: tuple[int, int]) -> None:
    way = (3, -2)
    frames = MovingRegion(Hands(way)).detect(make_clip([(THING, thing_way, BLUE), (HAND, way, SKIN)]))
    assert not any(frame.objects for frame in frames)
    assert [frame.hands[0].contact for frame in frames] == ["N"] * NUM_FRAMES


def test_a_hand_that_rests_tells_nothing() -> None:
    frames = MovingRegion(Hands(CAMERA)).detect(make_clip([(HAND, CAMERA, SKIN), (THING, CAMERA, BLUE)]))
    assert not any(frame.objects or frame.hands[0].contact for frame in frames)


@pytest.mark.parametrize(
    ("arm", "colour"), [(THING, SKIN), ((88, 62, 150, 24), BLUE)], ids=["of the hand's colour", "reaching the edge"]
)
def test_a_forearm_is_no_object(arm: Patch, colour: Sequence[int]) -> None:
    way = (-3, -2)
    frames = MovingRegion(Hands(way)).detect(make_clip([(HAND, way, SKIN), (arm, way, colour)]))
    assert not any(frame.objects for frame in frames)


def test_a_thing_that_moves_along_without_touching_is_not_held() -> None:
    way, beside = (3, -2), (104, 62, 30, 24)
    frames = MovingRegion(Hands(way)).detect(make_clip([(HAND, way, SKIN), (beside, way, BLUE)]))
    assert all(frame.objects for frame in frames)
    assert {frame.hands[0].contact for frame in frames} == {"N"}


def test_contact_and_objects_of_the_other_detector_stay() -> None:
    class Knowing(Hands):
        def detect(self, clip: HodClip) -> list[FrameDetections]:
            for frame in (frames := super().detect(clip)):
                frame.objects.append(ObjectDetection((0, 0, 1, 1), 0.9))
            return frames

    way = (3, -2)
    frames = MovingRegion(Knowing(way, "F")).detect(make_clip([(HAND, way, SKIN), (THING, way, BLUE)]))
    assert [frame.hands[0].contact for frame in frames] == ["F"] * NUM_FRAMES
    assert [[found.score == 0.9 for found in frame.objects] for frame in frames] == [[True, False]] * NUM_FRAMES


def test_large_frames_are_reduced_and_boxes_are_the_same() -> None:
    way = (3, -2)
    small = make_clip([(HAND, way, SKIN), (THING, way, BLUE)])
    large = HodClip(small.annotated, small.frames.repeat(3, axis=1).repeat(3, axis=2), small.frame_rate)
    for a, b in zip(*(MovingRegion(Hands(way)).detect(clip) for clip in (small, large)), strict=True):
        assert intersection_over_union(a.objects[0].box, b.objects[0].box) > 0.9


def test_one_frame_shows_no_motion() -> None:
    clip = make_clip([(HAND, (0, 0), SKIN)])
    (frame,) = MovingRegion(Hands((0, 0))).detect(HodClip(clip.annotated, clip.frames[:1], clip.frame_rate))
    assert not frame.objects and frame.hands[0].contact is None


def test_a_piece_may_be_one_pixel_wide() -> None:
    piece = np.zeros((20, 40), bool)
    piece[5:15, 39] = True
    assert _box_around(piece) == (39 / 40, 5 / 20, 1.0, 15 / 20)

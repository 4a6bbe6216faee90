"""Tracks: the surest detection, short gaps filled, long ones left, jitter smoothed."""

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.hod.detections import FrameDetections, HandDetection, ObjectDetection
from egorobot.pretrain.hod.tracking import overlap, to_tracks

LEFT, RIGHT = 0, 1


def box(x: float) -> tuple[float, float, float, float]:
    return (x, 0.4, x + 0.1, 0.5)


def hand(x: float, side: str = "right", score: float = 0.9, contact: str | None = None) -> HandDetection:
    return HandDetection(side, box(x), score, contact)


def frames(*hands: list[HandDetection], objects: list[ObjectDetection] | None = None) -> list[FrameDetections]:
    return [FrameDetections(0.1 * i, found, objects or []) for i, found in enumerate(hands)]


def test_the_surest_hand_of_a_side_is_followed() -> None:
    tracks = to_tracks(frames(*[[hand(0.2), hand(0.7, score=0.3), hand(0.5, "left")]] * 3), max_gap=0.5)
    np.testing.assert_allclose(tracks.hands[:, RIGHT, 0], 0.2, rtol=1e-6)
    np.testing.assert_allclose(tracks.hands[:, LEFT, 0], 0.5, rtol=1e-6)
    assert np.isnan(tracks.object).all() and not tracks.contact.any()


def test_short_gaps_are_filled_on_a_straight_line_and_long_ones_are_not() -> None:
    found = [[hand(0.1)], [hand(0.1)], [], [], [hand(0.4)], [hand(0.4)], *[[]] * 6, [hand(0.8)], [hand(0.8)]]
    left = to_tracks(frames(*found), max_gap=0.35).hands[:, RIGHT, 0]
    assert 0.1 < left[2] < left[3] < 0.4
    assert np.isnan(left[6:12]).all() and not np.isnan(left[[5, 12, 13]]).any()


def test_jitter_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    xs = 0.4 + rng.normal(0, 0.02, 40)
    smooth = to_tracks(frames(*[[hand(float(x))] for x in xs]), max_gap=0.5).hands[:, RIGHT, 0]
    assert np.diff(smooth).std() < 0.5 * np.diff(xs).std()
    assert abs(smooth.mean() - xs.mean()) < 0.005


def test_contact_is_what_the_detector_says() -> None:
    found = [[hand(0.2, contact=state)] for state in "NSPFO"]
    assert to_tracks(frames(*found), max_gap=0.5).contact[:, RIGHT].tolist() == [False, False, True, True, False]


def test_without_its_word_contact_is_overlap_with_the_object() -> None:
    found = [[hand(x), hand(0.0, "left")] for x in (0.1, 0.1, 0.5, 0.5)]
    tracks = to_tracks(frames(*found, objects=[ObjectDetection(box(0.5), 0.5), ObjectDetection(box(0.0), 0.1)]), 0.5)
    assert not tracks.contact[0, RIGHT] and tracks.contact[3, RIGHT]
    assert not tracks.contact[:, LEFT].any()  # the less sure object is none


def test_overlap_is_that_of_the_smaller_box() -> None:
    assert overlap((0, 0, 1, 1), (0.4, 0.4, 0.5, 0.5)) == pytest.approx(1)
    assert overlap((0, 0, 0.2, 1), (0.1, 0, 1, 1)) == pytest.approx(0.5)
    assert overlap((0, 0, 0.1, 0.1), (0.5, 0.5, 1, 1)) == 0
    assert overlap((0, 0, 1, 1), (float("nan"),) * 4) == overlap((float("nan"),) * 4, (0, 0, 1, 1)) == 0


@pytest.mark.parametrize("wrong", [(0.5, 0, 0.4, 1), (0, 0, float("nan"), 1), (-0.1, 0, 0.5, 1), (0, 0, 1, 1.2)])
def test_boxes_outside_the_image_are_refused(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(UserError, match="box"):
        HandDetection("left", wrong, 1.0)
    with pytest.raises(UserError, match="box"):
        ObjectDetection(wrong, 1.0)


def test_unknown_sides_and_contacts_are_refused() -> None:
    with pytest.raises(UserError, match="left or right"):
        HandDetection("both", box(0.1), 1.0)
    with pytest.raises(UserError, match="N S O P F"):
        HandDetection("left", box(0.1), 1.0, "X")


def test_contact_lasts_through_a_gap_that_is_filled() -> None:
    found = [[hand(0.2, contact="P")], [], [hand(0.2, contact="P")], [hand(0.2, contact="N")], []]
    assert to_tracks(frames(*found), max_gap=0.5).contact[:, RIGHT].tolist() == [True, True, True, False, False]


def xs(found: list[FrameDetections], side: int = RIGHT) -> list[float]:
    return [round(float(x), 3) for x in to_tracks(found, max_gap=0.5).hands[:, side, 0]]


def test_a_hand_is_followed_and_not_the_surest_of_each_frame() -> None:
    found = [[hand(0.2, score=0.8), hand(0.7, score=0.95 if i in (3, 6) else 0.5)] for i in range(10)]
    assert xs(frames(*found)) == [0.2] * 10


def test_a_detection_that_leads_away_and_back_is_none() -> None:
    found = [[hand(0.2 + 0.01 * i)] for i in range(8)]
    found[4] = [hand(0.8)]
    assert xs(frames(*found)) == [round(0.2 + 0.01 * i, 3) for i in range(8)]


def test_a_hand_that_stays_elsewhere_has_gone_there() -> None:
    assert xs(frames(*[[hand(x)] for x in (0.1, 0.1, 0.1, 0.7, 0.7, 0.7)]))[-1] == 0.7


@pytest.mark.parametrize("frame", [0, 3, 7])
def test_sides_that_swap_for_a_frame_swap_nothing(frame: int) -> None:
    found = [[hand(0.1), hand(0.6, "left")] for _ in range(8)]
    found[frame] = [hand(0.1, "left"), hand(0.6)]
    assert xs(frames(*found)) == [0.1] * 8 and xs(frames(*found), LEFT) == [0.6] * 8


@pytest.mark.parametrize("frame", [0, 3, 7])
def test_a_hand_that_is_the_other_for_a_frame_is_no_other(frame: int) -> None:
    found = [[hand(0.1)] for _ in range(8)]
    found[frame] = [hand(0.1, "left")]
    assert xs(frames(*found)) == [0.1] * 8
    assert np.isnan(to_tracks(frames(*found), max_gap=0.5).hands[:, LEFT]).all()


def test_a_second_hand_of_a_side_is_not_the_other_hand() -> None:
    found = [[hand(0.1), hand(0.6, score=0.8)] for _ in range(8)]
    assert np.isnan(to_tracks(frames(*found), max_gap=0.5).hands[:, LEFT]).all()


def test_hands_that_cross_keep_their_sides() -> None:
    found = [[hand(0.2 + 0.05 * i), hand(0.7 - 0.05 * i, "left")] for i in range(11)]
    ends = to_tracks(frames(*found), max_gap=0.5).hands[-1, :, 0]
    np.testing.assert_allclose(ends, [0.2, 0.7], atol=1e-6)


def test_a_hand_seen_once_is_seen() -> None:
    tracks = to_tracks(frames([hand(0.3)]), max_gap=0.5)
    assert tracks.hands[0, RIGHT, 0] == pytest.approx(0.3) and np.isnan(tracks.hands[0, LEFT, 0])


def test_one_object_is_followed_among_several() -> None:
    found = frames(*[[]] * 8)
    for i, frame in enumerate(found):
        frame.objects[:] = [
            ObjectDetection(box(0.2 + 0.02 * i), 0.6), ObjectDetection(box(0.8), 0.9 if i in (2, 5) else 0.3),
        ]  # fmt: skip
    places = to_tracks(found, max_gap=0.5).object[:, 0]
    np.testing.assert_allclose(places, 0.2 + 0.02 * np.arange(8), atol=1e-6)


def passing(hand_xs: np.ndarray, object_xs: np.ndarray) -> list[bool]:
    found = frames(*[[hand(float(x))] for x in hand_xs])
    for frame, x in zip(found, object_xs, strict=True):
        frame.objects[:] = [ObjectDetection(box(float(x)), 0.9)]
    return [bool(touches) for touches in to_tracks(found, max_gap=0.5).contact[:, RIGHT]]


def test_a_hand_that_passes_over_a_thing_does_not_touch_it() -> None:
    assert not any(passing(np.linspace(0.2, 0.8, 13), np.full(13, 0.5)))


def test_a_hand_that_moves_with_a_thing_or_rests_on_it_touches_it() -> None:
    way = np.linspace(0.2, 0.8, 13)
    assert all(passing(way, way + 0.03))
    assert all(passing(np.full(13, 0.5), np.full(13, 0.53)))


def test_from_approach_to_carry_contact_begins_once() -> None:
    way = np.concatenate([np.linspace(0.1, 0.5, 9), np.full(3, 0.5), np.linspace(0.5, 0.9, 9)])
    contact = passing(way, np.maximum(way, 0.5))
    assert np.abs(np.diff(np.array(contact, int))).sum() == 1 and not contact[0] and contact[-1]


def test_smoothing_draws_no_end_in() -> None:
    assert xs(frames(*[[hand(x)] for x in (0.1, 0.2, 0.3, 0.4)])) == [0.1, 0.2, 0.3, 0.4]

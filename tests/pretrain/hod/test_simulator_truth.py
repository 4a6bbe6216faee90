"""The truth of simulated clips as detections."""

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.simulator_truth import SimulatorTruth
from egorobot.pretrain.samples import HandObjectTracks

NOWHERE = [np.nan] * 4


def clip(tracks: HandObjectTracks | None, num_frames: int) -> HodClip:
    annotated = AnnotatedClip("kitchen", "simulated_hands", 3.0, 4.0, ["#C C opens the door"], [])
    return HodClip(annotated, np.zeros((num_frames, 8, 8, 3), np.uint8), 4.0, tracks)


def test_everything_in_view_is_told_with_its_contact(carrying: HandObjectTracks) -> None:
    frames = SimulatorTruth().detect(clip(carrying, 6))
    assert [frame.time for frame in frames] == [0, 0.25, 0.5, 0.75, 1.0, 1.25]
    assert [[hand.side for hand in frame.hands] for frame in frames] == [["left", "right"]] * 6
    assert [[hand.contact for hand in frame.hands] for frame in frames] == [["N", c] for c in "NNPPPN"]
    assert all(found.score == 1 for frame in frames for found in [*frame.hands, *frame.objects])
    np.testing.assert_allclose([frame.hands[1].box for frame in frames], carrying.hands[:, 1])
    np.testing.assert_allclose([frame.objects[0].box for frame in frames], carrying.object)


def test_boxes_are_cut_at_the_edge_and_what_is_not_in_view_is_left_out() -> None:
    hands = np.array([[[-0.5, 0.25, 0.25, 1.5], NOWHERE], [[1.0, 0, 1.5, 1], [0.5, 0.5, 0.5, 0.75]]], np.float32)
    thing = np.array([NOWHERE, [0.25, -2, 0.5, 2]], np.float32)
    tracks = HandObjectTracks(hands, thing, np.array([[True, True], [False, False]]))
    first, second = SimulatorTruth().detect(clip(tracks, 2))
    assert [(hand.side, hand.box, hand.contact) for hand in first.hands] == [("left", (0, 0.25, 0.25, 1), "P")]
    assert not first.objects and not second.hands
    assert [found.box for found in second.objects] == [(0.25, 0, 0.5, 1)]


def test_a_clip_without_truth_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match=r"kitchen/3\.000.* detector=simulator needs .*corpus=simulated_hands") as error:
        SimulatorTruth().detect(clip(None, 2))
    assert "\n" not in str(error.value)

"""Files of 100DOH detections: found by time, and one that is damaged costs its clips, not the job."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod import frame_lines
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.precomputed import Precomputed
from egorobot.pretrain.samples import BadClip

HAND = [100, 50, 200, 150, 0.9, 3, 0.1, 0.6, 0.8, 1]  # a right hand that holds a portable object
THING = [0, 0, 400, 200, 0.8]


def line(time: float, **fields: Any) -> str:
    return json.dumps({"time": time, "width": 400, "height": 200, "hands": [HAND], "objects": [THING], **fields})


def clip(video_id: str = "kitchen", start: float = 10.0, num_frames: int = 4) -> HodClip:
    annotated = AnnotatedClip(video_id, "", start, start + num_frames / 4, [], [])
    return HodClip(annotated, np.zeros((num_frames, 8, 8, 3), np.uint8), 4.0)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes lines into the file of a video."""

    def write(*lines: str, video_id: str = "kitchen") -> Path:
        path = tmp_path / f"{video_id}.jsonl"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def test_rows_become_detections(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0, hands=[HAND, [0, 0, 40, 20, 0.5, 0, 0, 0, 0, 0]], objects=[[*THING, 0, 0, 0, 0, 0]]))
    frame, *others = Precomputed(tmp_path).detect(clip())
    assert [(hand.side, hand.box, hand.score, hand.contact) for hand in frame.hands] == [
        ("right", (0.25, 0.25, 0.5, 0.75), 0.9, "P"),
        ("left", (0, 0, 0.1, 0.1), 0.5, "N"),
    ]
    assert [(found.box, found.score) for found in frame.objects] == [((0, 0, 1, 1), 0.8)]
    assert [other.time for other in others] == [0.25, 0.5, 0.75]
    assert not any(other.hands or other.objects for other in others)


def test_frames_need_not_begin_with_the_clip(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0), line(12.0, hands=[]), line(12.25))
    detect = Precomputed(tmp_path).detect
    assert [len(frame.hands) for frame in detect(replace(clip(), first=2.0))] == [0, 1, 0, 0]
    assert [frame.time for frame in detect(replace(clip(), first=2.0))] == [0, 0.25, 0.5, 0.75]


def test_states_are_those_of_the_detector(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0, hands=[[*HAND[:5], state, *HAND[6:]] for state in range(5)]))
    assert "".join(hand.contact or "" for hand in Precomputed(tmp_path).detect(clip())[0].hands) == "NSOPF"


def test_a_frame_takes_the_nearest_line_within_half_an_interval(write: Callable[..., Path], tmp_path: Path) -> None:
    scores = {10.12: 0.3, 9.99: 0.1, 10.02: 0.2, 10.62: 0.4, 11.0: 0.5}  # in no order
    write(*[line(time, objects=[[*THING[:4], score]]) for time, score in scores.items()], "")
    frames = Precomputed(tmp_path).detect(clip())
    assert [[found.score for found in frame.objects] for frame in frames] == [[0.1], [], [0.4], []]
    frames = Precomputed(tmp_path).detect(clip(start=10.1))
    assert [[found.score for found in frame.objects] for frame in frames] == [[0.3], [], [0.4], []]


def test_none_of_the_detector_is_nothing_seen(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0, hands=None, objects=[]))
    assert not Precomputed(tmp_path).detect(clip())[0].hands


def test_what_sticks_out_by_rounding_is_cut(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0, hands=[], objects=[[-0.4, -1, 400.5, 201, 0.8]]))
    assert Precomputed(tmp_path).detect(clip())[0].objects[0].box == (0, 0, 1, 1)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        (json.dumps({"width": 4}), "no time"),
        (line(float("nan")), "time is not finite"),
        (line(10.0, width=0), "the frame is 0 x 200"),
        (line(10.0, height="tall"), "height is a str"),
        (json.dumps({"time": 10, "width": 4, "height": 2, "hands": []}), "no objects"),
        (line(10.0, hands=[HAND[:9]]), "a hand has 9 numbers"),
        (line(10.0, hands=HAND), "hands is not a list of rows"),
        (line(10.0, objects=[THING[:4]]), "an object has 4 numbers"),
        (line(10.0, hands=[[*HAND[:5], 5, *HAND[6:]]]), "state is 5"),
        (line(10.0, hands=[[*HAND[:9], 0.5]]), "side 0.5"),
        (line(10.0, objects=[[*THING[:4], 1.5]]), "a score is 1.5"),
        (line(10.0, objects=[[float("inf"), 0, 400, 200, 0.8]]), "not finite"),
        (line(10.0, objects=[[10**400, 0, 400, 200, 0.8]]), "not finite"),
        (line(10.0, objects=[[0, 0, 402, 200, 0.8]]), "outside the frame"),
        (line(10.0, objects=[[50, 0, 50, 200, 0.8]]), "is empty"),
        (line(10.0, objects=[[400, 0, 401, 200, 0.8]]), "is empty"),
        (line(10.0, hands=[[True, *HAND[1:]]]), "a bool"),
    ],
)
def test_a_damaged_line_is_named(write: Callable[..., Path], tmp_path: Path, bad: str, reason: str) -> None:
    path = write(line(3.0), line(4.0), bad)
    with pytest.raises(BadClip, match=reason) as error:
        Precomputed(tmp_path).detect(clip())
    assert str(error.value).startswith(f"{path}, line 3: ") and "\n" not in str(error.value)


def test_a_line_without_end_is_not_read_to_it(
    write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_lines, "MAX_LINE", 1000)
    write(line(9.0), " " * 2000 + line(10.0))
    with pytest.raises(BadClip, match="line 2: longer than 1000 bytes"):
        Precomputed(tmp_path).detect(clip())


def test_rows_that_make_no_sense_cost_only_the_clips_that_need_them(write: Callable[..., Path], tmp_path: Path) -> None:
    write(line(10.0), line(50.0, hands=[[0]]))
    detector = Precomputed(tmp_path)
    assert detector.detect(clip())[0].hands
    with pytest.raises(BadClip, match="line 2"):
        detector.detect(clip(start=50.0))


def test_only_the_last_file_is_kept_and_one_that_changes_is_read_anew(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    frame_lines._find_lines.cache_clear()
    write(line(10.0))
    write(line(10.0), video_id="hall")
    detector = Precomputed(tmp_path)
    for video_id in ("kitchen", "kitchen", "hall", "kitchen"):
        assert detector.detect(clip(video_id))[0].hands
    counts = frame_lines._find_lines.cache_info()
    assert (counts.hits, counts.misses, counts.currsize) == (1, 3, 1)
    write(line(9.0), line(10.0, hands=[]))
    assert not detector.detect(clip())[0].hands


def test_names_of_videos_may_have_slashes_but_not_lead_out_of_the_folder(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    write(line(10.0), video_id="P01/kitchen")
    write(line(10.0), video_id="outside")
    assert Precomputed(tmp_path).detect(clip("P01/kitchen"))[0].hands
    detector = Precomputed(tmp_path / "P01")
    for video_id in ("../outside", str(tmp_path / "outside"), "x/../../outside"):
        with pytest.raises(BadClip, match="leads out of"):
            detector.detect(clip(video_id))


@pytest.mark.parametrize("video_id", ["hall", "", "a\0b", "x" * 5000, "P01"])
def test_a_video_without_a_file_is_a_bad_clip(write: Callable[..., Path], tmp_path: Path, video_id: str) -> None:
    (tmp_path / "P01.jsonl").mkdir()
    with pytest.raises(BadClip, match=r"no detections|cannot be read"):
        Precomputed(tmp_path).detect(clip(video_id))


def test_an_empty_file_has_no_detections(tmp_path: Path) -> None:
    (tmp_path / "kitchen.jsonl").touch()
    assert [frame.hands for frame in Precomputed(tmp_path).detect(clip())] == [[]] * 4


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder"):
        Precomputed(tmp_path / "nowhere")

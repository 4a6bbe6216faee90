"""Previews: boxes where the tracks have them, words as they are, a card a clip, whatever the data holds."""

import json
import re
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.events import find_events
from egorobot.pretrain.hod.preview import HOLD, write_previews
from egorobot.pretrain.hod.preview_frames import (
    MIN_WIDTH,
    OBJECT_COLOUR,
    SIDE_COLOURS,
    Colour,
    PreviewFrames,
    verdict_colour,
)
from egorobot.pretrain.hod.preview_record import PreviewRecord
from egorobot.pretrain.samples import HandObjectTracks

RATE = 2.0  # Hz
EVIL = "</p><script>alert('x')</script><img src=x onerror=alert(1)> \" onload='a' & $left ${left}\n\x00\ud800"
NEAR = 60  # of a colour that H.264 has been through, in each channel
Record = dict[str, Any]


def make_clip(frames: int = 6, height: int = 48, width: int = 64, clip_id: str = "kitchen") -> HodClip:
    annotated = AnnotatedClip(clip_id, "", 3.0, 3.0 + frames / RATE, ["C moves the cup"], [])
    return HodClip(annotated, np.full((frames, height, width, 3), 90, np.uint8), RATE)


def make_record(tracks: HandObjectTracks, **values: Any) -> Record:
    events = json.dumps([asdict(event) for event in find_events(tracks, RATE, "cup")])
    return {
        "clip_id": "kitchen/3.000-6.000", "start_second": 3.0, "end_second": 6.0, "narration": "C moves the cup",
        "object": "cup", "frame_rate": RATE, "tracks": json.dumps(tracks.to_array().tolist()), "events": events,
        "caption": "the right hand lifts the cup", "verdict": "faithful", "faults": "[]",
    } | values  # fmt: skip


def read_video(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def is_near(pixels: NDArray[np.uint8], colour: Colour) -> NDArray[np.bool_]:
    return (np.abs(pixels.astype(int) - colour) <= NEAR).all(axis=-1)


class Page(HTMLParser):
    """The tags of a page, each with its attributes, and its text outside of scripts."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] != "script":
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_boxes_are_where_the_tracks_have_them(carrying: HandObjectTracks, tmp_path: Path) -> None:
    write_previews(tmp_path, [(make_record(carrying), make_clip())])
    video = read_video(tmp_path / "clip-00001.mp4")
    assert len(video) == 6 + HOLD * RATE
    picture = MIN_WIDTH, MIN_WIDTH * 48 // 64
    assert video.shape[2] == picture[0] and video.shape[1] > picture[1]
    for number in range(6):
        boxes = {SIDE_COLOURS["left"]: carrying.hands[number, 0], SIDE_COLOURS["right"]: carrying.hands[number, 1]}
        for colour, box in boxes.items():
            left, right = (round(float(x) * picture[0]) for x in box[[0, 2]])
            middle, bottom = (round(float(y) * picture[1]) for y in (box[[1, 3]].mean(), box[3]))
            for rows, columns in (
                (slice(middle, middle + 1), slice(left, left + 4)),
                (slice(middle, middle + 1), slice(right - 4, right)),
                (slice(bottom - 4, bottom), slice((left + right) // 2, (left + right) // 2 + 1)),
            ):
                assert is_near(video[number, rows, columns], colour).any(), (number, colour)
            assert not is_near(video[number, middle, (left + right) // 2], colour)
    assert is_near(video[0, : picture[1]], OBJECT_COLOUR).any()


def test_what_is_not_seen_is_not_drawn(make_tracks: Callable[..., HandObjectTracks]) -> None:
    tracks = make_tracks([None] * 2, [(0.5, 0.5), None], [None] * 2, [0, 0])
    frames = PreviewFrames(PreviewRecord.of(make_record(tracks, events="[]"), make_clip(2)), make_clip(2))
    pictures = np.stack(list(frames))[:, : frames.picture[1]]
    assert is_near(pictures[0], SIDE_COLOURS["right"]).any()
    assert (pictures[1] == 90).all()


def test_a_hand_in_contact_is_marked_more_strongly(make_tracks: Callable[..., HandObjectTracks]) -> None:
    tracks = make_tracks([None] * 2, [(0.5, 0.5)] * 2, [None] * 2, [0, 1])
    frames = PreviewFrames(PreviewRecord.of(make_record(tracks, events="[]"), make_clip(2)), make_clip(2))
    free, touching = (is_near(frame, SIDE_COLOURS["right"]).sum() for frame in frames)
    assert touching > 2 * free


@pytest.mark.parametrize("box", [(-1, -1, 2, 2), (0.5, 0.5, 0.5, 0.6), (0.9, 0.9, 0.1, 0.1), (2, 2, 3, 3)])
def test_boxes_that_leave_the_picture_or_are_none_do_no_harm(carrying: HandObjectTracks, box: tuple[float]) -> None:
    tracks = HandObjectTracks(carrying.hands.copy(), carrying.object, carrying.contact)
    tracks.hands[:] = box
    assert list(PreviewFrames(PreviewRecord.of(make_record(tracks), make_clip()), make_clip()))


@pytest.mark.parametrize("verdict", ["faithful", "unfaithful", "nothing seen", "fallback"])
def test_the_band_and_the_page_tell_the_verdict(carrying: HandObjectTracks, tmp_path: Path, verdict: str) -> None:
    clip = make_clip(1)
    page = Page(write_previews(tmp_path, [(make_record(carrying, verdict=verdict), clip)]))
    frames = PreviewFrames(PreviewRecord.of(make_record(carrying, verdict=verdict), clip), clip)
    pixels = (frames[0][frames.picture[1] :] == verdict_colour(verdict)).all(axis=-1)
    assert pixels.sum() > 200
    (card,) = page.all("article")
    assert card["data-verdict"] == verdict


def test_there_is_a_card_a_clip_and_a_button_a_verdict(carrying: HandObjectTracks, tmp_path: Path) -> None:
    verdicts = ["faithful", "unfaithful", "faithful"]
    page = Page(write_previews(tmp_path, [(make_record(carrying, verdict=name), make_clip()) for name in verdicts]))
    assert [card["data-verdict"] for card in page.all("article")] == verdicts
    assert [button["data-verdict"] for button in page.all("button")] == ["", "faithful", "unfaithful"]
    assert "all 3" in page.text and "faithful 2" in page.text and "unfaithful 1" in page.text
    for video in page.all("video"):
        assert (tmp_path / str(video["src"])).is_file() and (tmp_path / str(video["poster"])).is_file()
        assert {"controls", "loop", "muted"} <= set(video) and video["preload"] == "none"
    assert "right: carry cup up, 1.0 to 2.0 s" in [tag.get("title") for tag in page.all("div")]


def test_the_page_needs_nothing_but_its_folder(carrying: HandObjectTracks, tmp_path: Path) -> None:
    file = write_previews(tmp_path, [(make_record(carrying), make_clip())])
    assert not re.search(r"https?:|src=.?/|@import|url\(", file.read_text())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip-00001.jpg", "clip-00001.mp4", "index.html"]


def test_attempts_and_faults_are_told_with_their_reasons(carrying: HandObjectTracks, tmp_path: Path) -> None:
    fault = {"kind": "side", "reason": "it was not the left hand"}
    attempts = [{"caption": "the left hand lifts it", "faults": [fault]}, {"caption": "the second", "faults": []}]
    record = make_record(carrying, attempts=json.dumps(attempts), faults=json.dumps([{"kind": "order", "reason": "r"}]))
    page = Page(write_previews(tmp_path, [(record, make_clip())]))
    for words in ("the left hand lifts it", "side it was not the left hand", "the second", "order r", "attempts: 2"):
        assert words in page.text
    good = make_record(carrying, attempts=json.dumps(attempts[1:]))
    assert "attempts" not in Page(write_previews(tmp_path, [(good, make_clip())])).text


def test_nothing_in_the_data_becomes_markup(carrying: HandObjectTracks, tmp_path: Path) -> None:
    fault = {"kind": EVIL, "reason": EVIL}
    event = asdict(find_events(carrying, RATE, EVIL)[0]) | {"kind": EVIL}
    names = ("clip_id", "narration", "object", "caption", "verdict", "dataset", "detector", "model", "rephraser")
    record = make_record(carrying, **dict.fromkeys(names, EVIL), faults=json.dumps([fault]))
    record |= {"events": json.dumps([event]), "attempts": json.dumps([{"caption": EVIL, "faults": [fault]}] * 2)}
    plain = Page(write_previews(tmp_path / "plain", [(make_record(carrying), make_clip())]))
    page = Page(write_previews(tmp_path / "evil", [(record, make_clip(clip_id="../../evil"))]))
    assert len(page.all("script")) == len(plain.all("script")) == 1
    assert not page.all("img") and not any("onload" in tag or "onerror" in tag for _, tag in page.tags)
    assert page.text.count("<script>alert('x')</script>") >= len(names) - 1
    assert "$left ${left}" in page.text  # no placeholders of the page either
    assert sorted(path.name for path in (tmp_path / "evil").iterdir())[0] == "clip-00001.jpg"
    assert len(list(tmp_path.rglob("*.mp4"))) == 2


@pytest.mark.parametrize("record", [{}, {"caption": None, "tracks": None, "events": "", "new_field": 1}])
def test_records_may_lack_anything(tmp_path: Path, record: Record) -> None:
    page = Page(write_previews(tmp_path, [(record, make_clip())]))
    assert "no caption" in page.text and "C moves the cup" in page.text and "3.00 to 6.00 s" in page.text


def test_tracks_of_fewer_frames_or_another_rate_are_drawn_at_their_times(carrying: HandObjectTracks) -> None:
    shown = PreviewRecord.of(make_record(carrying, frame_rate=4.0), make_clip())
    assert [shown.row(time) for time in make_clip().times] == [0, 2, 4, None, None, None]


def test_no_clips_give_an_empty_page(tmp_path: Path) -> None:
    assert not Page(write_previews(tmp_path, [])).all("article")


@pytest.mark.parametrize("size", [(33, 21), (64, 64), (271, 601), (720, 1281)])
def test_sizes_are_even_and_small_frames_enlarged(carrying: HandObjectTracks, size: tuple[int, int]) -> None:
    clip = make_clip(1, *size)
    frames = PreviewFrames(PreviewRecord.of(make_record(carrying), clip), clip)
    height, width, _ = frames[0].shape
    assert (width, height) == frames.size and width % 2 == height % 2 == 0
    assert width >= MIN_WIDTH and abs(width - max(size[1], MIN_WIDTH)) <= 1


@pytest.mark.parametrize("text", ["word " * 5000, "w" * 50_000])
def test_long_texts_are_cut_in_the_picture_and_whole_on_the_page(
    carrying: HandObjectTracks, tmp_path: Path, text: str
) -> None:
    record = make_record(carrying, narration=text, caption=text, object=text, verdict=text)
    page = Page(write_previews(tmp_path, [(record, make_clip(1))]))
    assert text.strip() in page.text
    assert read_video(tmp_path / "clip-00001.mp4").shape[1] < 2 * MIN_WIDTH


def test_clips_are_let_go_of_one_by_one(carrying: HandObjectTracks, tmp_path: Path) -> None:
    frames: list[weakref.ref[NDArray[np.uint8]]] = []
    counts = []

    def clips() -> Iterator[tuple[Record, HodClip]]:
        for _ in range(4):
            clip = make_clip(1)
            frames.append(weakref.ref(clip.frames))
            counts.append(sum(frame() is not None for frame in frames))
            yield make_record(carrying), clip
            del clip

    write_previews(tmp_path, clips())
    assert max(counts) <= 2


def test_a_page_of_earlier_videos_does_not_outlive_them(carrying: HandObjectTracks, tmp_path: Path) -> None:
    write_previews(tmp_path, [(make_record(carrying), make_clip(1))])

    def interrupted() -> Iterator[tuple[Record, HodClip]]:
        yield make_record(carrying), make_clip(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_previews(tmp_path, interrupted())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".jpg", ".mp4"]

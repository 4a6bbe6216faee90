"""The command `pretrain.hod` on a moving square and a real video: captions, records, bad input, interruptions."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyarrow import parquet

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.sources import make_corpus
from egorobot.pretrain.hod.__main__ import main
from egorobot.pretrain.hod.captioning import Drafter
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections, HandDetection
from egorobot.pretrain.hod.job import CAPTIONS_FILE, QUARANTINE_FILE, RECORDS_FOLDER, REPORT_FILE, HodJob
from egorobot.pretrain.hod.mediapipe_hands import MediapipeHands
from egorobot.pretrain.hod.preview import PAGE_FILE, PREVIEW_FOLDER
from egorobot.pretrain.hod.records import FIELDS
from egorobot.pretrain.hod.rephrasing import FAITHFUL, UNREADABLE, TemplateRephraser
from egorobot.pretrain.hod.report import Report
from egorobot.pretrain.hod.stages import Seeing, Telling, WrittenPart, run_here
from egorobot.pretrain.model.config import get_size
from egorobot.videos import write_video

RATE = 10  # Hz
HERE = partial(run_here, num_workers=1)


class BrightSquare:
    """A detector of the brightest pixels, which it takes for a right hand."""

    name = "bright_square"

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        found = []
        for frame, time in zip(clip.frames, clip.times, strict=True):
            rows, columns = np.nonzero(frame.mean(axis=2) > 200)
            height, width = frame.shape[:2]
            box = columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height
            found.append(FrameDetections(float(time), [HandDetection("right", box, 0.9)]))
        return found


def square(x: int) -> NDArray[np.uint8]:
    image = np.full((64, 96, 3), 40, np.uint8)
    image[24:40, x : x + 16] = 255
    return image


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of 4 s in which a bright square goes right, then left; seven clips of it, two of them bad."""
    folder = tmp_path_factory.mktemp("videos")
    way = [*range(0, 80, 4), *range(80, 0, -4)]
    write_video(folder / "square.mp4", (square(x) for x in way), fps=RATE, hold=0)
    rows = [
        f"square,{start},{start + 1.5},#C C moves the hand {i}" for i, start in enumerate((0.0, 0.2, 2.1, 2.4, 0.1))
    ]
    rows += ["square,7,8,behind the end", "missing,0,1,there is none"]
    (folder / "clips.csv").write_text("\n".join(["video_id,start_second,end_second,narration", *rows]) + "\n")
    return folder


@pytest.fixture
def make_job(videos: Path, tmp_path: Path) -> Callable[..., HodJob]:
    from egorobot.pretrain.corpora.frames import SteadyFrames
    from egorobot.pretrain.corpora.video import VideoCorpus
    from egorobot.pretrain.corpora.video_files import VideoFolder

    def make(out: str = "out", detector: Any = None, max_bad_share: float = 0.5) -> HodJob:
        table = open_clip_table(videos / "clips.csv", None, tmp_path / "data")
        corpus = VideoCorpus(table, VideoFolder(videos, 15.0), SteadyFrames(RATE, 64))
        seeing = Seeing(corpus, Drafter(detector or BrightSquare(), 0.5), clips_per_part=2)
        telling = Telling(TemplateRephraser, tmp_path / out / RECORDS_FOLDER)
        return HodJob(seeing, telling, tmp_path / out, max_bad_share, num_previews=2)

    return make


def records(job: HodJob) -> list[dict[str, Any]]:
    files = sorted((job.out / "records").glob("*.parquet"))
    return [record for file in files for record in parquet.read_table(file).to_pylist()]


def verdicts(report: Report) -> dict[str, int]:
    return dict(report.verdicts)


def test_every_clip_ends_with_a_record(make_job: Callable[..., HodJob]) -> None:
    job = make_job()
    report = job.run({}, HERE)
    assert verdicts(report) == {FAITHFUL: 5, UNREADABLE: 2}
    assert json.loads((job.out / REPORT_FILE).read_text()) == report.to_dict()
    assert len((job.out / QUARANTINE_FILE).read_text().splitlines()) == 2
    found = records(job)
    assert len({record["clip_id"] for record in found}) == len(found) == 7
    assert all(tuple(record) == FIELDS for record in found)
    assert [record["clip_id"] for record in found] == [job.seeing.corpus.clip_id(i) for i in range(7)]


def test_clips_to_look_at_are_shown(make_job: Callable[..., HodJob]) -> None:
    job = make_job()
    job.run({}, HERE)
    page = (job.out / PREVIEW_FOLDER / PAGE_FILE).read_text()
    assert page.count("<video") == 2 and "the right hand moves to the right." in page


def test_a_clip_that_a_killed_run_did_not_note_is_quarantined_all_the_same(make_job: Callable[..., HodJob]) -> None:
    job = make_job()
    job.run({}, HERE)
    noted = (job.out / QUARANTINE_FILE).read_text()
    (job.out / QUARANTINE_FILE).unlink()
    job.run({}, HERE)
    assert sorted((job.out / QUARANTINE_FILE).read_text().splitlines()) == sorted(noted.splitlines())


def test_a_clip_that_a_detector_cannot_bear_is_quarantined(make_job: Callable[..., HodJob]) -> None:
    class Fragile(BrightSquare):
        def detect(self, clip: HodClip) -> list[FrameDetections]:
            if clip.annotated.start == 0.2:
                raise RuntimeError("no tensor\nof that size")
            return super().detect(clip)

    job = make_job(detector=Fragile())
    assert verdicts(job.run({}, HERE)) == {FAITHFUL: 4, UNREADABLE: 3}
    noted = (job.out / QUARANTINE_FILE).read_text()
    assert "bright_square failed on it (RuntimeError: no tensor of that size)" in noted


def test_two_processes_do_not_write_into_one_folder(make_job: Callable[..., HodJob]) -> None:
    job = make_job()

    def meanwhile(*stages: Any) -> Iterator[WrittenPart]:
        with pytest.raises(UserError, match="another process"):
            make_job().run({}, HERE)
        yield from HERE(*stages)

    assert verdicts(job.run({}, meanwhile)) == {FAITHFUL: 5, UNREADABLE: 2}


def test_captions_say_which_way_the_hand_went(make_job: Callable[..., HodJob], videos: Path) -> None:
    job = make_job()
    job.run({}, HERE)
    with (job.out / CAPTIONS_FILE).open() as file:
        captions = {row["start_second"]: row["text"] for row in csv.DictReader(file)}
    assert captions["0.0"] == captions["0.2"] == "the right hand moves to the right."
    assert captions["2.1"] == captions["2.4"] == "the right hand moves to the left."


def test_pre_training_takes_the_captions_as_they_are(make_job: Callable[..., HodJob], tmp_path: Path) -> None:
    job = make_job()
    job.run({}, HERE)
    table = open_clip_table(None, job.out / CAPTIONS_FILE, tmp_path / "indexes")
    assert len(table) == 5 and table[0].hod == ["the right hand moves to the right."] and not table[0].narrations


def test_pre_training_learns_the_boxes_that_were_found(
    make_job: Callable[..., HodJob], videos: Path, tmp_path: Path
) -> None:
    """Frames at another rate than those that captioning saw have the square in their boxes."""
    job = make_job()
    job.run({}, HERE)
    node = {
        **load_config("pretrain", ["corpus=video", f"corpus.video_root={videos}"])["corpus"],
        "hod_csv": str(job.out / CAPTIONS_FILE),
        "tracks": str(job.out / RECORDS_FOLDER),
    }
    corpus = make_corpus(node, get_size("nano", vocabulary=()), 0, tmp_path / "data")
    assert len(corpus) == 5
    for number in range(len(corpus)):
        sample = corpus[number]
        assert sample.tracks is not None
        shown = sample.tracks.hands[:, 1, 0]  # left side of the right hand, in the frames that the clip has
        columns = [np.nonzero(frame.mean(axis=2) > 200)[1].min() / frame.shape[1] for frame in sample.frames_fast]
        # It moves by 0.042 a frame: a time between two shows the first, whose box may be that of the second.
        errors = np.abs(shown - columns)
        assert errors.max() < 0.043 and errors.mean() < 0.03
        assert np.ptp(columns) > 0.2
    others = tmp_path / "others.csv"
    others.write_text("video_id,start_second,end_second,text\nsquare,0,1,another clip\n")
    with pytest.raises(UserError, match=r"of none of the clips of corpus video, whose first is square/0\.000-1\.000"):
        make_corpus({**node, "hod_csv": str(others)}, get_size("nano", vocabulary=()), 0, tmp_path)


def test_clips_of_a_corpus_of_videos_are_seen_whole(run: Callable[..., str], videos: Path, tmp_path: Path) -> None:
    """Not the few frames that a model sees of them; and captions that they have already do not matter."""
    clips = [f"corpus.narrations_csv={videos / 'clips.csv'}", f"corpus.video_root={videos}", "frame_rate=5"]
    common = [*clips, "corpus=video", "max_bad_share=0.5", f"data_dir={tmp_path / 'data'}"]
    run(*common, f"out={tmp_path / 'first'}")
    run(*common, f"corpus.captions={tmp_path / 'first' / CAPTIONS_FILE}", f"out={tmp_path / 'second'}")
    for out in ("first", "second"):
        rows = parquet.read_table(tmp_path / out / RECORDS_FOLDER).to_pylist()
        read = [row for row in rows if row["verdict"] != UNREADABLE]
        assert [row["frame_rate"] for row in read] == [5.0] * 5
        assert [len(json.loads(row["tracks"])) for row in read] == [7] * 5  # 1.5 s


def test_an_interrupted_job_goes_on_without_doing_anything_twice(make_job: Callable[..., HodJob]) -> None:
    class Interrupted(BrightSquare):
        def __init__(self, clips: int) -> None:
            self.left = clips

        def detect(self, clip: HodClip) -> list[FrameDetections]:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
            return super().detect(clip)

    whole = make_job("whole")
    whole.run({}, HERE)
    with pytest.raises(KeyboardInterrupt):
        make_job(detector=Interrupted(3)).run({}, HERE)
    job = make_job(detector=Interrupted(3))  # the two clips of the first part are not done again
    job.run({}, HERE)
    assert records(job) == records(whole)
    assert (job.out / CAPTIONS_FILE).read_text() == (whole.out / CAPTIONS_FILE).read_text()


def test_clips_that_were_mended_are_captioned(make_job: Callable[..., HodJob], videos: Path) -> None:
    """Once the list of those that could not be read is removed, as its message says."""
    job = make_job()
    job.run({}, HERE)
    shutil.copy(videos / "square.mp4", videos / "missing.mp4")
    try:
        assert verdicts(job.run({}, HERE)) == {FAITHFUL: 5, UNREADABLE: 2}
        (job.out / QUARANTINE_FILE).unlink()
        assert verdicts(job.run({}, HERE)) == {FAITHFUL: 6, UNREADABLE: 1}
    finally:
        (videos / "missing.mp4").unlink()
    assert len((job.out / QUARANTINE_FILE).read_text().splitlines()) == 1
    assert sum(record["verdict"] == FAITHFUL for record in records(job)) == 6


def test_what_is_gone_since_is_not_shown(make_job: Callable[..., HodJob], videos: Path) -> None:
    job = make_job()
    first = job.run({}, HERE)
    (videos / "square.mp4").rename(videos / "elsewhere")
    try:
        assert job.run({}, HERE).to_dict() == first.to_dict()
    finally:
        (videos / "elsewhere").rename(videos / "square.mp4")


def test_other_annotations_are_another_job(make_job: Callable[..., HodJob], videos: Path) -> None:
    job = make_job()
    job.run({}, HERE)
    annotations = videos / "clips.csv"
    text = annotations.read_text()
    annotations.touch()  # another time is not another content
    make_job().run({}, HERE)
    annotations.write_text(text.replace("the hand 1", "the hand 9"))
    try:
        with pytest.raises(UserError, match="has captions written with other options"):
            make_job().run({}, HERE)
    finally:
        annotations.write_text(text)


@pytest.fixture
def run(run_main: Callable[..., str]) -> Callable[..., str]:
    """Runs the command, and returns what it prints; its error where it fails."""
    return partial(run_main, main)


def options(videos: Path, tmp_path: Path) -> list[str]:
    return [
        f"clips={videos / 'clips.csv'}", f"video_root={videos}", f"out={tmp_path / 'out'}",
        f"data_dir={tmp_path / 'data'}", "max_bad_share=0.5",
    ]  # fmt: skip


def test_the_command_finds_no_hands_where_there_are_none(run: Callable[..., str], videos: Path, tmp_path: Path) -> None:
    printed = run(*options(videos, tmp_path))
    assert "7 clips: 5 nothing seen, 2 unreadable" in printed
    assert (tmp_path / "out" / CAPTIONS_FILE).read_text().splitlines() == [
        "dataset,video_id,start_second,end_second,text"
    ]
    assert "5 nothing seen" in run(*options(videos, tmp_path))  # a finished job says the same


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("frame_rate=0", "frame_rate=0"),
        ("max_gap=-1", "max_gap=-1"),
        ("detector=owl", "unknown detector 'owl'"),
        ("rephraser=parrot", "unknown rephraser 'parrot'"),
        ("mediapipe.model=none.task", "none.task"),
        ("max_bad_share=0.1", "cannot be read"),
        ("clips=nowhere.csv", "nowhere.csv"),
        ("clips=null", "which clips"),
        ("video_root=null", "needs video_root"),
        ("objects=owl", "unknown objects 'owl'"),
        ("backend=spark", "unknown backend 'spark'"),
        ("llm.prompt=long", "unknown llm.prompt 'long'"),
        ("num_workers=0", "num_workers=0"),
        ("llm.temperature=-1", "llm.temperature=-1"),
        ("detector=precomputed", "precomputed.folder="),
        ("detector=simulator", "ground truth"),
    ],
)
def test_bad_input_gets_one_line(
    run: Callable[..., str], videos: Path, tmp_path: Path, override: str, message: str
) -> None:
    error = run(*options(videos, tmp_path), override)
    assert error.startswith("error: ") and message in error


def test_captions_of_other_options_are_left_alone(run: Callable[..., str], videos: Path, tmp_path: Path) -> None:
    run(*options(videos, tmp_path))
    assert "other options" in run(*options(videos, tmp_path), "max_gap=0.1")


def test_sides_are_those_of_the_person_unless_videos_are_mirrored() -> None:
    assert MediapipeHands().sides == {"Left": "left", "Right": "right"}
    assert MediapipeHands(mirrored=True).sides == {"Left": "right", "Right": "left"}


def test_hands_are_found_in_a_real_clip(run: Callable[..., str], clips: Path, tmp_path: Path) -> None:
    chef = "pastry-chef-cutting-a-loaf-into-slices"
    (tmp_path / "clips.csv").write_text(f"video_id,start_second,end_second,narration\n{chef},0,4,#C C cuts the loaf\n")
    folders = [f"{name}={tmp_path / name}" for name in ("out", "data_dir")]
    run(f"clips={tmp_path / 'clips.csv'}", f"video_root={clips}", *folders)
    (record,) = parquet.read_table(tmp_path / "out" / "records").to_pylist()
    hands = np.array(json.loads(record["tracks"]), float)[:, :8].reshape(-1, 2, 4)
    assert (~np.isnan(hands[:, :, 0])).mean() > 0.5  # of both hands' frames
    left, right = np.nanmean(hands[:, :, 0], axis=0)
    assert right < left  # he faces the camera, and cuts with his right hand

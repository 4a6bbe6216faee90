"""The same records, however many processes make them, and whenever they are killed."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.frames import SteadyFrames
from egorobot.pretrain.corpora.simulated_hands import SimulatedHands
from egorobot.pretrain.corpora.sources import make_corpus
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.hod.captioning import Detector, Drafter
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections
from egorobot.pretrain.hod.job import CAPTIONS_FILE, RECORDS_FOLDER, Backend, HodJob
from egorobot.pretrain.hod.ray_stages import run_on_ray
from egorobot.pretrain.hod.records import read_records
from egorobot.pretrain.hod.rephrasing import TemplateRephraser, ignore
from egorobot.pretrain.hod.simulator_truth import SimulatorTruth
from egorobot.pretrain.hod.stages import Seeing, Telling, run_here
from egorobot.pretrain.model.config import get_size
from egorobot.videos import write_video

NUM_CLIPS, PART = 48, 5
PATIENCE = 120.0  # s, for what another process does


@dataclass
class Noting(SimulatorTruth):
    """Leaves a file for each clip, named by the clip and the process; takes its time for some clips.

    Attributes:
        folder: of the files.
        slow: clips that take `seconds`, unless there is a file `until` before.
        seconds: that each of them takes.
        until: a file; its name may be a pattern.
    """

    folder: Path
    slow: Collection[str]
    seconds: float
    until: Path = Path("never")

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        (self.folder / f"{note(clip.annotated.clip_id)} {os.getpid()}").touch()
        end = time.monotonic() + (self.seconds if clip.annotated.clip_id in self.slow else 0)
        while not list(self.until.parent.glob(self.until.name)):
            if time.monotonic() >= end:
                break
            time.sleep(0.02)
        return super().detect(clip)


def note(clip_id: str) -> str:
    return clip_id.replace("/", " ")


@pytest.fixture
def notes(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for a detector that leaves notes; other processes find this module, which it is of."""
    monkeypatch.syspath_prepend(root)
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    simulated(folder).render(num_workers=1)
    return folder


def simulated(data_dir: Path) -> SimulatedHands:
    return SimulatedHands(ClipOptions(image_size=16), 0, NUM_CLIPS, data_dir / "clips", fast_ratio=4)


def records(out: Path) -> list[dict[str, Any]]:
    return [record for file in sorted((out / RECORDS_FOLDER).glob("*.parquet")) for record in read_records(file)]


def see(data_dir: Path, detector: Detector, clips_per_part: int) -> Seeing:
    return Seeing(simulated(data_dir), Drafter(detector, 0.5), clips_per_part)


@pytest.fixture
def run(data_dir: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def run(name: str, backend: Backend, detector: Detector | None = None, part: int = PART) -> list[dict[str, Any]]:
        out = tmp_path / name
        seeing = see(data_dir, detector or SimulatorTruth(), part)
        HodJob(seeing, Telling(TemplateRephraser, out / RECORDS_FOLDER), out, 0.0, 0).run({}, backend)
        return records(out)

    return run


@pytest.mark.slow
def test_processes_and_ray_write_the_same_records(run: Callable[..., list[dict[str, Any]]]) -> None:
    alone = run("alone", partial(run_here, num_workers=1))
    assert len(alone) == NUM_CLIPS and len({record["clip_id"] for record in alone}) == NUM_CLIPS
    assert run("processes", partial(run_here, num_workers=2)) == alone
    assert run("ray", partial(run_on_ray, num_workers=2, num_rephrasers=1)) == alone


@pytest.mark.slow
def test_processes_share_the_clips_of_a_part(
    run: Callable[..., list[dict[str, Any]]], tmp_path: Path, notes: Path
) -> None:
    """And write the very bytes that one would."""
    alone = run("alone", partial(run_here, num_workers=1), part=NUM_CLIPS)
    first, middle = alone[0]["clip_id"], alone[NUM_CLIPS // 2]["clip_id"]
    detector = Noting(notes, {first}, PATIENCE, until=notes / f"{note(middle)} *")
    run("processes", partial(run_here, num_workers=2), detector, NUM_CLIPS)
    assert len({name.split()[-1] for name in os.listdir(notes)}) == 2
    files = [tmp_path / name / RECORDS_FOLDER / "part-000000.parquet" for name in ("alone", "processes")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("num_workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_whoever_stops_waits_for_no_part(data_dir: Path, tmp_path: Path, notes: Path, num_workers: int) -> None:
    corpus, half = simulated(data_dir), NUM_CLIPS // 2
    slow = {corpus.clip_id(number) for number in range(half, NUM_CLIPS)}
    seeing, folder = see(data_dir, Noting(notes, slow, 0.3), half), tmp_path / RECORDS_FOLDER
    written = run_here(seeing, Telling(TemplateRephraser, folder), [0, 1], ignore, num_workers)
    assert next(written).num_clips == half
    del written  # as when its caller has failed
    assert half <= len(os.listdir(notes)) < NUM_CLIPS
    assert os.listdir(folder) == ["part-000000.parquet"]


@pytest.fixture
def ray_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray of one core that works in another folder than this process."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    ray.shutdown()  # that of another test
    ray.init("local", num_cpus=1, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.chdir(tmp_path)
    yield
    ray.cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    ray.shutdown()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_elsewhere")
def test_ray_writes_where_it_is_told_before_all_is_seen(data_dir: Path, tmp_path: Path, notes: Path) -> None:
    """Relative paths are those of whoever asks; and telling needs no core, all of which may be busy with seeing."""
    corpus, out = Path(os.path.relpath(data_dir)), Path("out")
    last = simulated(corpus).clip_id(NUM_CLIPS - 1)
    detector = Noting(Path(notes.name), {last}, PATIENCE, until=out / RECORDS_FOLDER / "part-*")
    seeing = see(corpus, detector, NUM_CLIPS // 3)
    start = time.monotonic()
    HodJob(seeing, Telling(TemplateRephraser, out / RECORDS_FOLDER), out, 0.0, 0).run(
        {}, partial(run_on_ray, num_workers=1, num_rephrasers=1)
    )
    assert time.monotonic() - start < PATIENCE
    assert len(records(tmp_path / "out")) == NUM_CLIPS and not os.listdir(tmp_path / "elsewhere")


def test_training_sees_the_captions_of_simulated_clips(
    run: Callable[..., list[dict[str, Any]]], data_dir: Path, tmp_path: Path
) -> None:
    found = run("out", partial(run_here, num_workers=1))
    captions = f"corpus.captions={tmp_path / 'out' / CAPTIONS_FILE}"
    node = load_config("pretrain", ["corpus.image_size=16", f"corpus.num_clips={NUM_CLIPS}", captions]).corpus
    corpus = make_corpus(node, get_size("nano"), 0, data_dir)
    assert len(corpus) == NUM_CLIPS
    for number, record in enumerate(found):
        assert corpus[number].hod == [record["caption"]] and corpus[number].narrations == [record["narration"]]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_what_a_stage_refuses_is_told_in_its_own_words(tmp_path: Path, num_workers: int) -> None:
    write_video(tmp_path / "grey.mp4", [np.full((64, 64, 3), 90, np.uint8)] * 20, fps=10)
    (tmp_path / "clips.csv").write_text(
        "video_id,start_second,end_second,narration\n" + "".join(f"grey,0,1.{i},x\n" for i in range(8))
    )
    table = open_clip_table(tmp_path / "clips.csv", None, tmp_path)
    seeing = Seeing(
        VideoCorpus(table, VideoFolder(tmp_path, 15.0), SteadyFrames(10, 64)), Drafter(SimulatorTruth(), 0.5), 1
    )
    job = HodJob(seeing, Telling(TemplateRephraser, tmp_path / RECORDS_FOLDER), tmp_path / "out", 0.0, 0)
    with pytest.raises(UserError, match="ground truth"):
        job.run({}, partial(run_here, num_workers=num_workers))


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 4, 8], ids=lambda parts: f"after {parts} parts")
def test_a_killed_job_goes_on(data_dir: Path, tmp_path: Path, parts: int) -> None:
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "egorobot.pretrain.hod", "corpus=simulated_hands", "corpus.image_size=16",
        f"corpus.num_clips={NUM_CLIPS}", "detector=simulator", f"out={out}", f"data_dir={data_dir}",
        f"clips_per_part={PART}", "previews=0", "num_workers=1",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while len(list((out / RECORDS_FOLDER).glob("part-*"))) < parts and process.poll() is None:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = {file: file.stat().st_mtime_ns for file in (out / RECORDS_FOLDER).glob("part-*")}
    assert parts <= len(before)
    subprocess.run(command, check=True, capture_output=True)
    assert {file: file.stat().st_mtime_ns for file in before} == before  # nothing is done twice
    found = [record["clip_id"] for record in records(out)]
    corpus = simulated(data_dir)
    assert len(found) == NUM_CLIPS and [name.split("/")[1:] for name in found] == [
        corpus.clip_id(number).split("/")[1:] for number in range(NUM_CLIPS)
    ]

"""The same records, however many processes make them, and whenever they are killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import open_clip_table
from egorobot.pretrain.corpora.frames import SteadyFrames
from egorobot.pretrain.corpora.simulated_hands import SimulatedHands
from egorobot.pretrain.corpora.sources import make_corpus
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.corpora.video_files import VideoFolder
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.hod.captioning import Drafter
from egorobot.pretrain.hod.job import CAPTIONS_FILE, RECORDS_FOLDER, Backend, HodJob
from egorobot.pretrain.hod.ray_stages import run_on_ray
from egorobot.pretrain.hod.records import read_records
from egorobot.pretrain.hod.rephrasing import TemplateRephraser
from egorobot.pretrain.hod.simulator_truth import SimulatorTruth
from egorobot.pretrain.hod.stages import Seeing, Telling, run_here
from egorobot.pretrain.model.config import get_size
from egorobot.videos import write_video

NUM_CLIPS, PART = 48, 5


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    simulated(folder).render(num_workers=1)
    return folder


def simulated(data_dir: Path) -> SimulatedHands:
    return SimulatedHands(ClipOptions(image_size=16), 0, NUM_CLIPS, data_dir / "clips", fast_ratio=4)


def records(out: Path) -> list[dict[str, Any]]:
    return [record for file in sorted((out / RECORDS_FOLDER).glob("*.parquet")) for record in read_records(file)]


@pytest.fixture
def run(data_dir: Path, tmp_path: Path) -> Callable[[str, Backend], list[dict[str, Any]]]:
    def run(name: str, backend: Backend) -> list[dict[str, Any]]:
        out = tmp_path / name
        seeing = Seeing(simulated(data_dir), Drafter(SimulatorTruth(), 0.5), PART)
        HodJob(seeing, Telling(TemplateRephraser, out / RECORDS_FOLDER), out, 0.0, 0).run({}, backend)
        return records(out)

    return run


@pytest.mark.slow
def test_processes_and_ray_write_the_same_records(run: Callable[[str, Backend], list[dict[str, Any]]]) -> None:
    alone = run("alone", partial(run_here, num_workers=1))
    assert len(alone) == NUM_CLIPS and len({record["clip_id"] for record in alone}) == NUM_CLIPS
    assert run("processes", partial(run_here, num_workers=2)) == alone
    assert run("ray", partial(run_on_ray, num_workers=2, num_rephrasers=1)) == alone


def test_training_sees_the_captions_of_simulated_clips(
    run: Callable[[str, Backend], list[dict[str, Any]]], data_dir: Path, tmp_path: Path
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
        "video_id,start_second,end_second,narration\n" + "".join(f"grey,0,1.{i},x\n" for i in range(3))
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

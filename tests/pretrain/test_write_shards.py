"""The command that writes shards: the corpus, whatever it is killed by, and one line for bad options."""

import json
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.corpora.shard_writer import _alone_in
from egorobot.pretrain.corpora.sources import make_corpus
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.shards import main
from egorobot.videos import write_video


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 4 s, 30 clips of them, and three clips that cannot be read."""
    folder = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        scene = rng.integers(0, 256, (6, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        write_video(folder / f"{name}.mp4", (np.roll(scene, i, axis=1) for i in range(40)), fps=10, hold=0)
    lines = [f"{'ab'[i % 2]},{i / 10},{i / 10 + 1},caption {i}" for i in range(30)]
    lines[4], lines[17], lines[22] = "c,0,1,missing", "a,9,10,behind the end", "c,1,2,missing"
    (folder / "clips.csv").write_text("\n".join(["video_id,start_second,end_second,narration", *lines]) + "\n")
    return folder


def options(videos: Path, out: Path) -> list[str]:
    return [
        f"corpus.narrations_csv={videos / 'clips.csv'}", f"corpus.video_root={videos}", f"out={out}",
        f"data_dir={out.parent / 'data'}", "clips_per_shard=7", "model.image_size=32", "max_bad_share=0.2",
    ]  # fmt: skip


@pytest.fixture
def run(run_main: Callable[..., str]) -> Callable[..., str]:
    """Runs the command, and returns what it prints; its error where it fails."""
    return partial(run_main, main)


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.glob("*"))}


def test_the_command(videos: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    """Its shards hold the corpus, whatever the number of processes and however often it was killed."""
    out = tmp_path / "shards"
    printed = run(*options(videos, out), "num_workers=2")
    assert printed.splitlines() == [
        f"quarantined 3 of 30 clips (2 no video c in …; 1 the clip ends at … s, and its video … at … s): see {out}/"
        "quarantine.jsonl",
        f"27 clips in 5 shards: {out}",
    ]
    sizes = get_size("nano", image_size=32)
    node = dict(load_config("pretrain.shards", options(videos, out)).corpus)
    source = make_corpus(node, sizes, 0, tmp_path / "data")
    shards = make_corpus({"source": "shards", "shards": str(out)}, sizes, 0, tmp_path / "data")
    good = [i for i in range(30) if i not in (4, 17, 22)]
    assert len(shards) == 27
    for number, i in enumerate(good):
        found, expected = shards[number], source[i]
        np.testing.assert_array_equal(found.frames_fast, expected.frames_fast)
        assert (found.clip_id, found.captions) == (expected.clip_id, expected.captions)
    with tarfile.open(out / "shard-000002.tar") as tar:
        record = json.load(tar.extractfile("00000015.json"))  # type: ignore[arg-type]
    assert (record["start_second"], record["end_second"], record["frame_rate"]) == (1.5, 2.5, 6.25)

    first = contents(out)
    for name in ("shard-000001.tar", "shard-000003.tar"):  # as a killed run leaves them
        (out / name).unlink()
        (out / name.replace(".tar", ".bad.json")).unlink()
    kept = (out / "shard-000000.tar").stat().st_mtime_ns
    assert run(*options(videos, out), "num_workers=1") == printed
    assert contents(out) == first
    assert (out / "shard-000000.tar").stat().st_mtime_ns == kept

    assert "has shards written with other options" in run(*options(videos, out), "clips_per_shard=8")
    assert "more than max_bad_share=0.05" in run(*options(videos, out), "max_bad_share=0.05")
    with _alone_in(out):
        assert "another process writes shards" in run(*options(videos, out))
    assert "is not empty and holds no shards.json" in run(*options(videos, videos))


@pytest.mark.parametrize(
    ("change", "message"),
    [("", "is not empty and holds no shards.json"), ("max_bad_share=2", "max_bad_share=2"), ("size=xl", "xl")],
)
def test_what_does_not_fit_is_told_before_clips_are_rendered(
    tmp_path: Path, run: Callable[..., str], change: str, message: str
) -> None:
    out, data = tmp_path / "out", tmp_path / "data"
    out.mkdir()
    (out / "thesis.tex").touch()
    given = ["corpus=simulated_hands", "corpus.num_clips=16", f"out={out}", f"data_dir={data}"]
    assert message in run(*given, *filter(None, [change])) and not data.exists()


def test_a_killed_command_goes_on(videos: Path, tmp_path: Path, run: Callable[..., str]) -> None:
    out = tmp_path / "shards"
    arguments = [*options(videos, out), "clips_per_shard=3", "num_workers=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "egorobot.pretrain.shards", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while process.poll() is None and not list(out.glob("shard-000001.bad.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = {path.name: path.stat().st_mtime_ns for path in out.glob("*.bad.json")}
    (out / ".shard-000009.1.tar").write_bytes(b"half of one")
    assert "27 clips in 10 shards" in run(*arguments)
    assert {path.name: path.stat().st_mtime_ns for path in out.glob("*.bad.json")}.items() >= finished.items()
    assert len(list(out.glob("*.tar"))) == 10 and not list(out.glob(".*"))
    lines = (out / "quarantine.jsonl").read_text().splitlines()
    assert len({json.loads(line)["clip_id"] for line in lines}) == len(lines) == 3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("clips_per_shard=0", "clips_per_shard=0"),
        ("jpeg_quality=100", "jpeg_quality=100"),
        ("jpeg_quality=high", "jpeg_quality=high"),
        ("corpus.image_size=big", "image_size=big"),
        ("corpus.frame_rate=fast", "frame_rate=fast"),
        ("corpus.chunk_seconds=0", "chunk_seconds=0"),
        ("size=huge", "unknown size 'huge'"),
    ],
)
def test_bad_options(videos: Path, tmp_path: Path, run: Callable[..., str], override: str, message: str) -> None:
    assert message in run(*options(videos, tmp_path / "out"), override)


def test_sources(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown source 'cloud' of a corpus: choose one of simulated_hands, video"):
        make_corpus({"source": "cloud"}, get_size("nano"), 0, tmp_path)


def test_processes_that_read_clips_need_no_torch() -> None:
    code = "import sys, egorobot.pretrain.shards; sys.exit(bool({'torch', 'mujoco', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""The command `pretrain.probe`: the scores of training again, clips that cannot be read, and one line for bad input."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from egorobot.pretrain.corpora.simulated_hands import SimulatedHands
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.model.text import vocabulary_of
from egorobot.pretrain.probe import main
from egorobot.pretrain.probing import Probes, probe

SIZES = {"num_slow": 1, "fast_ratio": 2, "width": 32, "depth": 1, "heads": 2, "image_size": 48, "joint_dim": 32}
NUM_CLIPS = 16


@pytest.fixture(scope="module")
def model() -> EgoVideo:
    return EgoVideo(get_size("nano", vocabulary=vocabulary_of(["the left hand"]), **SIZES), seed=0).eval()


@pytest.fixture(scope="module")
def folder(model: EgoVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the encoder, and rendered clips in `data`."""
    folder = tmp_path_factory.mktemp("probe")
    model.save_pretrained(folder / "encoder")
    corpus_of(folder).render(num_workers=1)
    return folder


def corpus_of(folder: Path) -> SimulatedHands:
    options = ClipOptions(num_frames=2, image_size=48)
    return SimulatedHands(options, 1000, NUM_CLIPS, folder / "data" / "clips", fast_ratio=2)


@pytest.fixture
def run(run_main: Callable[..., str], folder: Path) -> Callable[..., str]:
    """Runs the command on `folder`, and returns what it prints; its error where it fails."""

    def run(*arguments: str) -> str:
        options = [f"encoder={folder / 'encoder'}", f"data_dir={folder / 'data'}", "corpus.image_size=48"]
        options += [] if "corpus=video" in arguments else [f"corpus.num_clips={NUM_CLIPS}"]
        return run_main(main, *options, *arguments)

    return run


def test_all_clips_of_a_corpus_are_asked_about(
    run: Callable[..., str], folder: Path, model: EgoVideo, tmp_path: Path
) -> None:
    expected = probe(model, corpus_of(folder), range(NUM_CLIPS), seed=1000)
    printed = run(f"out={tmp_path / 'scores.json'}")
    assert expected.table() in printed and "held out: 16 clips" in printed
    record = json.loads((tmp_path / "scores.json").read_text())
    assert Probes.from_dict(record["result"]) == expected
    assert record["options"]["encoder"] == str(folder / "encoder")


def test_what_training_leaves_out_can_be_asked_about_alone(run: Callable[..., str], tmp_path: Path) -> None:
    assert "held out: 8 clips" in run("held_out=0.1")


def test_clips_that_cannot_be_read_are_told(run: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "clips.csv").write_text(
        "video_id,start_second,end_second,narration\n" + "".join(f"v,{i},{i + 1},#C C waits\n" for i in range(3))
    )
    (tmp_path / "v.mp4").write_bytes(b"no video")
    error = run("corpus=video", f"corpus.narrations_csv={tmp_path / 'clips.csv'}", f"corpus.video_root={tmp_path}")
    assert error.startswith("error: none of the 3 clips can be read") and "v.mp4" in error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["held_out=0"], "held_out=0"),
        (["encoder=nowhere"], "no encoder folder at nowhere"),
        (["corpus.num_clips=6"], "num_clips=6"),
    ],
)
def test_bad_input_is_one_line(run: Callable[..., str], arguments: list[str], message: str) -> None:
    error = run(*arguments)
    assert error.startswith("error: ") and message in error

"""Training: it learns, repeats itself, survives kills, and says what it will not do."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain import train
from egorobot.pretrain.hands.clips import ClipOptions
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.retrieval import evaluate_retrieval
from egorobot.pretrain.run import options_from
from egorobot.pretrain.train import CHECKPOINT_FILE, RECORD_FILE, PretrainOptions, learning_rate, pretrain, split

TINY_MODEL = {
    "num_slow": 1, "fast_ratio": 2, "image_size": 32, "patch_size": 8, "fast_image_size": 16, "fast_patch_size": 8,
    "width": 32, "depth": 2, "heads": 2, "joint_dim": 32, "text_width": 32, "text_depth": 1, "text_heads": 2,
    "grid_size": 4, "grid_channels": 4,
}  # fmt: skip
OPTIONS = PretrainOptions(
    model=TINY_MODEL,
    clips=ClipOptions(image_size=32),
    num_clips=40,
    valid_share=0.2,
    steps=6,
    batch_size=8,
    learning_rate=3e-3,
)
COMMAND_OPTIONS = [
    *(f"++model.{key}={value}" for key, value in TINY_MODEL.items()),
    "corpus.image_size=32", "num_clips=40", "valid_share=0.2", "steps=6", "batch_size=8", "learning_rate=0.003",
    "num_workers=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    train.make_corpus(OPTIONS, folder / "clips").render(num_workers=1)
    return folder


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "encoder"
    pretrain(out, OPTIONS, data / "clips")
    return out


def test_a_finished_folder_is_an_encoder_with_its_record(trained: Path) -> None:
    model = EgoVideo.from_pretrained(trained)
    record = json.loads((trained / RECORD_FILE).read_text())
    assert record["options"] == OPTIONS.to_dict()
    assert record["fingerprint"] == model.fingerprint
    assert 0 <= record["result"]["five_way"] <= 1
    assert not (trained / CHECKPOINT_FILE).exists()
    assert list((trained / "metrics").glob("events*"))
    frames = np.zeros((1, 2, 112, 112, 3), np.uint8)
    assert model.embed(frames).shape == (1, model.dim)


def test_the_same_options_train_the_same_weights(trained: Path, data: Path, tmp_path: Path) -> None:
    pretrain(tmp_path / "again", OPTIONS, data / "clips")
    pretrain(tmp_path / "other", replace(OPTIONS, steps=5), data / "clips")
    fingerprint = EgoVideo.from_pretrained(trained).fingerprint
    assert EgoVideo.from_pretrained(tmp_path / "again").fingerprint == fingerprint
    assert EgoVideo.from_pretrained(tmp_path / "other").fingerprint != fingerprint


def test_a_finished_folder_is_kept_and_other_options_are_refused(
    trained: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    result = pretrain(trained, OPTIONS, data / "clips")
    assert "already trained" in capsys.readouterr().out
    assert result.clips == 8
    with pytest.raises(UserError, match="other options"):
        pretrain(trained, replace(OPTIONS, seed=1), data / "clips")
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not empty"):
        pretrain(tmp_path, OPTIONS)
    with pytest.raises(UserError, match="not a folder"):
        pretrain(tmp_path / "thesis.tex", OPTIONS)
    (tmp_path / RECORD_FILE).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        pretrain(tmp_path, OPTIONS)


@pytest.mark.parametrize("stage", ["clips", "training"])
def test_a_killed_run_goes_on_to_the_same_weights(trained: Path, data: Path, tmp_path: Path, stage: str) -> None:
    """SIGKILL while clips are rendered, and after a few optimiser steps."""
    out, data_dir = tmp_path / "encoder", tmp_path / "data" if stage == "clips" else data
    code = (
        "import sys; from egorobot.cli import load_config; from egorobot.pretrain.run import options_from;"
        "from egorobot.pretrain.train import pretrain;"
        "config = load_config('pretrain', sys.argv[3:]);"
        "pretrain(sys.argv[1], options_from(config), sys.argv[2] + '/clips', 1, checkpoint_every=1)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(out), str(data_dir), *COMMAND_OPTIONS],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    awaited = (lambda: any(data_dir.rglob("shard_*.json"))) if stage == "clips" else (out / CHECKPOINT_FILE).exists
    deadline = time.monotonic() + 120
    while not awaited() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "model.safetensors").exists(), "it finished before it could be killed"
    pretrain(out, OPTIONS, data_dir / "clips", num_workers=1)
    assert EgoVideo.from_pretrained(out).fingerprint == EgoVideo.from_pretrained(trained).fingerprint


def test_training_learns_to_match_its_own_clips(data: Path, tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=60, batch_size=16)
    pretrain(tmp_path / "long", options, data / "clips")
    corpus = train.make_corpus(options, data / "clips")
    model = EgoVideo.from_pretrained(tmp_path / "long")
    untrained = EgoVideo(model.config, seed=options.seed).eval()
    clips = split(options)[0]
    learnt, chance = (evaluate_retrieval(m, corpus, clips).five_way for m in (model, untrained))
    assert learnt > 0.5 > chance + 0.1


def test_retrieval_of_an_untrained_model_is_about_chance(data: Path, trained: Path) -> None:
    model = EgoVideo(EgoVideo.from_pretrained(trained).config, seed=5).eval()
    result = evaluate_retrieval(model, train.make_corpus(OPTIONS, data / "clips"), range(40))
    assert result.video_to_text < 0.2 and 0.05 < result.five_way < 0.45
    assert "chance 20" in result.summary()


def test_learning_rate_rises_and_falls() -> None:
    options = replace(OPTIONS, steps=100, warmup=0.1)
    rates = [learning_rate(options, step) for step in range(100)]
    assert np.argmax(rates) in (9, 10) and rates[9] == options.learning_rate
    assert rates[0] < rates[5] and rates[99] < 0.01 * options.learning_rate


@pytest.mark.parametrize(
    "override", ["size=giant", "num_clips=0", "num_clips=3", "batch_size=1", "+model.width=31", "+model.colour=1"]
)
def test_options_that_do_not_fit_are_one_line(override: str) -> None:
    config = load_config("pretrain", [override])
    with pytest.raises(UserError) as caught:
        split(options_from(config))
    assert "\n" not in str(caught.value)


def test_shipped_encoder_loads_and_embeds() -> None:
    from egorobot import load_encoder

    encoder = load_encoder("egovideo_nano")
    frames = np.random.default_rng(0).integers(0, 256, (2, encoder.num_frames, 112, 112, 3), dtype=np.uint8)
    embedding = encoder.embed(frames)
    assert embedding.shape == (2, encoder.dim) and np.isfinite(embedding).all()
    assert torch.is_grad_enabled()

"""Training: it learns, repeats itself, survives kills, and says what it will not do."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.files import sole_user
from egorobot.pretrain.checkpoint import CHECKPOINT_FILE, PREVIOUS_FILE
from egorobot.pretrain.corpora.sources import make_corpus, render_clips
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.options import CorpusOptions, PretrainOptions, RunOptions
from egorobot.pretrain.probing import Probes, probe
from egorobot.pretrain.train import RECORD_FILE, pretrain

HANDS = {"source": "simulated_hands", "num_clips": 40, "num_frames": None, "image_size": 32, "robot_views": 0.5,
         "desk": 0.12, "open_share": 0.3}  # fmt: skip


@pytest.fixture(scope="module")
def options(tiny_options: PretrainOptions) -> PretrainOptions:
    """Six steps on 32 clips of simulated hands."""
    return replace(tiny_options, corpora={"main": CorpusOptions(HANDS)}, steps=6, precision="float32")


@pytest.fixture(scope="module")
def how(options: PretrainOptions, tmp_path_factory: pytest.TempPathFactory) -> RunOptions:
    """Rendered clips, and no process beside this one."""
    how = RunOptions(tmp_path_factory.mktemp("data"), num_workers=1, loader_workers=0)
    render_clips(make_corpus(HANDS, options.model_config(), options.seed, how.data_dir), num_workers=1)
    return how


@pytest.fixture(scope="module")
def trained(options: PretrainOptions, how: RunOptions, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "encoder"
    pretrain(out, options, how)
    return out


def fingerprint(folder: Path) -> str:
    return EgoVideo.from_pretrained(folder).fingerprint


def test_a_finished_folder_is_an_encoder_with_its_record(trained: Path, options: PretrainOptions) -> None:
    model = EgoVideo.from_pretrained(trained)
    record = json.loads((trained / RECORD_FILE).read_text())
    assert record["options"] == options.to_dict()
    assert record["fingerprint"] == model.fingerprint
    assert record["result"]["clips"] == 8
    assert not list(trained.glob("checkpoint*")) and not (trained / "quarantine.jsonl").exists()
    assert list((trained / "metrics").glob("events*"))
    frames = np.zeros((1, 2, 112, 112, 3), np.uint8)
    assert model.embed(frames).shape == (1, model.dim)


def test_the_same_options_train_the_same_weights_however_the_work_is_done(
    trained: Path, options: PretrainOptions, how: RunOptions, tmp_path: Path
) -> None:
    pretrain(tmp_path / "again", options, replace(how, loader_workers=1, validate_every=2, checkpoint_every=1))
    pretrain(tmp_path / "other", replace(options, steps=5), how)
    assert fingerprint(tmp_path / "again") == fingerprint(trained)
    assert fingerprint(tmp_path / "other") != fingerprint(trained)


def test_a_finished_folder_is_kept_and_other_options_are_refused(
    trained: Path, options: PretrainOptions, how: RunOptions, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "model.safetensors").stat().st_mtime_ns
    result = pretrain(trained, options, how)
    assert "already trained" in capsys.readouterr().out
    assert result.clips == 8
    with pytest.raises(UserError, match="other options"):
        pretrain(trained, replace(options, seed=1), how)
    assert (trained / "model.safetensors").stat().st_mtime_ns == before


def test_a_run_waits_for_another_one_into_the_same_folder(
    trained: Path, options: PretrainOptions, how: RunOptions, capsys: pytest.CaptureFixture, tmp_path: Path
) -> None:
    results: list[Probes] = []
    out = shutil.copytree(trained, tmp_path / "out")
    record = (out / RECORD_FILE).read_text()
    (out / RECORD_FILE).write_text(json.dumps({**json.loads(record), "result": None}))
    with sole_user(out, "an encoder"):
        assert pretrain(trained, options, how).clips == 8  # a finished one is waited for by nobody
        thread = threading.Thread(target=lambda: results.append(pretrain(out, options, how)))
        thread.start()
        told = ""
        while "waiting: another process" not in told:
            assert thread.is_alive()
            told += capsys.readouterr().out
            time.sleep(0.01)
        (out / RECORD_FILE).write_text(record)  # the other run ends
    thread.join(60)
    assert results[0].to_dict() == json.loads((trained / RECORD_FILE).read_text())["result"]


def test_a_folder_of_something_else_is_left_alone(options: PretrainOptions, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UserError, match="not empty"):
        pretrain(tmp_path, options)
    with pytest.raises(UserError, match=r"thesis\.tex is not a folder: choose another out="):
        pretrain(tmp_path / "thesis.tex" / "encoder", options)
    with pytest.raises(UserError, match="not a folder"):
        pretrain(tmp_path / "thesis.tex", options)
    (tmp_path / RECORD_FILE).write_text("{")
    with pytest.raises(UserError, match="damaged"):
        pretrain(tmp_path, options)


COMMAND = """
import json
import sys
from pathlib import Path

from egorobot.pretrain.options import CorpusOptions, PretrainOptions, RunOptions
from egorobot.pretrain.train import pretrain

out, data_dir, values = sys.argv[1:]
values = json.loads(values)
values["corpora"] = {"main": CorpusOptions(values["corpora"]["main"]["source"])}
how = RunOptions(Path(data_dir), num_workers=1, loader_workers=0, checkpoint_every=1)
pretrain(out, PretrainOptions(**values), how)
"""
MOMENTS: dict[str, Callable[[Path, Path], bool]] = {
    "clips are rendered": lambda out, data: any(data.rglob("shard_*.json")),
    "the first checkpoint": lambda out, data: (out / CHECKPOINT_FILE).exists(),
    "the second": lambda out, data: (out / PREVIOUS_FILE).exists(),
}


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_same_weights(
    trained: Path, options: PretrainOptions, how: RunOptions, tmp_path: Path, moment: str
) -> None:
    out, data_dir = tmp_path / "encoder", tmp_path / "data" if "clips" in moment else how.data_dir
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(out), str(data_dir), json.dumps(options.to_dict())],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 200
    while not MOMENTS[moment](out, data_dir) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "model.safetensors").exists(), "it finished before it could be killed"
    pretrain(out, options, replace(how, data_dir=data_dir))
    assert fingerprint(out) == fingerprint(trained)


@pytest.mark.slow
def test_training_learns_to_match_its_own_clips(options: PretrainOptions, how: RunOptions, tmp_path: Path) -> None:
    options = replace(options, steps=150, batch_size=16)
    pretrain(tmp_path / "long", options, how)
    corpus = make_corpus(HANDS, options.model_config(), options.seed, how.data_dir)
    model = EgoVideo.from_pretrained(tmp_path / "long")
    untrained = EgoVideo(model.config, seed=options.seed).eval()
    clips, _ = corpus.split(options.valid_share)
    learnt, chance = (probe(m, corpus, clips).inter_video.rate for m in (model, untrained))
    assert learnt > 0.5 > chance + 0.1

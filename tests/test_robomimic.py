"""robomimic's own scripts know our environments, encoders and checkpoints."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from egorobot import robomimic
from egorobot.errors import UserError
from egorobot.evaluate import load_checked_policy
from egorobot.policies.rollout import rollout


def test_run_trained_agent_agrees_with_our_evaluation(finished_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = finished_run / "policy.pth"
    robomimic.run_script("run_trained_agent", ["--agent", str(checkpoint), "--n_rollouts", "3"])
    printed = capsys.readouterr().out
    theirs = json.loads(printed[printed.index("Average Rollout Stats") :].split("\n", 1)[1])
    ours = rollout(load_checked_policy(checkpoint), [100000, 100001, 100002], num_workers=1, progress=False)
    assert theirs["Num_Success"] == sum(e.success for e in ours)
    assert theirs["Horizon"] == pytest.approx(np.mean([e.length for e in ours]))
    assert 0 < theirs["Num_Success"] < 3


def test_get_dataset_info_reads_our_demonstrations(finished_run: Path, patches: Path) -> None:
    dataset = next(finished_run.parent.glob("data/kitchen/slide/*.hdf5"))
    command = [sys.executable, "-m", "egorobot.robomimic", "get_dataset_info", "--dataset", str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "total trajectories: 8" in done.stdout
    assert "filter key train with 7 demos" in done.stdout or "filter key train with 8 demos" in done.stdout
    assert "egorobot/Slide-v0" in done.stdout


def test_help_lists_the_scripts(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["robomimic", "--help"])
    robomimic.main()
    text = capsys.readouterr().out
    assert text.count("python -m egorobot.robomimic ") >= 3
    for name in ("run_trained_agent", "playback_dataset", "get_dataset_info", "train"):
        assert f"\n  {name} " in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run_traned_agent"], "error: robomimic has no script 'run_traned_agent': did you mean 'run_trained_agent'?"),
        (["../evil"], "error: robomimic has no script '../evil': choose one of"),
        (["run_trained_agent", "--agent", "nowhere.pth"], "error: no checkpoint at nowhere.pth"),
        (["get_dataset_info", "--dataset", "nowhere.hdf5"], "error: robomimic's get_dataset_info:"),
    ],
)
def test_bad_input_is_one_line(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["robomimic", *arguments])
    with pytest.raises(SystemExit) as caught:
        robomimic.main()
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("owned",)


def test_a_checkpoint_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"model": Evil()}, "evil.pth")
    Path("bare.pth").write_bytes(pickle.dumps(Evil()))
    Path("cut.pth").write_bytes(Path("evil.pth").read_bytes()[:100])
    torch.save([1, 2], "list.pth")
    for name in ("evil.pth", "bare.pth", "cut.pth", "list.pth"):
        with pytest.raises(UserError, match=name):
            robomimic.load_checkpoint(name)
    assert not Path("owned").exists()

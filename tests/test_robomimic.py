"""robomimic's own scripts know our environments, encoders and checkpoints."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import gymnasium
import h5py
import imageio.v2 as imageio
import numpy as np
import pytest
import torch
import yaml

from egorobot import robomimic
from egorobot.collect import collect
from egorobot.envs.camera_env import CameraEnv
from egorobot.envs.demonstrations import open_demonstrations
from egorobot.errors import UserError
from egorobot.evaluate import load_checked_policy
from egorobot.policies.checkpoint import load_policy
from egorobot.policies.rollout import rollout
from egorobot.policies.training import train_policy

PRESETS = sorted(path.stem for path in (Path(robomimic.__file__).parent / "configs" / "policy").glob("*.yaml"))


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


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_acts_in_robomimics_runner_as_in_ours(
    preset: str, demonstrations: Path, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = yaml.safe_load((root / "egorobot" / "configs" / "policy" / f"{preset}.yaml").read_text())
    options |= {"steps": 2, "batch_size": 8}
    encoder = "end_to_end" if options["end_to_end"] else "state"
    checkpoint = train_policy(demonstrations, encoder, options, 3, 0, tmp_path, tmp_path, progress=False).checkpoint
    steps, written = 12, tmp_path / "rollout.hdf5"  # more than the networks remember
    arguments = ["--n_rollouts", "1", "--horizon", str(steps), "--seed", "1", "--dataset_path", str(written)]
    robomimic.run_script("run_trained_agent", ["--agent", str(checkpoint), *arguments])
    with h5py.File(written, "r") as file:
        theirs, states = file["data/demo_0/actions"][()], file["data/demo_0/states"][()]
    assert len(theirs) == steps
    policy = load_policy(checkpoint)
    env = gymnasium.make(policy.env_name, **policy.env_kwargs).unwrapped
    assert isinstance(env, CameraEnv)
    observation = env.reset(seed=100000)[0]
    for step in range(steps):
        np.testing.assert_array_equal(env.get_state(), states[step])
        ours = policy.act({key: value[None] for key, value in observation.items()})[0]
        # robomimic draws from a mixture with torch's generator as it finds it, we by the step.
        if preset != "bc_gmm":
            np.testing.assert_array_equal(ours, np.clip(theirs[step], -1, 1))
        observation = env.step(theirs[step])[0]
    env.close()


def test_playback_shows_the_datasets_own_cameras(demonstrations: Path, tmp_path: Path) -> None:
    for flags, size in (([], 512), (["--use-obs"], 64)):
        video = tmp_path / f"{size}.mp4"
        arguments = ["--dataset", str(demonstrations), "--n", "1", "--video_path", str(video), *flags]
        robomimic.run_script("playback_dataset", arguments)
        frames = imageio.mimread(video, "FFMPEG")
        with h5py.File(demonstrations, "r") as file:
            first = file["data/demo_0/obs/left_cap2_image"][0]
            assert len(frames) == -(-len(file["data/demo_0/actions"]) // 5)
        assert frames[0].shape == (size, size, 3)
        small = np.asarray(frames[0], np.float32).reshape(64, size // 64, 64, size // 64, 3).mean((1, 3))
        assert np.abs(small - first).mean() < 8  # of 255: the same view, through a video


def test_actions_of_an_unperturbed_demonstration_lead_where_they_led(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "slide.hdf5"
    collect("slide", num_demos=1, bursts=False, camera=None, out=path, num_workers=1)
    capsys.readouterr()
    arguments = [
        "--dataset",
        str(path),
        "--use-actions",
        "--video_path",
        str(tmp_path / "video.mp4"),
        "--video_skip",
        "99",
    ]
    robomimic.run_script("playback_dataset", arguments)
    printed = capsys.readouterr().out
    assert "Playing back episode: demo_0" in printed
    assert "diverged" not in printed


def test_split_train_val_leaves_demonstrations_as_they_are(demonstrations: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(demonstrations, tmp_path / "microwave.hdf5"))
    robomimic.run_script("split_train_val", ["--dataset", str(path), "--ratio", "0.34"])
    with h5py.File(path, "r") as file:
        train, valid = set(file["mask/train"][()]), set(file["mask/valid"][()])
    assert (len(train), len(valid), len(train | valid)) == (2, 1, 3)
    assert open_demonstrations(path, 3).fingerprint() == open_demonstrations(demonstrations).fingerprint()


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
        (
            ["playback_dataset", "--dataset", "cut.hdf5", "--video_path", "v.mp4"],
            "error: robomimic's playback_dataset:",
        ),
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
    Path("cut.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
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


def test_flags_of_robomimic_are_left_to_it(finished_run: Path) -> None:
    dataset = next(finished_run.parent.glob("data/kitchen/slide/*.hdf5"))
    arguments = ["--dataset", str(dataset), "--render"]
    assert robomimic.with_cameras(arguments) == [*arguments, "--render_image_names", "left_cap2"]

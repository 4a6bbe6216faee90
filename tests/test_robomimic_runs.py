"""Policies that robomimic's own training made are evaluated, and enter the leaderboard."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest
import torch
from robomimic.config import config_factory

from egorobot import evaluate as evaluate_module
from egorobot import leaderboard, robomimic
from egorobot.envs.camera_env import CameraEnv
from egorobot.evaluate import evaluate
from egorobot.export_dataset import select_from_run
from egorobot.policies.checkpoint import load_policy
from egorobot.robomimic_runs import evaluate_checkpoint
from egorobot.runs import read_config, read_result

pytestmark = pytest.mark.slow

IMAGE = "left_cap2_image"


def make_config(dataset: Path, out: Path, name: str, **train: Any) -> dict[str, Any]:
    """A small config of robomimic's BC."""
    config = config_factory("bc")
    with config.values_unlocked():
        config.experiment.name = name
        config.experiment.epoch_every_n_steps = 20
        config.experiment.rollout.enabled = False
        config.train.data, config.train.output_dir = str(dataset), str(out)
        config.train.num_epochs, config.experiment.save.every_n_epochs = 1, 1
        config.train.batch_size, config.train.num_data_workers = 16, 0
        config.train.hdf5_cache_mode, config.train.hdf5_filter_key = "all", "train"
        config.train.cuda = False
        config.algo.actor_layer_dims = [64]
        config.algo.optim_params.policy.learning_rate.initial = 0.001
        config.train.update(train)
        config.observation.modalities.obs.low_dim = ["proprio"]
    content: dict[str, Any] = json.loads(config.dump())
    return content


def train(config: dict[str, Any], folder: Path) -> Path:
    """Run robomimic's train as a person would, and return the last checkpoint."""
    path = folder / f"{config['experiment']['name']}.json"
    path.write_text(json.dumps(config))
    command = [sys.executable, "-m", "egorobot.robomimic", "train", "--config", str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return next(folder.glob(f"trained/{config['experiment']['name']}/*/models/model_epoch_1*.pth"))


@pytest.fixture(scope="module")
def dataset(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The eight demonstrations of `finished_run`, six of them in the mask `train` by robomimic's own script."""
    source = next(finished_run.parent.glob("data/kitchen/slide/*.hdf5"))
    path = shutil.copy(source, tmp_path_factory.mktemp("data") / "slide.hdf5")
    robomimic.run_script("split_train_val", ["--dataset", str(path), "--ratio", "0.25"])
    return Path(path)


@pytest.fixture(scope="module")
def sighted(dataset: Path) -> Path:
    """A checkpoint of a policy that sees through a frozen encoder of ours."""
    config = make_config(dataset, dataset.parent / "trained", "sighted")
    config["observation"]["modalities"]["obs"]["frozen"] = [IMAGE]
    core = {"encoder": "egorobot_patches:make", "fingerprint": "mean colours of 8 x 8 patches", "dim": 192}
    config["observation"]["encoder"]["frozen"] = {
        "core_class": "FrozenEncoderCore",
        "core_kwargs": core | {"norm": "batchnorm"},
        "obs_randomizer_class": "SignedFeatures",
        "obs_randomizer_kwargs": {},
    }
    return train(config, dataset.parent)


@pytest.fixture(scope="module")
def all_seeing(dataset: Path) -> Path:
    """A checkpoint of a policy on the simulator's state, with rollouts and videos in training."""
    config = make_config(dataset, dataset.parent / "trained", "all-seeing", hdf5_filter_key=None)
    config["observation"]["modalities"]["obs"]["low_dim"] = ["proprio", "state"]
    config["experiment"]["render_video"] = True
    config["experiment"]["rollout"] |= {"enabled": True, "n": 1, "rate": 1, "horizon": 10}
    return train(config, dataset.parent)


def check_actions(checkpoint: Path, folder: Path) -> None:
    """Check that a policy acts in our evaluation as it does in robomimic's own runner."""
    written = folder / "rollout.hdf5"
    arguments = ["--n_rollouts", "1", "--horizon", "20", "--dataset_path", str(written)]
    robomimic.run_script("run_trained_agent", ["--agent", str(checkpoint), *arguments])
    with h5py.File(written, "r") as file:
        theirs, states = file["data/demo_0/actions"][()], file["data/demo_0/states"][()]
    assert np.ptp(theirs, axis=0).max() > 0.01
    policy = load_policy(checkpoint)
    env = gymnasium.make(policy.env_name, **policy.env_kwargs).unwrapped
    assert isinstance(env, CameraEnv)
    observation = env.reset(seed=100000)[0]
    for action, state in zip(theirs, states, strict=True):
        np.testing.assert_array_equal(env.get_state(), state)
        ours = policy.act({key: value[None] for key, value in observation.items()})[0]
        np.testing.assert_array_equal(ours, np.clip(action, -1, 1))
        observation = env.step(action)[0]
    env.close()


def test_it_is_evaluated_as_robomimic_would_and_enters_the_leaderboard(
    sighted: Path, run_main: Callable[..., str], tmp_path: Path
) -> None:
    out = tmp_path / "runs" / "sighted"
    printed = run_main(
        evaluate_module.main,
        f"run={sighted}",
        "episodes=2",
        "num_workers=1",
        f"out={out}",
        "policy_name=bc_by_robomimic",
    )
    assert (out / "result.json").exists(), printed
    result = read_result(out)
    assert printed.splitlines()[-1] == str(out / "result.json")
    check_actions(sighted, tmp_path)
    assert result["eval"]["checkpoint"] == sighted.stem
    encoder = {"name": "egorobot_patches:make", "fingerprint": "mean colours of 8 x 8 patches", "dim": 192}
    expected = {"task": "slide", "protocol": "kitchen", "encoder": encoder, "num_demos": 6, "policy": "bc_by_robomimic"}
    assert {key: result[key] for key in expected} == expected

    again = evaluate(out, episodes=2, num_workers=1)
    assert again["eval"]["outcomes"] == result["eval"]["outcomes"]
    assert read_config(out).encoder == "egorobot_patches:make"
    board = leaderboard.build_leaderboard(tmp_path / "runs", tmp_path / "board").read_text()
    assert "| egorobot_patches:make | bc_by_robomimic | 6 |" in board
    assert len(select_from_run(out).indices) == 6


def test_checkpoints_and_videos_are_named_by_the_environment(all_seeing: Path, tmp_path: Path) -> None:
    videos = [path.name for path in all_seeing.parents[1].glob("videos/*.mp4")]
    assert videos == ["egorobot_Slide-v0_epoch_1.mp4"]
    assert "egorobot_Slide-v0_success_" in all_seeing.name
    result = evaluate_checkpoint(all_seeing, episodes=1, num_workers=1)
    assert result["encoder"] == {"name": "state", "fingerprint": "state", "dim": 24}
    assert (result["policy"], result["num_demos"], result["seed"]) == ("robomimic_all-seeing", 8, 1)
    check_actions(all_seeing, tmp_path)


def test_bad_checkpoints_are_one_line(
    sighted: Path, finished_run: Path, dataset: Path, run_main: Callable[..., str], tmp_path: Path
) -> None:
    def evaluate_changed(name: str, *options: str, **changes: Any) -> str:
        content = torch.load(sighted, weights_only=True) | changes
        torch.save(content, tmp_path / name)
        return run_main(evaluate_module.main, f"run={tmp_path / name}", "episodes=1", *options)

    config = json.loads(torch.load(sighted, weights_only=True)["config"])
    config["train"]["data"] = "gone.hdf5"
    moved = json.dumps(config)
    config["train"]["hdf5_filter_key"] = "best"
    masked = json.dumps(config)
    env = torch.load(sighted, weights_only=True)["env_metadata"]
    messages = {
        evaluate_changed("bcq.pth", algo_name="bcq"): "is a policy of robomimic's bcq",
        evaluate_changed("norm.pth", obs_normalization_stats={}): "train without it",
        evaluate_changed("lift.pth", env_metadata=env | {"env_name": "Lift"}): "is no policy of egorobot",
        evaluate_changed("config.pth", config="{"): "is no checkpoint of robomimic's training",
        evaluate_changed("moved.pth", config=moved): "gone.hdf5, which is not there: dataset=FILE",
        evaluate_changed("masked.pth", f"dataset={dataset}", config=masked): "has no mask/best",
        evaluate_changed(
            "door.pth", env_metadata=env | {"env_name": "egorobot/Door-v0"}
        ): "was trained on egorobot/Door-v0",
        run_main(evaluate_module.main, f"run={finished_run / 'policy.pth'}"): f"run={finished_run}",
        run_main(evaluate_module.main, f"run={finished_run}", "policy_name=x"): "leave them out for a run",
        run_main(evaluate_module.main, f"run={sighted}", f"out={dataset.parent}"): "is not empty: choose another out=",
        run_main(evaluate_module.main, f"run={tmp_path / 'nowhere.pth'}"): "no policy at",
    }
    for printed, expected in messages.items():
        assert printed.startswith("error: ") and expected in printed, printed
    assert not (tmp_path / "result.json").exists()


def test_training_that_fails_ends_with_status_1(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = make_config(dataset, tmp_path / "trained", "failing", hdf5_filter_key="nobody")
    (tmp_path / "config.json").write_text(json.dumps(config))
    before = sys.stdout
    with pytest.raises(SystemExit) as caught:
        robomimic.run_script("train", ["--config", str(tmp_path / "config.json")])
    assert caught.value.code == 1
    assert sys.stdout is before

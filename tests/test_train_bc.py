"""From a task's name to a success rate, killed or not."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from egorobot import train_bc as module
from egorobot.cli import load_config
from egorobot.envs.demonstrations import read_info
from egorobot.errors import UserError
from egorobot.evaluate import evaluate
from egorobot.leaderboard import build_leaderboard
from egorobot.policies.rollout import EpisodeResult
from egorobot.runs import read_config, read_result
from egorobot.stages import Run
from egorobot.train_bc import choose_episodes, main, report, train_bc


def snapshot(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_a_run_leaves_what_it_promises(finished_run: Path) -> None:
    result = read_result(finished_run)
    assert result["eval"]["episode_seeds"] == [100000, 100001, 100002, 100003]
    assert 0 < result["eval"]["successes"] < 4
    assert result["encoder"] == {
        "name": "egorobot_patches:make", "fingerprint": "mean colours of 8 x 8 patches", "dim": 192
    }  # fmt: skip
    assert result["overrides"]["policy.readout"] is None and "task" not in result["overrides"]
    info = read_info(next(finished_run.parent.glob("data/kitchen/slide/*.hdf5")))
    assert not set(info.seeds) & set(result["eval"]["episode_seeds"])
    assert result["render_fingerprint"] == info.render_fingerprint
    assert {p.name for p in finished_run.iterdir()} >= {"config.yaml", "policy.pth", "metrics", "result.json"}
    (video,) = finished_run.glob("videos/*.mp4")
    assert video.name == f"seed{100000 + result['eval']['outcomes'].index(True)}_success.mp4"
    lines = report(finished_run, result).splitlines()
    assert lines[0].startswith("slide / egorobot_patches:make / bc_mlp: success ")
    assert lines[0].endswith("] (95 % Wilson)")
    assert lines[-1] == str(video)


def test_a_finished_run_is_not_repeated(finished_run: Path, run_options: list[str]) -> None:
    before = snapshot(finished_run)
    result = train_bc(load_config("train_bc", [*run_options, f"run_dir={finished_run}"]))
    assert result == read_result(finished_run)
    assert snapshot(finished_run) == before


def test_more_episodes_are_added_to_a_finished_run_and_fewer_are_there(
    finished_run: Path, run_options: list[str], tmp_path: Path
) -> None:
    """The policy stays; only the new episodes are run, and the same as if asked for at once."""
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    before = read_result(run)
    options = [*run_options, f"run_dir={run}", f"data_dir={tmp_path / 'data'}", "videos=0", "num_workers=1"]
    more = train_bc(load_config("train_bc", [*options, "episodes=6"]))
    assert more == read_result(run) and read_config(run).episodes == 6
    assert more["eval"]["outcomes"][:4] == before["eval"]["outcomes"]
    assert more["eval"] == evaluate(run, episodes=6, num_workers=1)["eval"]
    assert more["wall_time_s"]["eval"] > before["wall_time_s"]["eval"]
    assert {**more, "eval": 0, "wall_time_s": 0} == {**before, "eval": 0, "wall_time_s": 0}
    assert (run / "policy.pth").read_bytes() == (finished_run / "policy.pth").read_bytes()
    assert train_bc(load_config("train_bc", [*options, "episodes=3"])) == more and read_config(run).episodes == 6


STAGES: dict[str, Callable[[Path], bool]] = {
    "demos": lambda folder: any(folder.glob("data/kitchen/slide/.*/*")),
    "embed": lambda folder: any(folder.glob("data/embeddings/*/*.npy")),
    "train": lambda folder: any(folder.glob("run/metrics/events*")),
    "eval": lambda folder: "train" in progress(folder) and any_worker(),
    "videos": lambda folder: (folder / "run" / "result.json").exists(),
}


def progress(folder: Path) -> str:
    path = folder / "run" / ".progress.json"
    return path.read_text() if path.exists() else ""


def any_worker() -> bool:
    return any("spawn_main" in " ".join(p.cmdline()) for p in workers())


def workers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children(recursive=True):
        try:
            if "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.Error:
            continue
    return found


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_in_each_stage_it_ends_with_the_same_result(
    finished_run: Path, patches: Path, run_options: list[str], tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "egorobot.train_bc", *run_options, "num_workers=2", "data_dir=data", "run_dir=run"]
    environment = os.environ | {"PYTHONPATH": str(patches)}
    for reached in STAGES.values():
        process = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while not reached(tmp_path):
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
        children = workers()
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive, "workers outlive a run that was killed"
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "slide / egorobot_patches:make / bc_mlp: success" in done.stdout
    again = tmp_path / "run"
    assert read_result(again)["eval"] == read_result(finished_run)["eval"]
    assert (again / "policy.pth").read_bytes() == (finished_run / "policy.pth").read_bytes()
    assert {p.name for p in again.glob("videos/*")} == {p.name for p in finished_run.glob("videos/*")}
    assert not [p for p in again.rglob(".*") if p.name not in (".lock", ".progress.json")]


def test_bad_options_leave_no_folder(tmp_path: Path, patches: Path, run_options: list[str]) -> None:
    folder = tmp_path / "run"
    for option, message in {
        "encoder=egovideo_nana": "egovideo_nano",
        "episodes=0": "episodes=0",
        "num_demos=0": "num_demos=0",
        "policy.batch_size=0": "batch_size=0",
        "encoder=end_to_end": "policy=bc_mlp does not go with encoder=end_to_end",
        "camera=left_cap": "unknown camera 'left_cap'",
        "render=slow": "unknown render preset 'slow'",
        "image_size=8": "image_size=8: at least 16 is needed",
        "seed=-1": "seed=-1: at least 0 is needed",
        "demo_seed=-1": "demo_seed=-1: at least 0 is needed",
        "episodes=900001": "demonstrations begin at seed 1000000",
        "policy.norm=none": "unknown policy.norm 'none'",
        "+policy.algo.gnn.enabled=true": "policy.algo is not what robomimic's BC takes",
    }.items():
        with pytest.raises(UserError) as caught:
            train_bc(load_config("train_bc", [*run_options, option, f"run_dir={folder}", f"data_dir={tmp_path}"]))
        assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "option", ["camera=lefty", "policy.steps=0", "episodes=0", "leaderboard=file", "pretrain=true"]
)
def test_bad_options_are_told_before_an_encoder_is_trained(
    option: str, run_main: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    told = run_main(main, "encoder=made", "pretrain={steps: 1}", option)
    assert option.split("=")[0].removeprefix("policy.") in told and len(told.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
def test_a_finished_run_that_cannot_be_written_to_is_read(
    finished_run: Path, run_options: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "run")
    before = snapshot(copy)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))  # root may all
    result = train_bc(load_config("train_bc", [*run_options, f"run_dir={copy}", f"data_dir={tmp_path}"]))
    assert result == read_result(finished_run) and snapshot(copy) == before


def test_another_configuration_or_encoder_never_overwrites(
    finished_run: Path, run_options: list[str], tmp_path: Path
) -> None:
    copy = shutil.copytree(finished_run, tmp_path / "run")
    before = snapshot(copy)
    with pytest.raises(UserError, match=r"seed=0 there, 1 here\): choose run_dir="):
        train_bc(load_config("train_bc", [*run_options, f"run_dir={copy}", "seed=1"]))
    assert snapshot(copy) == before
    recorded = json.loads((copy / ".progress.json").read_text())
    recorded["inputs"]["encoder"] = "what it was before"
    (copy / ".progress.json").write_text(json.dumps(recorded))
    before = snapshot(copy)
    with pytest.raises(UserError, match="encoder fingerprint what it was before there"):
        train_bc(load_config("train_bc", [*run_options, f"run_dir={copy}"]))
    assert snapshot(copy) == before


def test_the_maximum_over_checkpoints_is_reported_as_such(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NUM_CHECKPOINTS", 2)
    options = [
        "task=slide", "encoder=state", "num_demos=8", "policy.steps=40", "episodes=2", "videos=0", "image_size=32",
        "eval_max=true", "num_workers=1", f"data_dir={finished_run.parent / 'data'}", f"run_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    result = train_bc(load_config("train_bc", options))
    assert result["eval"]["checkpoint"] == "last"
    assert result["eval_max"]["checkpoint"] in ("step_000020", "last")
    assert result["eval_max"]["successes"] >= result["eval"]["successes"]
    assert "maximum over 2 checkpoints" in report(tmp_path / "run", result)
    evaluated = tmp_path / "run/checkpoints/step_000020.json"
    before = evaluated.stat().st_mtime_ns
    for name in ("result.json", ".progress.json"):  # as if it had been killed before its end
        (tmp_path / "run" / name).rename(tmp_path / name)
    progress = json.loads((tmp_path / ".progress.json").read_text())
    progress["seconds"].pop("eval")
    (tmp_path / "run/.progress.json").write_text(json.dumps(progress))
    again = train_bc(load_config("train_bc", options))
    assert (again["eval"], again["eval_max"]) == (result["eval"], result["eval_max"])
    assert evaluated.stat().st_mtime_ns == before


def test_a_run_without_a_camera_can_be_gone_on_with(tmp_path: Path) -> None:
    options = [
        "task=slide", "encoder=state", "camera=null", "num_demos=2", "policy.steps=2", "policy.readout=null",
        "episodes=1", "videos=0", "num_workers=1", f"data_dir={tmp_path / 'data'}", f"run_dir={tmp_path / 'run'}",
    ]  # fmt: skip
    result = train_bc(load_config("train_bc", options))
    assert result["camera"] == []
    assert train_bc(load_config("train_bc", options)) == result
    (file,) = (tmp_path / "data/kitchen/slide").glob("*.hdf5")
    (tmp_path / "run").rename(tmp_path / "other")
    again = train_bc(load_config("train_bc", [*options, f"dataset={file}"]))
    assert again["eval"] == result["eval"] and again["dataset_fingerprint"]


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["+launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_an_experiment_makes_one_run_after_another(launcher: list[str], finished_run: Path, tmp_path: Path) -> None:
    """What is swept can be narrowed on the command line, and runs done side by side."""
    done = subprocess.run(
        sweep(finished_run, *launcher, "seed=0,1"), cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert finished_seeds(tmp_path) == ["seed0", "seed1"]


def sweep(finished_run: Path, *options: str) -> list[str]:
    """Return the command of a sweep of short runs into `runs`."""
    short = [
        "+experiment=curves", "task=slide", "encoder=blank", "num_demos=2", "policy.steps=10", "episodes=1",
        "videos=0", "image_size=32", "num_workers=1", f"data_dir={finished_run.parent / 'data'}", "runs_dir=runs",
    ]  # fmt: skip
    return [sys.executable, "-m", "egorobot.train_bc", "--multirun", *short, *options]


SWEPT = Path("runs/kitchen/slide/blank/bc_mlp_image_size_32_steps_10/demos2")  # where `sweep` has its runs


def finished_seeds(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in (folder / SWEPT).glob("*/result.json"))


@pytest.mark.slow
@pytest.mark.parametrize("launcher", [[], ["+launcher=joblib", "hydra.launcher.n_jobs=2"]])
def test_a_sweep_goes_on_past_runs_that_cannot_be_done(launcher: list[str], finished_run: Path, tmp_path: Path) -> None:
    """One that another process is at is left to it; one with bad input is told of, and in the exit status."""
    busy, foreign = (tmp_path / SWEPT / f"seed{seed}" for seed in (0, 1))
    foreign.mkdir(parents=True)
    (foreign / "notes.txt").touch()
    command = sweep(finished_run, *launcher)
    with Run(busy).open(load_config("train_bc", ["task=slide"])):
        done = subprocess.run([*command, "seed=0,1,2"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert finished_seeds(tmp_path) == ["seed2"]
    assert f"left to another process: another process writes a run in {busy.relative_to(tmp_path)}" in done.stdout
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert told[0].startswith(f"error: {foreign.relative_to(tmp_path)} holds notes.txt but is not a run folder")
    assert told[1] == "error: not all runs of the sweep were done: the same command goes on with the rest"
    assert done.returncode != 0 and "Traceback" not in done.stderr


@pytest.mark.slow
def test_two_sweeps_share_the_runs_and_one_of_them_may_die(finished_run: Path, tmp_path: Path) -> None:
    """Every run is there once, whole, and the leaderboard counts it once."""
    command = sweep(finished_run, "seed=0,1,2")
    with (tmp_path / "log").open("w") as log:
        first, second = (subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log) for _ in range(2))
        try:
            while not finished_seeds(tmp_path):
                assert first.poll() is None, (tmp_path / "log").read_text()
                time.sleep(0.05)
            second.kill()
            assert first.wait(timeout=200) == 0, (tmp_path / "log").read_text()
        finally:
            for sweep_process in (first, second):
                sweep_process.kill()
                sweep_process.wait()
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert finished_seeds(tmp_path) == ["seed0", "seed1", "seed2"]
    board = build_leaderboard(tmp_path / "runs", tmp_path / "board")
    assert "/3, 3 seeds" in (tmp_path / "board" / "leaderboard.md").read_text(), board


def test_videos_show_successes_and_failures_in_turn() -> None:
    episodes = [EpisodeResult(seed, seed in (4, 7), 10) for seed in range(3, 9)]
    assert [e.seed for e in choose_episodes(episodes, 3)] == [4, 3, 7]
    assert [e.seed for e in choose_episodes(episodes, 5)] == [4, 3, 7, 5, 6]
    assert len(choose_episodes(episodes, 50)) == 6
    assert choose_episodes(episodes, 0) == []

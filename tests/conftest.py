"""What the tests of several rooms share."""

import fcntl
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

# Before torch and numpy are imported: two test processes of one thread each do more on
# two cores than two of two. Nothing is ever fetched from a hub.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put files with slow tests first, those with most of them at the head: the last to end keeps others idle."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def clips() -> Path:
    """A folder of three real videos of hands at work, with `clips.csv`; not part of the repository."""
    folder = ROOT.parent / "shared" / "data" / "clips"
    if not folder.is_dir():
        pytest.skip("the real clips are not here (../shared/data/clips)")
    return folder


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations of `microwave` at 64 px, collected once for all test processes.

    Read only: a test that changes a file copies it first.
    """
    from egorobot.collect import collect

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the one that all processes share; `collect` lets one at a time in
    path = folder / "demonstrations" / "microwave.hdf5"
    collect("microwave", num_demos=3, image_size=64, out=path, num_workers=1)
    return path


PATCHES = """
import numpy as np


class Patches:
    name, dim, num_frames, frame_rate, fingerprint = "patches", 192, 2, 6.25, "mean colours of 8 x 8 patches"

    def embed(self, frames):
        batch, _, height, width, _ = frames.shape
        patches = frames[:, -1].reshape(batch, 8, height // 8, 8, width // 8, 3)
        return patches.mean((2, 4), dtype=np.float32).reshape(batch, -1) / 255


def make():
    return Patches()
"""


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all test processes share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def patches(shared_folder: Path) -> Path:
    """A folder with a module that has an encoder, `encoder=egorobot_patches:make`, quick but not blind."""
    (shared_folder / "egorobot_patches.py").write_text(PATCHES)
    if str(shared_folder) not in sys.path:
        sys.path.insert(0, str(shared_folder))
    return shared_folder


RUN_OPTIONS = [
    "task=slide", "encoder=egorobot_patches:make", "num_demos=8", "policy.steps=1000", "episodes=4", "videos=1",
    "image_size=32",
    "policy.readout=null",  # so little training succeeds in some episodes without one, in none with it
]  # fmt: skip


@pytest.fixture(scope="session")
def run_options() -> list[str]:
    """The options of `finished_run`, without its folders."""
    return list(RUN_OPTIONS)


@pytest.fixture(scope="session")
def finished_run(patches: Path) -> Path:
    """A finished run of `train_bc`, made once for all test processes; its data are in `../data`.

    Read only: a test that changes something copies it first.
    """
    from egorobot.cli import load_config
    from egorobot.train_bc import train_bc

    folder = patches / "train_bc"
    folder.mkdir(exist_ok=True)
    options = [*RUN_OPTIONS, "num_workers=1", f"data_dir={folder / 'data'}", f"run_dir={folder / 'run'}"]
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "finished").exists():  # then a test of another process may be at the run
            train_bc(load_config("train_bc", options))
            (folder / "finished").touch()
    return folder / "run"


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable[..., str]:
    """Runs the `main` of a command with arguments, and returns what it prints; its error where it fails."""

    def run(main: Callable[[], None], *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        try:
            main()
        except SystemExit:
            return capsys.readouterr().err.strip().splitlines()[-1]
        return capsys.readouterr().out

    return run


def _make_result(
    successes: int = 41, encoder: str | dict[str, Any] = "egovideo_nano", episodes: int = 50, **changes: Any
) -> dict[str, Any]:
    from egorobot.statistics import wilson_interval

    def evaluation(good: int) -> dict[str, Any]:
        return {
            "checkpoint": "last",
            "episodes": episodes,
            "successes": good,
            "success_rate": good / episodes,
            "ci95": list(wilson_interval(good, episodes)),
            "ci_method": "wilson",
            "episode_seeds": [100_000 + k for k in range(episodes)],
            "outcomes": [k < good for k in range(episodes)],
        }

    if isinstance(encoder, str):
        encoder = {"name": encoder, "fingerprint": "aaaa0000bbbb1111", "dim": 192}
    best = changes.pop("best", None)
    return {
        "schema": 1,
        "task": "microwave",
        "protocol": "kitchen",
        "camera": "left_cap2",
        "encoder": encoder,
        "policy": "bc_mlp",
        "num_demos": 100,
        "seed": 0,
        "eval": evaluation(successes),
        "eval_max": None if best is None else evaluation(best),
        "wall_time_s": {"demos": 1, "embed": 2, "train": 3, "eval": 4},
        "versions": {"egorobot": "0.1.0", "mujoco": "3.11.0", "robomimic": "0.3.0", "torch": "2.14.1"},
        "render_fingerprint": "cccc",
        "git_commit": None,
    } | changes


@pytest.fixture(scope="session")
def make_result() -> Callable[..., dict[str, Any]]:
    """Makes what `result.json` of a run holds, given successes, encoder, episodes and other fields."""
    return _make_result


def _clip(path: Path, colour: int = 200) -> Path:
    """Write a video of a second."""
    from egorobot.videos import write_video

    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (np.full((64, 64, 3), (colour, 40, 2 * k), np.uint8) for k in range(20))
    write_video(path, frames, fps=20, hold=0.1)
    return path


@pytest.fixture(scope="session")
def clip() -> Callable[..., Path]:
    """Writes a small video where a path says, of a colour, and returns the path."""
    return _clip


def _write_board(out: Path, *results: dict[str, Any], runs: Path | None = None) -> str:
    from egorobot.comparisons import make_comparisons
    from egorobot.leaderboard import make_rows
    from egorobot.leaderboard_page import write_page

    found = [((runs or out) / f"run{i}", result) for i, result in enumerate(results)]
    rows = make_rows(results)
    return write_page(out, rows, found, make_comparisons(rows)).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def write_board() -> Callable[..., str]:
    """Writes the leaderboard's page of results, whose folders are `run0`, `run1`, ... in `runs`, and returns it."""
    return _write_board

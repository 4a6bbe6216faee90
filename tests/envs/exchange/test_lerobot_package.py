"""What we write is loaded by `lerobot` itself, and what it records is read by us.

It cannot be installed beside this package's PyTorch: EGOROBOT_LEROBOT_PYTHON names the
interpreter of an environment of its own (`python -m venv DIR && DIR/bin/pip install lerobot`).
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow")

from egorobot.envs.demonstrations import read_info
from egorobot.envs.exchange.lerobot_reader import LeRobotReader
from egorobot.envs.exchange.lerobot_video import VideoSettings
from egorobot.envs.exchange.lerobot_writer import write_lerobot
from egorobot.envs.exchange.recorded import recorded_demos

PYTHON = os.environ.get("EGOROBOT_LEROBOT_PYTHON")
KEY = "observation.images.left_cap2"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PYTHON, reason="EGOROBOT_LEROBOT_PYTHON names no interpreter that has lerobot"),
]


def run_probe(*arguments: object) -> None:
    assert PYTHON is not None
    # Isolated: this folder has a module that is called as a package that lerobot imports.
    command = [PYTHON, "-I", str(Path(__file__).with_name("lerobot_probe.py")), *map(str, arguments)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("video", [VideoSettings(), VideoSettings("yuv420p", 18), None], ids=["exact", "small", "png"])
def test_lerobot_loads_what_we_write(demonstrations: Path, tmp_path: Path, video: VideoSettings | None) -> None:
    info = read_info(demonstrations)
    demos = list(recorded_demos(info, range(3)))
    folder = write_lerobot(tmp_path / "microwave", info, demos, video)
    run_probe("load", folder, tmp_path / "loaded.npz")
    loaded = np.load(tmp_path / "loaded.npz")

    lengths = [demo.length for demo in demos]
    actions = np.concatenate([demo.actions for demo in demos])
    assert (loaded["fps"], loaded["num_episodes"], set(loaded["task"])) == (12.5, 3, {"open the microwave"})
    np.testing.assert_array_equal(loaded["action"], actions)
    np.testing.assert_array_equal(loaded["observation.state"], np.concatenate([d.vectors["proprio"] for d in demos]))
    np.testing.assert_array_equal(
        loaded["observation.environment_state"], np.concatenate([d.vectors["state"] for d in demos])
    )
    states = np.concatenate([d.states for d in demos])
    np.testing.assert_array_equal(
        loaded["egorobot.state"], states.astype(np.float32)
    )  # so it turns numbers into tensors
    np.testing.assert_array_equal(loaded["episode_index"], np.repeat([0, 1, 2], lengths))
    np.testing.assert_array_equal(loaded["frame_index"], np.concatenate([np.arange(n) for n in lengths]))
    np.testing.assert_allclose(loaded["timestamp"], loaded["frame_index"] / 12.5, rtol=1e-6)
    np.testing.assert_allclose(loaded["action_mean"], actions.mean(0), atol=1e-6)
    np.testing.assert_array_equal(loaded["second_actions"], demos[1].actions)
    np.testing.assert_array_equal(loaded["window_actions"][0], actions[:2])

    originals = np.concatenate([demo.images["left_cap2"] for demo in demos]).astype(np.float64)
    images = 255.0 * np.moveaxis(loaded[KEY], 1, -1)
    errors = ((images - originals) ** 2).mean(axis=(1, 2, 3))
    lowest = 10 * np.log10(255**2 / max(errors.max(), 1e-9))
    assert lowest > (50 if video == VideoSettings() else 30 if video else 100)  # measured: 53, 35, exact
    # A frame and the one before it, at the right steps.
    np.testing.assert_array_equal(loaded["window_images"][3], loaded[KEY][2:4])


def test_we_read_what_lerobot_records(demonstrations: Path, tmp_path: Path) -> None:
    info = read_info(demonstrations)
    demos = list(recorded_demos(info, [0, 1]))
    np.savez(
        tmp_path / "frames.npz",
        **{
            "action": np.concatenate([demo.actions for demo in demos]),
            "observation.state": np.concatenate([demo.vectors["proprio"] for demo in demos]),
            "observation.environment_state": np.concatenate([demo.vectors["state"] for demo in demos]),
            KEY: np.concatenate([demo.images["left_cap2"] for demo in demos]),
            "lengths": np.array([demo.length for demo in demos]),
        },
    )
    run_probe("record", tmp_path / "frames.npz", tmp_path / "recorded")
    reader = LeRobotReader(str(tmp_path / "recorded"))
    assert (reader.num_episodes, reader.env.env_id) == (2, None)
    for index, demo in enumerate(demos):
        episode = reader.read(index)
        np.testing.assert_array_equal(episode.actions, demo.actions)
        np.testing.assert_array_equal(episode.positions[:, :9].astype(np.float32), demo.vectors["proprio"])
        np.testing.assert_array_equal(episode.desk.astype(np.float32), demo.vectors["state"][0, 21:])  # type: ignore[union-attr]
        # Its codec loses much of such small images; frames that go with other steps would lose more.
        errors = [
            np.abs(episode.images["left_cap2"][step].astype(float) - demo.images["left_cap2"]).mean((1, 2, 3))
            for step in range(0, demo.length, 10)
        ]
        assert max(error.min() for error in errors) < 12

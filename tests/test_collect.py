import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import psutil
import pytest

from egorobot import collect as collect_module
from egorobot.collect import Collection, collect
from egorobot.envs import demonstration_parts
from egorobot.envs.demonstrations import first_demo_seed, open_demonstrations
from egorobot.errors import UserError
from egorobot.files import sole_user

SETTINGS = {"task": "microwave", "num_demos": 3, "image_size": 64}  # those of the shared file


def parts(folder):
    return [path for path in Path(folder).glob(".*.parts-*/*.hdf5") if not path.name.startswith((".", "joined"))]


def test_killed_and_resumed_with_two_workers_equals_a_straight_run(demonstrations, tmp_path):
    out = tmp_path / "killed.hdf5"
    command = [sys.executable, "-m", "egorobot.collect", f"out={out}", "num_workers=2"]
    command += [f"{key}={value}" for key, value in SETTINGS.items()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    while not parts(tmp_path):
        assert process.poll() is None
        time.sleep(0.02)
    workers = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []  # workers end with the process that started them
    # What a kill while writing leaves behind.
    folder = parts(tmp_path)[0].parent
    (folder / ".2.4711.hdf5").write_bytes(b"half a part")
    (folder / "joined.hdf5").write_bytes(b"half a file")

    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert out.read_bytes() == demonstrations.read_bytes()
    tries = open_demonstrations(out).tries(3)
    assert f"expert success 3/{tries} (" in done.stdout
    assert str(out) in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["killed.hdf5"]


def test_extended_file_equals_a_straight_run(demonstrations, tmp_path):
    out = tmp_path / "extended.hdf5"
    collect(**SETTINGS | {"num_demos": 1}, out=out, num_workers=1)
    collection = collect(**SETTINGS, out=out, num_workers=1)
    assert out.read_bytes() == demonstrations.read_bytes()
    assert collection.info.num_demos == 3


def test_nothing_to_do_prints_the_same_line(demonstrations, monkeypatch):
    monkeypatch.setattr(demonstration_parts, "make_expert", None)  # nobody may be asked
    before = demonstrations.stat().st_mtime_ns
    fewer = collect(**SETTINGS | {"num_demos": 2}, out=demonstrations)
    same = collect(**SETTINGS, out=demonstrations)
    assert demonstrations.stat().st_mtime_ns == before
    assert fewer.summary().startswith(f"expert success 2/{same.info.tries(2)} (")
    assert same.summary().startswith(f"expert success 3/{same.tries} (")


def test_failures_are_counted_and_left_out(tmp_path, monkeypatch):
    made = demonstration_parts.collect_episode

    def fail_on_even_seeds(simulation, expert, rng, bursts):
        episode = made(simulation, expert, rng, bursts)
        failed = next(outcomes)
        return type(episode)(episode.actions, episode.states, episode.solved, not failed)

    outcomes = iter([True, False, True, False])
    monkeypatch.setattr(demonstration_parts, "collect_episode", fail_on_even_seeds)
    collection = collect("slide", num_demos=2, camera=None, out=tmp_path / "a.hdf5", num_workers=1)
    assert collection.info.seeds == (first_demo_seed(0) + 1, first_demo_seed(0) + 3)
    assert collection.summary().startswith("expert success 2/4 (50 %, 95 % interval 15 to 85")


def test_expert_that_keeps_failing(tmp_path, monkeypatch):
    monkeypatch.setattr(collect_module, "MAX_FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(
        demonstration_parts,
        "collect_episode",
        lambda *_: demonstration_parts.Episode(actions=None, states=None, solved=None, success=False),
    )
    message = "expert of 'slide' failed 3 times in a row under protocol 'r3m', expert success 0/3"
    with pytest.raises(UserError, match=message):
        collect("slide", "r3m", 2, camera=None, out=tmp_path / "a.hdf5", num_workers=1)
    assert not (tmp_path / "a.hdf5").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "knob"}, "'microwave', not 'knob'"),
        ({"image_size": 32}, "image_size=64, not 32"),
        ({"protocol": "r3m"}, "protocol=kitchen, not r3m"),
        ({"seed": 1}, "seed=0"),
        ({"bursts": False}, "bursts="),
    ],
)
def test_another_file_is_never_overwritten(demonstrations, changes, message):
    before = demonstrations.read_bytes()
    with pytest.raises(UserError, match=message):
        collect(**SETTINGS | changes, out=demonstrations, num_workers=1)
    assert demonstrations.read_bytes() == before


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(UserError, match="is a folder: out= wants the name of a file"):
        collect(**SETTINGS, out=tmp_path, num_workers=1)


def test_foreign_file_is_never_overwritten(tmp_path):
    out = tmp_path / "mine.hdf5"
    with h5py.File(out, "w") as file:
        file["x"] = 1
    before = out.read_bytes()
    with pytest.raises(UserError, match="holds no demonstrations of egorobot"):
        collect(**SETTINGS, out=out, num_workers=1)
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "sink"}, "unknown task 'sink'"),
        ({"protocol": "easy"}, "unknown protocol 'easy'"),
        ({"camera": "top"}, "unknown camera 'top'"),
        ({"num_demos": 0}, "num_demos=0"),
        ({"image_size": 8}, "image_size=8: at least 16"),
        ({"render": "slow"}, "unknown render preset 'slow'"),
        ({"camera": 3}, "camera=3: a name or a list of names"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_arguments_are_one_line(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        collect(**SETTINGS | changes, out=tmp_path / "a.hdf5")
    assert list(tmp_path.iterdir()) == []


def test_seeds_of_demonstrations_never_meet(demonstrations):
    info = open_demonstrations(demonstrations)
    assert all(first_demo_seed(0) <= seed < first_demo_seed(1) for seed in info.seeds)
    assert Collection(info, 3).tries >= 3


def test_waits_for_another_process_in_the_same_folder(demonstrations, tmp_path):
    out = shutil.copy(demonstrations, tmp_path / "copy.hdf5")
    thread = threading.Thread(target=collect, kwargs=SETTINGS | {"out": out, "num_demos": 4, "num_workers": 1})
    with sole_user(tmp_path, "demonstrations"):
        assert collect(**SETTINGS, out=out).num_demos == 3  # what is there is read by anybody
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()
    thread.join(60)
    assert not thread.is_alive()

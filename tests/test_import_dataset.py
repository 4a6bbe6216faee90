import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from egorobot import import_dataset as module
from egorobot.cli import load_config
from egorobot.collect import collect
from egorobot.envs.demonstrations import open_demonstrations, read_demo, read_info
from egorobot.envs.rendering import env_render_fingerprint
from egorobot.errors import UserError
from egorobot.import_dataset import import_dataset, main
from egorobot.train_bc import train_bc

SMALL = {"image_size": 32, "num_workers": 1}


@pytest.fixture(scope="module")
def datasets():
    """The functions that make datasets, shared with the tests of the readers."""
    path = Path(__file__).parent / "envs" / "exchange" / "datasets.py"
    spec = importlib.util.spec_from_file_location("exchange_datasets", path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture(scope="module")
def d4rl_file(datasets, tmp_path_factory):
    """Three episodes of FrankaKitchen-v1 in D4RL's format: the slide cabinet, then the microwave. Read only."""
    return datasets.write_d4rl_file(tmp_path_factory.mktemp("d4rl") / "sequence.hdf5", ["slide", "microwave"], 3)


@pytest.fixture(scope="module")
def seeds(demonstrations):
    return list(read_info(demonstrations).seeds)


@pytest.fixture(scope="module")
def kitchen_file(datasets, seeds, tmp_path_factory):
    """The shared demonstrations in D4RL's format. Read only."""
    return datasets.write_kitchen_d4rl_file(tmp_path_factory.mktemp("d4rl") / "kitchen.hdf5", seeds)


@pytest.fixture(scope="module")
def imported(d4rl_file, tmp_path_factory):
    """The microwave's part of the file of D4RL. Read only."""
    out = tmp_path_factory.mktemp("imported") / "microwave.hdf5"
    return import_dataset(str(d4rl_file), subtask="microwave", out=out, **SMALL)


def test_part_of_d4rls_file_becomes_demonstrations(imported, d4rl_file):
    assert (imported.task, imported.protocol, imported.num_demos, imported.horizon) == ("microwave", "d4rl", 3, 280)
    assert imported.imported["velocities"] == "zero"
    assert imported.imported["source"] == "sequence.hdf5"
    assert imported.seeds == (None, None, None)
    with h5py.File(imported.path) as ours, h5py.File(d4rl_file) as theirs:
        assert json.loads(ours["data"].attrs["env_args"])["env_name"] == imported.env_name
        assert ours["data"].attrs["total"] == sum(imported.lengths)
        rewarded = np.flatnonzero(theirs["rewards"][()])
        for i, length in enumerate(imported.lengths):
            start, stop = rewarded[2 * i] + 1, rewarded[2 * i + 1] + 1
            demo = ours[f"data/demo_{i}"]
            assert length == stop - start
            assert demo["dones"][()].tolist() == [0] * (length - 1) + [1]
            assert np.array_equal(demo["actions"][()], theirs["actions"][start:stop])
            assert np.array_equal(demo["obs/proprio"][()], theirs["observations"][start:stop, :9])
            assert np.array_equal(demo["obs/state"][()][:, :21], theirs["observations"][start:stop, 9:30])
            assert demo["obs/left_cap2_image"].shape == (length, 32, 32, 3)
            assert "seed" not in demo.attrs
        assert ours["data/demo_1"].attrs["source"].startswith("episode 1, steps ")


def test_images_show_the_states(imported):
    import gymnasium

    demo = read_demo(imported, 1)
    env = gymnasium.make(imported.env_name, **imported.env_kwargs, include_state=True).unwrapped
    for step in (0, imported.lengths[1] - 1):
        observation = env.set_state(demo.states[step])
        assert all(np.array_equal(observation[key], demo.observations[key][step]) for key in observation)
    env.close()
    first, last = demo.observations["left_cap2_image"][[0, -1]].astype(int)
    assert np.abs(first - last).mean() > 1  # something moved


def test_same_demonstrations_as_without_the_detour(kitchen_file, demonstrations, tmp_path):
    info = import_dataset(
        str(kitchen_file), "microwave", protocol="kitchen", image_size=64, num_workers=1, out=tmp_path / "a.hdf5"
    )
    direct = open_demonstrations(demonstrations)
    assert (info.env_name, info.env_kwargs, info.lengths) == (direct.env_name, direct.env_kwargs, direct.lengths)
    for index in range(3):
        here, there = read_demo(info, index), read_demo(direct, index)
        assert np.array_equal(here.actions, there.actions)
        for key, values in here.observations.items():
            difference = np.abs(values.astype(float) - there.observations[key])
            # The file's positions are single precision: a pixel in 10,000 may be another.
            assert (difference > 0).mean() < (1e-3 if key.endswith("_image") else 1e-9)


def test_minari_with_its_images_kept(datasets, seeds, tmp_path, monkeypatch):
    pytest.importorskip("minari")
    pytest.importorskip("jax", reason="Minari collects with jax: pip install 'minari[create]'")
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    datasets.write_kitchen_minari("seen-v0", seeds[:2], camera="left_cap2", image_size=32)
    drawn = import_dataset("minari:seen-v0", out=tmp_path / "drawn.hdf5", **SMALL)
    kept = import_dataset("minari:seen-v0", images="keep", out=tmp_path / "kept.hdf5", **SMALL)
    assert kept.seeds == tuple(seeds[:2])
    assert (kept.task, kept.protocol, kept.imported["images"]) == ("microwave", "kitchen", "keep")
    difference = np.abs(
        read_demo(kept, 1).observations["left_cap2_image"].astype(int)
        - read_demo(drawn, 1).observations["left_cap2_image"]
    )
    assert (difference > 0).mean() < 1e-3
    with pytest.raises(UserError, match="seen-v0 has those of 32 x 32 of left_cap2 in 64 px: images=draw"):
        import_dataset("minari:seen-v0", images="keep", image_size=64, out=tmp_path / "other.hdf5", num_workers=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn.hdf5", "kept.hdf5", "minari"]


def parts(folder):
    return [path for path in Path(folder).glob(".*.parts-*/*.hdf5") if not path.name.startswith((".", "joined"))]


@pytest.mark.slow
def test_killed_and_resumed_equals_a_straight_run(imported, d4rl_file, tmp_path):
    out = tmp_path / "killed.hdf5"
    command = [sys.executable, "-m", "egorobot.import_dataset", f"source={d4rl_file}", "subtask=microwave"]
    command += [f"out={out}", "image_size=32", "num_workers=2"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not parts(tmp_path):
        assert process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not out.exists()
    made = {path: path.stat().st_mtime_ns for path in parts(tmp_path)}
    folder = next(iter(made)).parent
    (folder / ".2.4711.hdf5").write_bytes(b"half a part")
    (folder / "joined.hdf5").write_bytes(b"half a file")

    kept = {path.stem for path in made}
    written = []
    write_demo = module.PieceWriter.write_once

    def watch(self, number, piece, folder):
        written.append(str(number))
        write_demo(self, number, piece, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.PieceWriter, "write_once", watch)
        import_dataset(str(d4rl_file), subtask="microwave", out=out, **SMALL)
    assert not kept & set(written)
    assert out.read_bytes() == imported.path.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["killed.hdf5"]


def test_again_does_nothing_and_other_options_are_refused(imported, d4rl_file):
    before = imported.path.stat().st_mtime_ns
    again = import_dataset(str(d4rl_file), subtask="microwave", out=imported.path, **SMALL)
    assert again == imported
    for changes in ({"subtask": "slide-cabinet"}, {"num_demos": 2}, {"image_size": 64}):
        options = {"subtask": "microwave", **SMALL} | changes
        with pytest.raises(UserError, match="holds something else"):
            import_dataset(str(d4rl_file), out=imported.path, **options)
    with pytest.raises(UserError, match="protocol=None, not kitchen"):
        collect("microwave", num_demos=3, image_size=32, out=imported.path)
    assert imported.path.stat().st_mtime_ns == before


def test_collect_never_extends_an_imported_file(kitchen_file, tmp_path):
    info = import_dataset(str(kitchen_file), "microwave", protocol="kitchen", out=tmp_path / "a.hdf5", **SMALL)
    with pytest.raises(UserError, match=r"a\.hdf5 was imported from kitchen\.hdf5"):
        collect("microwave", num_demos=4, image_size=32, out=info.path)
    with pytest.raises(ValueError, match="no expert tried"):
        info.tries()
    with pytest.raises(UserError, match="it was imported, so ask for num_demos=3 at most"):
        open_demonstrations(info.path, 4)


def test_default_place_and_what_is_printed(run_main, d4rl_file, tmp_path):
    printed = run_main(
        main, f"source={d4rl_file}", "task=slide-cabinet", "num_demos=1", f"data_dir={tmp_path}", "image_size=32",
        "camera=[left_cap2,right_cap2]", "num_workers=1",
    )  # fmt: skip
    path = tmp_path / "d4rl" / "slide-cabinet" / "sequence_left_cap2+right_cap2_32px.hdf5"
    info = read_info(path)
    assert printed.splitlines() == [
        f"1 demonstrations of 'slide-cabinet' (d4rl), {info.lengths[0]} steps, from 3 episodes, "
        "velocities unknown and set to zero",
        str(path),
    ]
    assert info.image_keys == ("left_cap2_image", "right_cap2_image")


def cut(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def change(path, name, value):
    with h5py.File(path, "a") as file:
        array = file[name][()]
        del file[name]
        if value is not None:
            file[name] = value(array)


def with_nan(array):
    array[-1, 3] = np.nan
    return array


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (None, ["task=sink"], "unknown task 'sink' of protocol 'd4rl'"),
        (None, [], "does not say which task"),
        (None, ["subtask=kettle"], "sub-task 'kettle' is never done in 3 episodes"),
        (None, ["subtask=sink"], "unknown task 'sink'"),
        (None, ["task=microwave", "subtask=slide"], "unknown sub-task 'slide'"),
        (None, ["task=kitchen-complete"], "task 'kitchen-complete' is never done"),
        (None, ["task=microwave", "num_demos=9"], "done in 3 episodes, fewer than num_demos=9"),
        (None, ["task=microwave", "num_demos=0"], "num_demos=0"),
        (None, ["task=microwave", "images=none"], "images=none"),
        (None, ["task=microwave", "images=keep"], "has none of left_cap2"),
        (None, ["task=microwave", "camera=top"], "unknown camera 'top'"),
        (None, ["task=microwave", "protocol=r3m"], "made under protocol 'd4rl'"),
        (lambda path: cut(path, 0.5), ["task=microwave"], "damaged, cut short"),
        (lambda path: change(path, "actions", None), ["task=microwave"], "lacks 'actions'"),
        (lambda path: change(path, "observations", lambda a: a[:, :17]), ["task=microwave"], "of 17 numbers"),
        (lambda path: change(path, "actions", lambda a: a[:, :7]), ["task=microwave"], "actions of 7 numbers"),
        (lambda path: change(path, "observations", with_nan), ["task=microwave"], "hold NaN or infinity"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run_main, d4rl_file, tmp_path, damage, options, message):
    source = Path(shutil.copy(d4rl_file, tmp_path / "source.hdf5"))
    if damage:
        damage(source)
    error = run_main(main, f"source={source}", *options, f"data_dir={tmp_path / 'data'}", "num_workers=1")
    assert error.startswith("error: ") and message in error
    assert list(tmp_path.rglob("*")) == [source]


def test_exit_status():
    done = subprocess.run(
        [sys.executable, "-m", "egorobot.import_dataset", "source=none.hdf5"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert (
        done.stderr.strip() == "error: no file at none.hdf5: source= takes an HDF5 file of D4RL, or minari:…, lerobot:…"
    )


def read_policy_env(run):
    from egorobot.policies.checkpoint import load_policy

    policy = load_policy(run / "policy.pth")
    return policy.env_name, policy.horizon


def train(dataset, tmp_path, *options):
    return train_bc(
        load_config(
            "train_bc",
            [
                f"dataset={dataset}", "encoder=state", "num_demos=3", "policy.steps=100", "episodes=1", "videos=0",
                "num_workers=1", f"run_dir={tmp_path / 'run'}", f"data_dir={tmp_path / 'data'}", *options,
            ],
        )
    )  # fmt: skip


@pytest.mark.slow
def test_trains_and_evaluates_in_our_protocol(kitchen_file, tmp_path):
    info = import_dataset(str(kitchen_file), "microwave", protocol="kitchen", out=tmp_path / "a.hdf5", **SMALL)
    result = train(info.path, tmp_path, "task=slide")  # the file counts, not the option
    assert (result["task"], result["protocol"], result["num_demos"]) == ("microwave", "kitchen", 3)
    assert len(result["eval"]["outcomes"]) == 1
    assert result["render_fingerprint"] == info.render_fingerprint


@pytest.mark.slow
def test_trains_and_evaluates_in_d4rls_kitchen(imported, tmp_path):
    result = train(imported.path, tmp_path)
    assert (result["task"], result["protocol"]) == ("microwave", "d4rl")
    assert result["render_fingerprint"] == env_render_fingerprint(imported.env_kwargs)
    assert read_policy_env(tmp_path / "run") == (imported.env_name, 280)

import json
import shutil

import gymnasium
import h5py
import numpy as np
import pytest

from egorobot.envs.demonstrations import (
    EVAL_SEED_START,
    demonstrations_path,
    env_kwargs,
    first_demo_seed,
    iterate_demos,
    open_demonstrations,
    read_demo,
)
from egorobot.errors import UserError


@pytest.fixture
def copy(demonstrations, tmp_path):
    return shutil.copy(demonstrations, tmp_path / "copy.hdf5")


@pytest.fixture(scope="module")
def info(demonstrations):
    return open_demonstrations(demonstrations, 3, "microwave", env_kwargs("kitchen", "left_cap2", 64, "fast"))


def test_robomimic_layout(demonstrations, info):
    with h5py.File(demonstrations) as file:
        assert json.loads(file["data"].attrs["env_args"])["env_name"] == "egorobot/Microwave-v0"
        assert file["data"].attrs["total"] == sum(info.lengths)
        assert sorted(file["data"]) == ["demo_0", "demo_1", "demo_2"]
        masks = [name.decode() for key in ("train", "valid") for name in file[f"mask/{key}"]]
        assert sorted(masks) == sorted(file["data"])
        for i, length in enumerate(info.lengths):
            demo = file[f"data/demo_{i}"]
            assert demo.attrs["num_samples"] == length
            assert demo["dones"][()].tolist() == [0] * (length - 1) + [1]
            assert demo["rewards"][()].sum() > 5
            assert np.abs(demo["actions"][()]).max() <= 1
            images = demo["obs/left_cap2_image"]
            assert (images.shape, images.dtype, images.chunks) == ((length, 64, 64, 3), np.uint8, (1, 64, 64, 3))


def test_info(info):
    assert (info.task, info.num_demos, info.image_keys) == ("microwave", 3, ("left_cap2_image",))
    assert info.obs_keys == ("left_cap2_image", "proprio", "state")
    assert info.fingerprint(2) != info.fingerprint() == info.fingerprint(3)
    assert list(info.seeds) == sorted(info.seeds)
    assert info.seeds[0] >= first_demo_seed(0) > EVAL_SEED_START + 1000
    assert info.tries(0) == 0
    assert info.tries(3) >= 3


def test_states_rebuild_observations(info):
    demo = read_demo(info, 1)
    env = gymnasium.make(info.env_name, **info.env_kwargs, include_state=True).unwrapped
    for step in (0, 10, info.lengths[1] - 1):
        observation = env.set_state(demo.states[step])
        assert observation.keys() == demo.observations.keys()
        assert all(np.array_equal(observation[key], demo.observations[key][step]) for key in observation)
    first, _ = env.reset(seed=info.seeds[1])
    assert np.array_equal(first["left_cap2_image"], demo.observations["left_cap2_image"][0])
    env.close()


def test_iterating(info):
    demos = list(iterate_demos(info, 2, ["proprio"]))
    assert [demo.index for demo in demos] == [0, 1]
    assert [len(demo.actions) for demo in demos] == list(info.lengths[:2])
    assert [list(demo.observations) for demo in demos] == [["proprio"]] * 2


def test_paths_and_arguments():
    path = demonstrations_path("data", "kitchen", "door", ["left_cap2", "right_cap2"], 112, 3)
    assert str(path) == "data/kitchen/door/left_cap2+right_cap2_112px_seed3.hdf5"
    path = demonstrations_path("data", "kitchen", "door", None, 112, 3, "full")
    assert str(path) == "data/kitchen/door/blind_112px_full_seed3.hdf5"
    assert env_kwargs("kitchen", ["left_cap2"], 112, "fast") == env_kwargs("kitchen", "left_cap2", 112, "fast")
    assert env_kwargs("kitchen", None, 112, "fast")["camera"] is None


def fails(message, path, **kwargs):
    with pytest.raises(UserError, match=message) as error:
        open_demonstrations(path, **kwargs)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_missing(tmp_path):
    fails("no demonstrations at", tmp_path / "none.hdf5")


def test_not_hdf5(tmp_path):
    path = tmp_path / "text.hdf5"
    path.write_text("not a dataset")
    fails("damaged, cut short, or no HDF5", path)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_cut_short(copy, share):
    content = copy.read_bytes()
    copy.write_bytes(content[: int(share * len(content))])
    fails("damaged, cut short, or no HDF5", copy)


def test_damaged_inside(copy):
    content = bytearray(copy.read_bytes())
    info = open_demonstrations(copy)
    with h5py.File(copy) as file:
        place = file["data/demo_0/obs/left_cap2_image"].id.get_chunk_info(5).byte_offset
    content[place + 100 : place + 110] = bytes(10)
    copy.write_bytes(content)
    with pytest.raises(UserError, match="demo_0 is damaged"):
        list(iterate_demos(info))
    with pytest.raises(UserError, match="demo_0 is damaged"):
        read_demo(info, 0)


@pytest.mark.parametrize("env_name", [None, "Hopper-v4"])
def test_foreign(tmp_path, env_name):
    path = tmp_path / "foreign.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        if env_name:
            data.attrs["env_args"] = json.dumps({"env_name": env_name, "type": 2, "env_kwargs": {}})
    fails("holds no demonstrations of egorobot", path)


def test_drawn_elsewhere(copy):
    with h5py.File(copy, "a") as file:
        args = json.loads(file["data"].attrs["env_args"])
        file["data"].attrs["env_args"] = json.dumps(args | {"render_fingerprint": "0123456789abcdef"})
    fails("drawn unlike images are drawn here .*0123456789abcdef", copy)


def test_too_few(demonstrations):
    fails("holds 3 demonstrations, fewer than 4", demonstrations, num_demos=4)


def test_other_task_or_settings(demonstrations):
    fails("of 'microwave', not 'knob'", demonstrations, task="knob")
    fails("image_size=64, not 112", demonstrations, kwargs=env_kwargs("kitchen", "left_cap2", 112, "fast"))

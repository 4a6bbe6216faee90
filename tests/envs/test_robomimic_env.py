import gymnasium
import h5py
import numpy as np
import pytest

pytest.importorskip("robomimic")

from robomimic.scripts import get_dataset_info
from robomimic.utils import env_utils, file_utils, obs_utils

from egorobot.envs import robomimic_env
from egorobot.envs.demonstrations import EVAL_SEED_START
from egorobot.errors import UserError

IMAGE = "left_cap2_image"


@pytest.fixture(scope="module", autouse=True)
def registered():
    robomimic_env.register()
    robomimic_env.register()


@pytest.fixture(scope="module")
def meta(demonstrations):
    return file_utils.get_env_metadata_from_dataset(str(demonstrations))


@pytest.fixture
def env(meta, monkeypatch):
    monkeypatch.setattr(obs_utils, "OBS_KEYS_TO_MODALITIES", None)
    env = env_utils.create_env_from_metadata(meta, render=False, render_offscreen=True)
    yield env
    env.env.close()


def test_nth_reset_is_the_nth_evaluation_episode(env, meta):
    ours = gymnasium.make(meta["env_name"], **meta["env_kwargs"]).unwrapped
    for n in range(3):
        theirs, expected = env.reset(), ours.reset(seed=EVAL_SEED_START + n)[0]
        assert np.array_equal(theirs[IMAGE], expected[IMAGE])
        assert np.array_equal(theirs["proprio"], expected["proprio"])
    ours.close()


def test_seed_start_travels_with_the_environment(env, meta):
    again = env_utils.create_env_from_metadata(env.serialize())
    assert np.array_equal(again.reset()["state"], env.reset()["state"])
    other = env_utils.create_env_from_metadata(meta | {"env_kwargs": meta["env_kwargs"] | {"seed_start": 7}})
    assert not np.array_equal(other.reset()["state"], again.reset_to(again.get_state())["state"])
    for each in (again, other):
        each.env.close()


def test_reset_to_goes_on_exactly(env):
    env.reset()
    action = np.full(9, 0.3)
    env.step(action)
    state = env.get_state()
    observation, reward, done, _ = env.step(action)
    here = env.reset_to(state)
    assert np.array_equal(here[IMAGE], env.get_observation()[IMAGE])
    again, *_ = env.step(action)
    assert all(np.array_equal(observation[key], again[key]) for key in observation)
    assert (reward, done, env.is_done(), env.is_success()) == (0.0, False, False, {"task": False})


def test_success_of_a_demonstrated_state(env, demonstrations):
    with h5py.File(demonstrations) as file:
        states = file["data/demo_0/states"][()]
    env.reset()
    env.reset_to({"states": states[-1]})
    assert env.is_success() == {"task": True}
    assert env.is_done()
    assert env.get_reward() == 1.0


def test_images_in_the_form_of_their_modality(env):
    raw = env.reset()[IMAGE]
    assert (raw.dtype, raw.shape) == (np.uint8, (64, 64, 3))
    obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": ["proprio"], "rgb": [IMAGE]}})
    processed = env.get_observation()[IMAGE]
    assert processed.shape == (3, 64, 64)
    assert np.allclose(np.moveaxis(np.asarray(processed), 0, -1) * 255, raw, atol=1e-3)


def test_render(env):
    env.reset()
    assert env.render("rgb_array", 96, 96, "agentview").shape == (96, 96, 3)
    assert env.render("rgb_array", 32, 32, "right_cap2").shape == (32, 32, 3)
    with pytest.raises(UserError, match="on-screen"):
        env.render("human")
    with pytest.raises(UserError, match="square"):
        env.render("rgb_array", 32, 64)


def test_states_drawn_anew_with_another_camera(meta, demonstrations, monkeypatch):
    monkeypatch.setattr(obs_utils, "OBS_KEYS_TO_MODALITIES", None)
    env = env_utils.create_env_for_data_processing(meta, ["right_cap2"], 32, 32, False)
    with h5py.File(demonstrations) as file:
        observation = env.reset_to({"states": file["data/demo_0/states"][3]})
        assert np.array_equal(observation["state"], file["data/demo_0/obs/state"][3])
    assert (observation["right_cap2_image"].dtype, observation["right_cap2_image"].shape) == (np.uint8, (32, 32, 3))
    env.env.close()


def test_dataset_info_reads_our_files(demonstrations, monkeypatch, capsys):
    import runpy
    import sys

    monkeypatch.setattr(sys, "argv", ["get_dataset_info", "--dataset", str(demonstrations)])
    runpy.run_path(get_dataset_info.__file__, run_name="__main__")
    printed = capsys.readouterr().out
    assert "total trajectories: 3" in printed
    assert "filter key train with 3 demos" in printed


def test_an_unknown_camera_is_named(env):
    with pytest.raises(UserError, match="unknown camera 'frontview': choose among"):
        env.render(height=64, width=64, camera_name="frontview")

import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import egorobot  # noqa: F401  (registers the ids)
from egorobot.envs.history import history_indices
from egorobot.envs.kitchen import KitchenEnv
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError

IMAGE = "left_cap2_image"


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


@pytest.fixture(scope="module")
def env():
    env = gymnasium.make("egorobot/Microwave-v0", image_size=48, include_state=True).unwrapped
    yield env
    env.close()


@pytest.fixture
def actions():
    return np.random.default_rng(0).uniform(-1, 1, (8, 9)).astype(np.float32)


def test_seed_decides_everything(env, actions):
    episodes = []
    for seed in (5, 6, 5):
        observations = [env.reset(seed=seed)[0]]
        observations += [env.step(action)[0] for action in actions]
        episodes.append(observations)
    assert all(same(a, b) for a, b in zip(episodes[0], episodes[2], strict=True))
    assert not np.array_equal(episodes[0][0][IMAGE], episodes[1][0][IMAGE])
    assert not np.array_equal(episodes[0][0]["proprio"], episodes[1][0]["proprio"])
    assert not np.array_equal(episodes[0][0]["state"], episodes[1][0]["state"])


def test_state_round_trip_is_exact(env, actions):
    env.reset(seed=1)
    for action in actions[:3]:
        env.step(action)
    state = env.get_state()
    ahead = [env.step(action) for action in actions]
    end = env.get_state()
    env.reset(seed=2)  # another desk position
    here = env.set_state(state)
    assert same(here, env.set_state(state))
    assert np.array_equal(env.get_state(), state)
    again = [env.step(action) for action in actions]
    for (obs_a, *rest_a), (obs_b, *rest_b) in zip(ahead, again, strict=True):
        assert same(obs_a, obs_b)
        assert rest_a == rest_b
    assert np.array_equal(env.get_state(), end)


def test_observations(env):
    obs, info = env.reset(seed=0)
    assert env.observation_space.contains(obs)
    assert obs[IMAGE].shape == (48, 48, 3)
    assert (obs["proprio"].dtype, obs["state"].dtype) == (np.float32, np.float32)
    assert info == {"success": False, "solved": False, "joint_position": pytest.approx(0, abs=1e-3)}


def test_success_needs_more_than_five_solved_steps(env):
    env.reset(seed=0)
    simulation = env.simulation
    outcomes = []
    for _ in range(7):
        simulation.data.qpos[simulation.joint_address] = -1.25
        simulation.data.qvel[:] = 0
        _, reward, terminated, truncated, info = env.step(np.zeros(9))
        assert reward == float(info["solved"]) == 1.0
        assert terminated == info["success"]
        assert not truncated
        outcomes.append(terminated)
    assert outcomes == [False] * 5 + [True] * 2


def test_truncated_at_the_horizon():
    env = KitchenEnv("slide", protocol="r3m", camera=None)
    env.reset(seed=0)
    assert [env.step(np.zeros(9))[3] for _ in range(50)] == [False] * 49 + [True]
    assert env.status() == (0.0, True, False)


@pytest.mark.parametrize("env_id", [TASKS["knob"].env_id, TASKS["right_door"].env_id])
@pytest.mark.filterwarnings("error")
def test_gymnasium_checker_is_content(env_id):
    env = gymnasium.make(env_id, image_size=16, camera=["left_cap2", "right_cap2"], render_mode="rgb_array").unwrapped
    check_env(env)
    env.close()


def test_all_ids_are_registered():
    for task in TASKS.values():
        assert gymnasium.spec(task.env_id).kwargs == {"task": task.name}


def test_pickled_environment_goes_on_alike(env):
    copy = pickle.loads(pickle.dumps(env))
    assert same(copy.reset(seed=9)[0], env.reset(seed=9)[0])
    copy.close()


def test_image_history_is_the_episodes_own(env, actions):
    stacked = KitchenEnv("microwave", image_size=48, num_frames=3, frame_rate=6.25)
    frames = []
    pairs = [(env.reset(seed=4), stacked.reset(seed=4)), *((env.step(a), stacked.step(a)) for a in actions)]
    for single, several in pairs:
        frames.append(single[0][IMAGE])
        indices = history_indices(len(frames) - 1, 3, 6.25)
        assert np.array_equal(several[0][IMAGE], np.stack([frames[i] for i in indices]))
    assert stacked.observation_space.contains(several[0])
    begun = stacked.set_state(stacked.get_state())[IMAGE]
    assert np.array_equal(begun, np.stack([frames[-1]] * 3))
    stacked.close()


def test_shared_renderer_draws_the_same(env):
    other = KitchenEnv("knob", image_size=48)
    image = other.reset(seed=3)[0][IMAGE]
    other.close()
    other.share_renderer(env)
    assert np.array_equal(other.reset(seed=3)[0][IMAGE], image)
    with pytest.raises(ValueError, match="share"):
        KitchenEnv("knob", render="full").share_renderer(env)


def test_render_shows_the_first_camera(env):
    obs, _ = env.reset(seed=0)
    assert np.array_equal(env.render(), obs[IMAGE])
    assert env.render_image("right_cap2", 80).shape == (80, 80, 3)


def test_vector_environment_by_spawn(env):
    def make():
        from egorobot.envs.registration import register_envs

        register_envs()
        return gymnasium.make("egorobot/Microwave-v0", image_size=48, include_state=True)

    venv = gymnasium.vector.AsyncVectorEnv([make], context="spawn")
    obs, _ = venv.reset(seed=[3])
    assert same({key: value[0] for key, value in obs.items()}, env.reset(seed=3)[0])
    obs, *_ = venv.step(np.full((1, 9), 0.5, np.float32))
    assert same({key: value[0] for key, value in obs.items()}, env.step(np.full(9, 0.5, np.float32))[0])
    venv.close()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"task": "sink"}, "unknown task 'sink'"),
        ({"protocol": "easy"}, "unknown protocol 'easy'"),
        ({"protocol": "d4rl"}, "egorobot/D4RL-microwave-v0"),
        ({"camera": "top"}, "unknown camera 'top'"),
        ({"render": "ugly"}, "unknown render preset 'ugly'"),
        ({"image_size": 8}, "image_size=8"),
        ({"num_frames": 0}, "num_frames=0"),
    ],
)
def test_bad_arguments_are_one_line(kwargs, message):
    with pytest.raises(UserError, match=message):
        KitchenEnv(**kwargs)

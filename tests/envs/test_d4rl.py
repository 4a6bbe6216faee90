import importlib.util
import pickle

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import egorobot  # noqa: F401  (registers the ids)
from egorobot.envs.d4rl import D4RLEnv
from egorobot.envs.d4rl_engines import ENGINES
from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.errors import UserError


def skip_without(engine: str) -> None:
    """Skip the test where the engine's package is not installed."""
    if engine == "d4rl" and importlib.util.find_spec("d4rl") is None:
        pytest.skip("the extra d4rl is not installed")


@pytest.fixture(scope="module", params=ENGINES)
def env(request):
    skip_without(request.param)
    env = D4RLEnv("kitchen-complete", image_size=32, include_state=True, engine=request.param)
    yield env
    env.close()


def test_gymnasium_checker_is_content(env):
    check_env(env)


def test_elements_are_those_of_franka_kitchen():
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS

    assert {e for task in D4RL_TASKS.values() for e in task.elements} == set(OBS_ELEMENT_GOALS)


def test_an_id_means_one_engine_whatever_is_installed():
    for task in D4RL_TASKS.values():
        assert gymnasium.spec(task.env_id).kwargs == {"task": task.name, "engine": "gymnasium_robotics"}
        assert gymnasium.spec(task.package_env_id).kwargs == {"task": task.name, "engine": "d4rl"}
    assert D4RL_TASKS["kitchen-complete"].env_id == "egorobot/FrankaKitchen-complete-v1"
    assert D4RL_TASKS["kitchen-complete"].package_env_id == "egorobot/D4RL-kitchen-complete-v0"


@pytest.mark.filterwarnings("ignore:.*share an object")  # theirs do
def test_physics_are_those_of_franka_kitchen(env):
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    theirs = gymnasium.make("FrankaKitchen-v1", robot_noise_ratio=0.0, object_noise_ratio=0.0)
    theirs.reset(seed=0)
    env.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (10, 9)):
        expected = theirs.step(action)[0]["observation"]
        obs = env.step(action)[0]
    assert np.array_equal(obs["proprio"], expected[:9].astype(np.float32))
    assert np.array_equal(obs["state"][:21], expected[18:39].astype(np.float32))
    theirs.close()


def test_sequence_succeeds_when_all_is_done_in_any_order(env):
    from gymnasium_robotics.envs.franka_kitchen.kitchen_env import OBS_ELEMENT_GOALS, OBS_ELEMENT_INDICES

    env.reset(seed=0)
    kitchen = env._kitchen
    for count, element in enumerate(["kettle", "slide cabinet", "microwave", "light switch"], start=1):
        kitchen.data.qpos[OBS_ELEMENT_INDICES[element]] = OBS_ELEMENT_GOALS[element]
        kitchen.resume(kitchen.completed)
        _, reward, terminated, truncated, info = env.step(np.zeros(9))
        assert (reward, info["completed"]) == (1.0, count)
        assert terminated == info["success"] == (count == 4)
        assert not truncated


def test_state_round_trip_is_exact(env):
    actions = np.random.default_rng(1).uniform(-1, 1, (12, 9))
    env.reset(seed=0)
    for action in actions[:4]:
        env.step(action)
    env._kitchen.resume(["kettle"])
    state = env.get_state()
    ahead = [env.step(action) for action in actions]
    env.reset(seed=0)
    env.set_state(state)
    assert np.array_equal(env.get_state(), state)
    again = [env.step(action) for action in actions]
    for (obs_a, *rest_a), (obs_b, *rest_b) in zip(ahead, again, strict=True):
        assert rest_a == rest_b
        assert all(np.array_equal(obs_a[key], obs_b[key]) for key in obs_a)
    assert again[-1][-1]["completed"] == 1


def test_state_of_another_task_is_one_line(env):
    with pytest.raises(UserError, match="not one of task 'kitchen-complete' on this engine") as error:
        env.set_state(env.get_state()[1:])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("engine", ENGINES)
def test_truncated_after_280_steps(engine):
    skip_without(engine)
    env = pickle.loads(pickle.dumps(D4RLEnv("microwave", camera=None, engine=engine)))
    env.reset(seed=0)
    assert [env.step(np.zeros(9))[3] for _ in range(280)] == [False] * 279 + [True]
    assert env.status() == (0.0, True, False)


def test_unknown_task_and_engine_are_one_line():
    with pytest.raises(UserError, match="unknown task 'sink' of protocol 'd4rl'"):
        D4RLEnv("sink")
    with pytest.raises(UserError, match="unknown engine 'bullet' of protocol 'd4rl': choose one of gymnasium_robotics"):
        D4RLEnv("microwave", engine="bullet")

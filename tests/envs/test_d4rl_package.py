import importlib.util
import subprocess
import sys
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

import egorobot  # noqa: F401  (registers the ids)
from egorobot.envs.d4rl import D4RLEnv
from egorobot.envs.d4rl_package_import import import_kitchen
from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.experts import make_expert
from egorobot.envs.protocols import get_protocol
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import get_task
from egorobot.errors import UserError

needs_d4rl = pytest.mark.skipif(importlib.util.find_spec("d4rl") is None, reason="the extra d4rl is not installed")
# Measured: 0. The models differ in names, and in bodies that have no joint, so that the same
# numbers are added in the same order. The rest is for compilers that contract sums otherwise.
TOLERANCE = 1e-9  # rad, m
PEDESTAL = 1  # index in FrankaKitchen-v1 of the cylinder that the arm stands on


@pytest.fixture(scope="module")
def pair():
    """The kitchen of D4RL's package and `FrankaKitchen-v1`."""
    ids = D4RL_TASKS["kitchen-complete"].package_env_id, D4RL_TASKS["kitchen-complete"].env_id
    envs = [gymnasium.make(env_id, image_size=32, include_state=True).unwrapped for env_id in ids]
    yield envs
    for env in envs:
        env.close()


def expert_actions(env: D4RLEnv, task: str, steps: int = 60) -> np.ndarray:
    """Return what the scripted expert does in `env`, (steps, 9)."""
    simulation = KitchenSimulation(get_task(task), get_protocol("kitchen"))
    expert = make_expert(simulation)
    env.reset(seed=0)
    actions = []
    for _ in range(steps):
        simulation.data.qpos[:] = env._kitchen.data.qpos
        simulation.data.qvel[:] = env._kitchen.data.qvel
        mujoco.mj_forward(simulation.model, simulation.data)
        actions.append(expert.act())
        env.step(actions[-1])
    return np.array(actions)


def replay(env: D4RLEnv, actions: np.ndarray) -> tuple[np.ndarray, list[float], np.ndarray]:
    """Return the positions of all joints after each action, the rewards, and the last image."""
    env.reset(seed=0)
    positions, rewards = [], []
    for action in actions:
        obs, reward, *_ = env.step(action)
        positions.append(env._kitchen.data.qpos.copy())
        rewards.append(reward)
    return np.array(positions), rewards, obs["left_cap2_image"]


@needs_d4rl
@pytest.mark.parametrize("task", ["microwave", "slide"])
def test_experts_do_in_d4rls_kitchen_what_they_do_in_franka_kitchen(pair, task):
    d4rls, franka_kitchen = pair
    actions = expert_actions(franka_kitchen, task)
    positions, rewards, image = replay(d4rls, actions)
    expected_positions, expected_rewards, expected_image = replay(franka_kitchen, actions)
    assert np.abs(positions - expected_positions).max() <= TOLERANCE
    assert np.abs(positions[-1] - positions[0]).max() > 0.3  # something was moved
    assert rewards == expected_rewards
    assert sum(rewards) == 1
    assert d4rls.normalized_score(sum(rewards)) == 0.25
    assert np.array_equal(image, expected_image)


@needs_d4rl
def test_models_differ_only_in_whether_the_pedestal_can_be_touched(pair):
    d4rls, franka_kitchen = (env._kitchen.model for env in pair)
    for name in dir(franka_kitchen):
        if name.startswith(("jnt_", "dof_", "actuator_", "qpos")) and "bodyid" not in name:
            assert np.array_equal(getattr(d4rls, name), getattr(franka_kitchen, name)), name
    assert d4rls.opt.timestep == franka_kitchen.opt.timestep
    # D4RL's has a body more, for motion capture, with a geom that nothing touches.
    capture = d4rls.body("vive_controller")
    (extra,) = np.flatnonzero(d4rls.geom_bodyid == capture.id)
    assert d4rls.geom_contype[extra] == d4rls.geom_conaffinity[extra] == 0
    keep = np.arange(d4rls.ngeom) != extra
    for name in ("geom_size", "geom_pos", "geom_quat", "geom_friction", "geom_solref", "geom_solimp", "geom_margin"):
        assert np.array_equal(getattr(d4rls, name)[keep], getattr(franka_kitchen, name)), name
    for name in ("geom_contype", "geom_conaffinity"):
        (differs,) = np.nonzero(getattr(d4rls, name)[keep] != getattr(franka_kitchen, name))
        assert differs.tolist() == [PEDESTAL]
    bodies = np.arange(d4rls.nbody) != capture.id
    for name in ("body_mass", "body_inertia", "body_pos", "body_quat", "body_ipos"):
        assert np.array_equal(getattr(d4rls, name)[bodies], getattr(franka_kitchen, name)), name


@needs_d4rl
def test_environment_and_model_are_those_of_the_package(pair):
    kitchen = import_kitchen()
    engine = pair[0]._kitchen
    assert type(engine._env) is kitchen.KitchenMicrowaveKettleLightSliderV0
    assert engine.model.joint("microjoint").id == engine.model.njnt - 2  # D4RL's name of the microwave's
    single = D4RLEnv("top-burner", camera=None, engine="d4rl")._kitchen._env
    assert isinstance(single, kitchen.kitchen_envs.KitchenBase)
    assert single.tasks_to_complete == {"top burner"}
    mixed = D4RLEnv("kitchen-mixed", camera=None, engine="d4rl")._kitchen._env
    assert type(mixed) is kitchen.KitchenMicrowaveKettleBottomBurnerLightV0
    assert mixed.get_normalized_score(1.0) == 0.25


@needs_d4rl
def test_scores_are_d4rls(pair):
    assert [pair[0].normalized_score(total) for total in (0, 3, 4)] == [0.0, 0.75, 1.0]
    with pytest.raises(UserError, match="no reference scores for task 'kettle', only for kitchen-complete-v0"):
        D4RLEnv("kettle", camera=None).normalized_score(1.0)


@needs_d4rl
def test_observations_are_within_their_spaces_and_see_the_arm_move(pair):
    env = pair[0]
    first, _ = env.reset(seed=0)
    for _ in range(5):
        obs, reward, terminated, truncated, info = env.step(np.full(9, 0.5))
    assert env.observation_space.contains(obs)
    assert (obs["left_cap2_image"] != first["left_cap2_image"]).any()
    assert (reward, terminated, truncated, info) == (0.0, False, False, {"success": False, "completed": 0})


SURROUNDINGS = """
import builtins, collections, logging, os, random, sys, warnings
import numpy as np
import egorobot, egorobot.envs.d4rl
from egorobot.envs.d4rl import D4RLEnv
from egorobot.envs.d4rl_package_import import import_kitchen

class Mine: pass
sys.modules["pybullet"] = Mine()  # as if it had been imported before

def surroundings():
    return {
        "collections": dict(vars(collections)),
        "builtins": dict(vars(builtins)),
        "warnings": list(warnings.filters),
        # Modules of NumPy's own are imported when they are first asked for.
        "numpy": {name: id(value) for name, value in vars(np).items() if not isinstance(value, type(np))},
        "os.environ": dict(os.environ),
        "sys.path": list(sys.path),
        "hooks": list(sys.meta_path),
        "streams": (sys.stdout, sys.stderr),
        "logging": list(logging.root.handlers),
        "random": (random.getstate(), repr(np.random.get_state())),
        "modules": {name: sys.modules.get(name, "absent") for name in ("mujoco_py", "pybullet", "pybullet_envs")},
        "flags": sys.getdlopenflags(),
    }

# What D4RL imports too, and what sets names and hooks of its own whoever imports it.
import absl.flags, cv2, h5py, tqdm
before = surroundings()
modules = set(sys.modules)
BODY
after = surroundings()
print("left changed:", [name for name in before if before[name] != after[name]])
print("foreign:", sorted(name for name in modules if sys.modules.get(name) is None))
"""


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@needs_d4rl
def test_nothing_of_others_is_left_changed_and_nothing_is_printed():
    result = run(SURROUNDINGS.replace("BODY", "D4RLEnv('kitchen-complete', camera=None, engine='d4rl').reset()"))
    assert result.stdout == "left changed: []\nforeign: []\n"
    assert result.stderr == ""


@needs_d4rl
def test_surroundings_are_put_back_where_the_import_fails():
    # The kitchen's own module is not to be found: D4RL's own import goes on, ours ends.
    code = "sys.modules['d4rl.kitchen'] = None\ntry: import_kitchen()\nexcept Exception as error: print(error)"
    result = run(SURROUNDINGS.replace("BODY", code))
    error, changed, _ = result.stdout.splitlines()
    assert error.startswith("the package d4rl cannot be imported (")
    assert changed == "left changed: []"


@needs_d4rl
def test_files_of_the_package_stay_as_they_are():
    folder = Path(importlib.util.find_spec("d4rl").origin).parent / "kitchen"
    files = [path for path in folder.rglob("*") if path.suffix in (".py", ".xml")]
    before = {path: path.read_bytes() for path in files}
    D4RLEnv("kettle", camera=None, engine="d4rl").reset(seed=0)
    assert len(before) > 30
    assert before == {path: path.read_bytes() for path in files}


@needs_d4rl
def test_process_that_draws_before_and_after_ends_quietly():
    result = run(
        "from egorobot.envs.d4rl import D4RLEnv\n"
        "first = D4RLEnv('microwave', image_size=32); first.reset()\n"
        "second = D4RLEnv('microwave', image_size=32, engine='d4rl'); second.reset()\n"
        "print(second.step([0.1] * 9)[1])"
    )
    assert (result.returncode, result.stdout) == (0, "0.0\n")
    assert "EGL" not in result.stderr
    assert "Error" not in result.stderr


def test_missing_package_is_one_line_with_the_mend(monkeypatch):
    monkeypatch.setitem(sys.modules, "d4rl", None)
    with pytest.raises(UserError) as error:
        import_kitchen.__wrapped__()
    assert str(error.value) == (
        "the package d4rl is missing: pip install 'egorobot[d4rl]', "
        "or use gymnasium-robotics' kitchen, egorobot/FrankaKitchen-*-v1"
    )

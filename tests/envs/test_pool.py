"""A pool gives what one environment alone gives, and says so when a worker dies."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

from egorobot.envs.kitchen import KitchenEnv
from egorobot.envs.pool import EnvPool
from egorobot.errors import UserError

KWARGS = {"image_size": 32, "include_state": True}


@pytest.fixture(scope="module")
def pool() -> Iterator[EnvPool]:
    with EnvPool("egorobot/Slide-v0", KWARGS, num_slots=3, num_workers=2, with_states=True) as made:
        yield made


def test_slots_give_what_an_environment_alone_gives(pool: EnvPool) -> None:
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (3, 4, 9))
    pool.send({slot: 10 + slot for slot in range(3)})
    steps = [pool.receive(range(3))]
    images = [{slot: step.observation["left_cap2_image"].copy() for slot, step in steps[0].items()}]
    for i in range(4):
        pool.send({slot: actions[slot, i] for slot in range(3)})
        steps.append(pool.receive(range(3)))
        images.append({slot: step.observation["left_cap2_image"].copy() for slot, step in steps[-1].items()})
    env = KitchenEnv("slide", **KWARGS)
    for slot in range(3):
        observation, _ = env.reset(seed=10 + slot)
        for i in range(5):
            np.testing.assert_array_equal(steps[i][slot].state, env.get_state())
            np.testing.assert_array_equal(images[i][slot], observation["left_cap2_image"])
            if i < 4:
                observation, *_ = env.step(actions[slot, i])
    env.close()


def test_slots_may_be_at_different_points(pool: EnvPool) -> None:
    pool.send({0: 5, 2: 6})
    assert set(pool.receive([2])) == {2}
    pool.send({2: np.zeros(9)})
    pool.send({1: 7})
    steps = pool.receive([0, 1, 2])
    assert not any(step.done or step.success for step in steps.values())


def test_a_killed_worker_is_told_in_one_line() -> None:
    others = multiprocessing.active_children()
    with EnvPool("egorobot/Slide-v0", {"camera": None}, num_slots=2, num_workers=2) as pool:
        pool.send({0: 1, 1: 2})
        pool.receive([0, 1])
        victim = next(p for p in multiprocessing.active_children() if p not in others)
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        with pytest.raises(UserError, match="was killed by signal 9"):  # noqa: PT012
            pool.send({0: 1, 1: 2})
            pool.receive([0, 1])


def test_a_failure_in_a_worker_reaches_us_with_its_traceback() -> None:
    with EnvPool("egorobot/Slide-v0", {"camera": None}, num_slots=1, num_workers=1) as pool:
        pool.send({0: np.zeros(4)})
        with pytest.raises(RuntimeError, match="broadcast"):
            pool.receive([0])


def test_bad_settings_are_told_at_once() -> None:
    with pytest.raises(UserError, match="unknown camera 'sky'"):
        EnvPool("egorobot/Slide-v0", {"camera": "sky"}, num_slots=1, num_workers=1)


def test_workers_load_neither_torch_nor_robomimic() -> None:
    code = "import sys, egorobot.envs.pool; print({'torch', 'robomimic', 'hydra'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

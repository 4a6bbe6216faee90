"""The scripted experts open, turn and push, and are functions of the state alone."""

import numpy as np
import pytest

from egorobot.envs.experts import make_expert
from egorobot.envs.experts.episode import BurstNoise, collect_episode
from egorobot.envs.experts.geometry import hand_rotation, ramp, turn_about
from egorobot.envs.experts.left_door import look_ahead
from egorobot.envs.protocols import get_protocol
from egorobot.envs.simulation import KitchenSimulation
from egorobot.envs.tasks import TASKS, get_task

SEEDS = (11, 12)


def reset_simulation(task: str, seed: int, protocol: str = "kitchen") -> KitchenSimulation:
    simulation = KitchenSimulation(get_task(task), get_protocol(protocol))
    simulation.reset(np.random.default_rng(seed))
    return simulation


@pytest.fixture(scope="module", params=TASKS)
def simulation(request: pytest.FixtureRequest) -> KitchenSimulation:
    return reset_simulation(request.param, seed=0)


def test_expert_succeeds_with_bursts(simulation: KitchenSimulation) -> None:
    expert = make_expert(simulation)
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        simulation.reset(rng)
        episode = collect_episode(simulation, expert, rng)
        assert episode.success and simulation.success
        assert 20 < episode.length <= simulation.protocol.horizon
        # The episode ends a few steps after the one that brought success.
        assert episode.solved.sum() == simulation.protocol.success_steps + 1 + 4
        assert episode.actions.shape == (episode.length, 9) and episode.actions.dtype == np.float32
        assert episode.states.shape == (episode.length, simulation.get_state().size)
        assert episode.rewards.tolist() == episode.solved.astype(float).tolist()
        # Actions stay well below saturation: 0.13 rad of the protocol's 0.16.
        assert np.abs(episode.actions).max() <= 0.13 / 0.16 + 1e-6


def test_action_is_a_function_of_the_state(simulation: KitchenSimulation) -> None:
    expert = make_expert(simulation)
    simulation.reset(np.random.default_rng(SEEDS[0]))
    episode = collect_episode(simulation, expert, np.random.default_rng(0))
    other = reset_simulation(simulation.task.name, seed=1)
    other_expert = make_expert(other)
    for i in np.random.default_rng(0).permutation(episode.length)[:15]:
        other.set_state(episode.states[i])
        first = other_expert.act()
        np.testing.assert_array_equal(first, other_expert.act())
        np.testing.assert_array_equal(first.astype(np.float32), episode.actions[i])
        np.testing.assert_array_equal(other.get_state(), episode.states[i])


def test_expert_works_under_r3m() -> None:
    simulation = reset_simulation("slide", seed=3, protocol="r3m")
    episode = collect_episode(simulation, make_expert(simulation), np.random.default_rng(0), bursts=None)
    assert episode.success
    assert np.abs(episode.actions).max() <= 0.16 / simulation.protocol.action_scale + 1e-6


def collect(seed: int, bursts: BurstNoise | None):
    simulation = reset_simulation("slide", seed=5)
    executed = []
    step = simulation.step
    simulation.step = lambda action: (executed.append(np.array(action)), step(action))  # type: ignore[method-assign]
    episode = collect_episode(simulation, make_expert(simulation), np.random.default_rng(seed), bursts)
    return episode, np.array(executed)


def test_bursts_are_seeded_and_labels_clean() -> None:
    episode, executed = collect(1, BurstNoise())
    again, _ = collect(1, BurstNoise())
    np.testing.assert_array_equal(episode.actions, again.actions)
    np.testing.assert_array_equal(episode.states, again.states)
    other, _ = collect(2, BurstNoise())
    assert not np.array_equal(episode.states[: other.length], other.states[: episode.length])

    offsets = executed - episode.actions
    disturbed = np.any(offsets != 0, axis=1)
    assert 0.1 < disturbed.mean() < 0.7
    # Labels are the expert's answer to the state, without the offset.
    simulation = reset_simulation("slide", seed=0)
    expert = make_expert(simulation)
    for i in np.flatnonzero(disturbed)[:5]:
        simulation.set_state(episode.states[i])
        np.testing.assert_array_equal(expert.act().astype(np.float32), episode.actions[i])
    # Within a burst the offset is constant, for two to five steps.
    starts = np.flatnonzero(np.any(np.abs(np.diff(offsets, axis=0)) > 1e-5, axis=1)) + 1
    runs = [run for run in np.split(offsets, starts) if np.any(run != 0)]
    assert runs and all(len(run) <= 5 for run in runs)
    assert all(len(run) >= 2 for run in runs[:-1])


def test_bursts_are_as_large_in_rad_under_every_protocol() -> None:
    kitchen, r3m = (get_protocol(name) for name in ("kitchen", "r3m"))
    assert BurstNoise.for_protocol(kitchen) == BurstNoise()
    assert BurstNoise.for_protocol(r3m).sigma * r3m.action_scale == pytest.approx(0.06 * kitchen.action_scale)


def test_no_bursts_executes_the_labels() -> None:
    episode, executed = collect(1, None)
    np.testing.assert_array_equal(executed, episode.actions)


def test_on_step_sees_every_state() -> None:
    simulation = reset_simulation("slide", seed=5)
    seen = []
    episode = collect_episode(
        simulation,
        make_expert(simulation),
        np.random.default_rng(0),
        on_step=lambda simulation: seen.append(simulation.get_state()),
    )
    np.testing.assert_array_equal(np.array(seen), episode.states)


def test_geometry() -> None:
    assert ramp(0.0, 0.0, 1.0) == 0.0 and ramp(0.5, 0.0, 1.0) == 0.5 and ramp(0.2, 1.0, 0.4) == 1.0
    rotation = hand_rotation(0.4, 0.3, 0.2)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    np.testing.assert_allclose(hand_rotation(np.pi / 2)[:, 2], [0.0, 1.0, 0.0], atol=1e-12)
    turned = turn_about(np.array([2.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), np.pi / 2)
    np.testing.assert_allclose(turned, [1.0, 1.0, 1.0], atol=1e-12)


def test_look_ahead_follows_a_polyline() -> None:
    way = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0], [1.0, 2.0, 3.0]])
    np.testing.assert_allclose(look_ahead(way, np.array([0.5, 0.3]), 0.25), [0.75, 0.0, 0.75])
    np.testing.assert_allclose(look_ahead(way, np.array([0.9, -0.2]), 0.6), [1.0, 0.5, 1.5])
    np.testing.assert_allclose(look_ahead(way, np.array([1.0, 3.0]), 0.5), [1.0, 2.0, 3.0])

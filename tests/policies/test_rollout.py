"""What comes of an episode depends on its seed and the policy, and on nothing beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from egorobot.policies import rollout as module
from egorobot.policies.rollout import EpisodeResult, rollout


class Wanderer:
    """A policy of what it sees and of how long it has been acting, to be told apart from any other."""

    env_name = "egorobot/Slide-v0"
    env_kwargs: dict[str, Any] = {"protocol": "r3m", "image_size": 16}  # noqa: RUF012

    def __init__(self) -> None:
        self.weights = np.random.default_rng(0).normal(size=(10, 9))
        self.memory: dict[int, float] = {}
        self.batches: list[int] = []

    def start_episode(self, rows: Sequence[int] | None = None) -> None:
        for row in rows or ():
            self.memory[row] = 0.0

    def act(self, observations: Mapping[str, NDArray[Any]], rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        assert rows is not None
        self.batches.append(len(rows))
        actions = []
        for i, row in enumerate(rows):
            self.memory[row] = 0.9 * self.memory[row] + observations["left_cap2_image"][i].mean() / 255
            seen = np.append(observations["proprio"][i], self.memory[row])
            actions.append(0.3 * np.sin(seen @ self.weights))
        return np.array(actions, np.float32)


SEEDS = [3, 1, 4, 15, 9]


@pytest.fixture(scope="module")
def alone() -> list[EpisodeResult]:
    return rollout(Wanderer(), SEEDS, num_workers=1, record=True, progress=False)


def test_episodes_come_in_the_order_of_their_seeds(alone: list[EpisodeResult]) -> None:
    assert [episode.seed for episode in alone] == SEEDS
    for episode in alone:
        assert episode.states is not None
        assert len(episode.states) == episode.length + 1
        assert episode.success or episode.length == 50


@pytest.mark.parametrize(("num_workers", "group"), [(2, 8), (3, 2)])
def test_the_number_of_workers_changes_nothing(
    alone: list[EpisodeResult], monkeypatch: pytest.MonkeyPatch, num_workers: int, group: int
) -> None:
    monkeypatch.setattr(module, "EMBED_BATCH", group)  # 2: two groups in turn, slots used again
    policy = Wanderer()
    together = rollout(policy, SEEDS, num_workers, record=True, progress=False)
    assert max(policy.batches) == min(group, len(SEEDS))
    for one, other in zip(alone, together, strict=True):
        assert (one.seed, one.success, one.length) == (other.seed, other.success, other.length)
        np.testing.assert_array_equal(one.states, other.states)


def test_states_are_kept_only_where_asked_for() -> None:
    (episode,) = rollout(Wanderer(), [3], num_workers=1, progress=False)
    assert episode.states is None

"""Rolling a policy out on many episodes at once.

Environments run in worker processes (`egorobot.envs.pool`); the policy runs here, on one
batch a step. Slots come in groups of the size of an encoder's batch: while the policy acts
for one group, the workers step another.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.envs.pool import EnvPool, Step
from egorobot.policies.embedding import EMBED_BATCH
from egorobot.processes import default_num_workers


class ActingPolicy(Protocol):
    """What a rollout asks of a policy, such as `egorobot.policies.checkpoint.Policy`.

    Attributes:
        env_name: Gymnasium id of its environment.
        env_kwargs: arguments of `gymnasium.make` beside it.
    """

    env_name: str
    env_kwargs: dict[str, Any]

    def start_episode(self, rows: Sequence[int] | None = None) -> None:
        """Forget what is remembered of the episodes of `rows`."""
        ...

    def act(self, observations: Mapping[str, NDArray[Any]], rows: Sequence[int] | None = None) -> NDArray[np.float32]:
        """Return actions (N, 9) in [-1, 1] for observations (N, ...) of the episodes of `rows`."""
        ...


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: reset seed.
        success: whether it succeeded.
        length: control steps taken.
        states: exact physics states, (length + 1, S), where they were asked for.
    """

    seed: int
    success: bool
    length: int
    states: NDArray[np.float64] | None = None


@dataclass
class _Episode:
    index: int
    seed: int
    length: int = -1  # the reset's observation brings it to 0
    states: list[NDArray[np.float64]] = field(default_factory=list)


def rollout(
    policy: ActingPolicy,
    seeds: Sequence[int],
    num_workers: int | None = None,
    record: bool = False,
    description: str = "rollout",
    progress: bool = True,
) -> list[EpisodeResult]:
    """Roll `policy` out on one episode for each of `seeds`.

    What comes of an episode depends on its seed and the policy, not on the number of
    workers or the episodes beside it.

    Args:
        policy: what acts, and in which environment.
        seeds: reset seeds.
        num_workers: processes; None is one a core.
        record: whether results hold the physics states, from which any view can be drawn.
        description: shown beside the progress bar.
        progress: whether there is one.

    Returns:
        The episodes in the order of `seeds`.

    Raises:
        UserError: a worker died, or the environment cannot be made.
    """
    num_workers = num_workers or default_num_workers()
    num_slots = min(len(seeds), -(-num_workers // EMBED_BATCH) * EMBED_BATCH)
    results: list[EpisodeResult | None] = [None] * len(seeds)
    with (
        tqdm(total=len(seeds), desc=description, unit="episode", disable=not progress) as bar,
        EnvPool(policy.env_name, policy.env_kwargs, num_slots, num_workers, with_states=record) as pool,
    ):
        for episode, success in _run(policy, pool, deque(enumerate(seeds)), num_slots):
            states = np.stack(episode.states) if record else None
            results[episode.index] = EpisodeResult(episode.seed, success, episode.length, states)
            done = [r for r in results if r is not None]
            bar.set_postfix_str(f"success {sum(r.success for r in done)}/{len(done)}", refresh=False)
            bar.update()
    return [r for r in results if r is not None]


def _run(
    policy: ActingPolicy, pool: EnvPool, waiting: deque[tuple[int, int]], num_slots: int
) -> Iterator[tuple[_Episode, bool]]:
    """Yield each episode with its outcome as it ends."""
    episodes: dict[int, _Episode] = {}
    groups = [range(start, min(start + EMBED_BATCH, num_slots)) for start in range(0, num_slots, EMBED_BATCH)]
    for group in groups:
        pool.send({slot: _begin(policy, episodes, slot, waiting) for slot in group})
    while episodes:
        for group in groups:
            steps = pool.receive(slot for slot in group if slot in episodes)
            commands: dict[int, int | NDArray[np.floating]] = {}
            for slot, step in steps.items():
                _observe(episodes[slot], step)
                if step.done:
                    yield episodes.pop(slot), step.success
                    if waiting:
                        commands[slot] = _begin(policy, episodes, slot, waiting)
            acting = [slot for slot, step in steps.items() if not step.done]
            if acting:
                keys = steps[acting[0]].observation
                batch = {key: np.stack([steps[slot].observation[key] for slot in acting]) for key in keys}
                commands |= zip(acting, policy.act(batch, acting), strict=True)
            pool.send(commands)


def _begin(policy: ActingPolicy, episodes: dict[int, _Episode], slot: int, waiting: deque[tuple[int, int]]) -> int:
    episodes[slot] = _Episode(*waiting.popleft())
    policy.start_episode([slot])
    return episodes[slot].seed


def _observe(episode: _Episode, step: Step) -> None:
    episode.length += 1
    if step.state is not None:
        episode.states.append(step.state)

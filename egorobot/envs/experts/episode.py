"""One demonstration: an expert in the kitchen, disturbed by bursts of action noise."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.experts.base import Expert
from egorobot.envs.protocols import PROTOCOLS, Protocol
from egorobot.envs.simulation import NUM_ROBOT_JOINTS, KitchenSimulation


@dataclass(frozen=True)
class BurstNoise:
    """Short constant pushes on the executed actions; the recorded labels stay clean.

    They show the learner states off the expert's path, with the way back.

    Attributes:
        probability: with which a step without a burst starts one.
        min_steps: shortest burst, in control steps.
        max_steps: longest burst, in control steps.
        sigma: standard deviation of the offset of each action, constant over a burst;
            the default is 0.0096 rad under the protocol `kitchen`.
    """

    probability: float = 0.12
    min_steps: int = 2
    max_steps: int = 5
    sigma: float = 0.06

    @classmethod
    def for_protocol(cls, protocol: Protocol) -> "BurstNoise":
        """Return the default noise, as large in rad as under `kitchen`."""
        return cls(sigma=cls.sigma * (PROTOCOLS["kitchen"].action_scale / protocol.action_scale))


@dataclass(frozen=True)
class Episode:
    """What happened from a reset to the end of one episode of N steps.

    Attributes:
        actions: the expert's actions without noise, (N, 9) float32 in [-1, 1].
        states: the simulation's state before each action, (N, S) float64.
        solved: whether the task was solved after each action, (N,) bool.
        success: whether the task was solved on more than the protocol's number of steps.
    """

    actions: NDArray[np.float32]
    states: NDArray[np.float64]
    solved: NDArray[np.bool_]
    success: bool

    @property
    def length(self) -> int:
        """Number of control steps, N."""
        return len(self.actions)

    @property
    def rewards(self) -> NDArray[np.float32]:
        """1 for each step after which the task was solved, else 0, (N,)."""
        return self.solved.astype(np.float32)


class _Bursts:
    """The offsets of one episode, drawn from `rng` step by step."""

    def __init__(self, noise: BurstNoise | None, rng: np.random.Generator) -> None:
        self._noise, self._rng = noise, rng
        self._remaining = 0
        self._offset = np.zeros(NUM_ROBOT_JOINTS)

    def next_offset(self) -> NDArray[np.float64]:
        """Return the offset (9,) of the next action."""
        noise = self._noise
        if noise is None:
            return self._offset
        if self._remaining == 0:
            self._offset = np.zeros(NUM_ROBOT_JOINTS)
            if self._rng.uniform() < noise.probability:
                self._remaining = int(self._rng.integers(noise.min_steps, noise.max_steps + 1))
                self._offset = self._rng.normal(0.0, noise.sigma, NUM_ROBOT_JOINTS)
        self._remaining = max(self._remaining - 1, 0)
        return self._offset


def collect_episode(
    simulation: KitchenSimulation,
    expert: Expert,
    rng: np.random.Generator,
    bursts: BurstNoise | None = BurstNoise(),
    extra_steps: int = 4,
    on_step: Callable[[KitchenSimulation], None] | None = None,
) -> Episode:
    """Let the expert act until shortly after success, or to the protocol's horizon.

    Args:
        simulation: the kitchen, just reset by the caller.
        expert: made for this very simulation.
        rng: source of the bursts.
        bursts: noise on the executed actions, `BurstNoise.for_protocol` as a rule; None for none.
        extra_steps: steps recorded after the one that brought success.
        on_step: called with the simulation before each action, to render it for example.
    """
    offsets = _Bursts(bursts, rng)
    actions, states, solved = [], [], []
    remaining = extra_steps
    while simulation.step_count < simulation.protocol.horizon and (not simulation.success or remaining > 0):
        remaining -= simulation.success
        if on_step is not None:
            on_step(simulation)
        action = np.clip(expert.act(), -1.0, 1.0).astype(np.float32)
        actions.append(action)
        states.append(simulation.get_state())
        simulation.step(action + offsets.next_offset())
        solved.append(simulation.solved)
    return Episode(np.array(actions), np.array(states), np.array(solved, dtype=bool), simulation.success)

"""Many environments in a few processes, stepped one slot at a time.

Gymnasium's AsyncVectorEnv gives every environment a process of its own. Here a process
holds several, because an encoder wants a batch larger than the number of cores, and a
slot whose episode is over is neither stepped nor rendered. Workers are spawned: a GL
context does not survive a fork. They import neither torch nor robomimic.
"""

import os
import signal
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Self

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory
from numpy.typing import NDArray

from egorobot.envs.camera_env import CameraEnv
from egorobot.envs.registration import register_envs
from egorobot.errors import UserError
from egorobot.processes import spawn_context

TIMEOUT = 300.0  # s without a sign of life from a worker that owes an answer
GRACE = 10.0  # s for a worker to close its environments


@dataclass(frozen=True)
class Step:
    """What came of a reset or a step.

    Attributes:
        observation: the environment's observation, a view that the slot's next command
            overwrites.
        success: whether the episode has succeeded.
        done: whether the episode is over, by success or by the horizon.
        state: the exact physics state after it, where states were asked for.
    """

    observation: dict[str, NDArray[Any]]
    success: bool
    done: bool
    state: NDArray[np.float64] | None


class EnvPool:
    """`num_slots` copies of one environment in `num_workers` processes.

    A slot is given a command with `send` (a seed resets it, an action steps it) and
    answers through `receive`, while other slots are at work.

    Args:
        env_id: Gymnasium id.
        env_kwargs: what `gymnasium.make` gets beside it.
        num_slots: environments.
        num_workers: processes; no more than there are slots are started.
        with_states: whether each `Step` holds the physics state.
    """

    def __init__(
        self, env_id: str, env_kwargs: Mapping[str, Any], num_slots: int, num_workers: int, with_states: bool = False
    ) -> None:
        env = _make(env_id, env_kwargs)
        space = env.observation_space
        env.close()
        context = spawn_context()
        # Kept alive for as long as the pool: its locks must be there when workers start.
        self._memory = create_shared_memory(space, num_slots, context)  # type: ignore[arg-type]
        views = read_from_shared_memory(space, self._memory, num_slots)
        assert isinstance(views, dict)
        self._observations = views
        self._answers: dict[int, tuple[bool, bool, NDArray[np.float64] | None]] = {}
        self._pipes: list[Connection] = []
        self._processes = []
        cores, num_workers = len(os.sched_getaffinity(0)), min(num_workers, num_slots)
        for worker in range(num_workers):
            ours, theirs = context.Pipe()
            slots = range(worker, num_slots, num_workers)
            process = context.Process(
                target=_work,
                args=(theirs, env_id, dict(env_kwargs), slots, self._memory, with_states, max(1, cores // num_workers)),
                name=f"egorobot-env-{worker}",
                daemon=True,
            )
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: Any, trace: TracebackType | None) -> None:
        self.close()

    def send(self, commands: Mapping[int, int | NDArray[np.floating]]) -> None:
        """Give each slot a seed to reset with, or an action to step with."""
        for worker, pipe in enumerate(self._pipes):
            mine = [(slot, c) for slot, c in commands.items() if slot % len(self._pipes) == worker]
            if mine:
                try:
                    pipe.send(mine)
                except OSError:
                    raise self._died(worker) from None

    def receive(self, slots: Iterable[int]) -> dict[int, Step]:
        """Wait until all of `slots` have answered their last command, and return the answers.

        Raises:
            UserError: a worker died, or could not make or run its environment for a
                reason that a person can mend.
            RuntimeError: an environment raised something else; its traceback is told.
            TimeoutError: a worker gave no sign of life for `TIMEOUT` seconds.
        """
        slots = list(slots)
        while not self._answers.keys() >= set(slots):
            ready = wait(self._pipes, TIMEOUT)
            if not ready:
                raise TimeoutError(f"the environment workers gave no answer for {TIMEOUT:.0f} s")
            for pipe in ready:
                self._read(self._pipes.index(pipe))  # type: ignore[arg-type]
        return {s: Step({k: v[s] for k, v in self._observations.items()}, *self._answers.pop(s)) for s in slots}

    def _read(self, worker: int) -> None:
        try:
            kind, *content = self._pipes[worker].recv()
        except (EOFError, OSError):
            raise self._died(worker) from None
        if kind == "bad input":
            raise UserError(content[0])
        if kind == "failure":
            raise RuntimeError(f"an environment worker failed:\n{content[0]}")
        slot, *answer = content
        self._answers[slot] = tuple(answer)

    def _died(self, worker: int) -> UserError:
        process = self._processes[worker]
        process.join(GRACE)
        code = process.exitcode
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with status {code}"
        return UserError(f"an environment worker {how}: if memory ran out, choose fewer with num_workers=1")

    def close(self) -> None:
        """Close all environments and end the workers."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(GRACE)
            if process.is_alive():
                process.kill()
                process.join()
            process.close()
        self._pipes, self._processes = [], []


def _make(env_id: str, env_kwargs: Mapping[str, Any]) -> gym.Env[Any, Any]:
    register_envs()
    return gym.make(env_id, **env_kwargs)


def _share_renderer(env: gym.Env[Any, Any], lender: gym.Env[Any, Any]) -> None:
    ours, theirs = env.unwrapped, lender.unwrapped
    if ours is not theirs and isinstance(ours, CameraEnv) and isinstance(theirs, CameraEnv):
        ours.share_renderer(theirs)


def _work(
    pipe: Connection,
    env_id: str,
    env_kwargs: dict[str, Any],
    slots: range,
    memory: Any,
    with_states: bool,
    num_threads: int,
) -> None:
    """Serve the commands of `slots` until the other end of `pipe` closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    # Mesa's software OpenGL would start a thread a core in each worker.
    os.environ.setdefault("LP_NUM_THREADS", str(num_threads))
    envs: dict[int, gym.Env[Any, Any]] = {}
    try:
        for slot in slots:
            envs[slot] = _make(env_id, env_kwargs)
            _share_renderer(envs[slot], envs[slots[0]])
        while True:
            for slot, command in pipe.recv():
                pipe.send(("step", slot, *_execute(envs[slot], slot, command, memory, with_states)))
    except (EOFError, ConnectionError):
        pass  # the parent has closed its end: nothing more to do
    except UserError as error:
        pipe.send(("bad input", str(error)))
    except Exception:
        pipe.send(("failure", traceback.format_exc()))
    finally:
        for env in envs.values():
            env.close()


def _execute(
    env: gym.Env[Any, Any], slot: int, command: int | NDArray[np.floating], memory: Any, with_states: bool
) -> tuple[bool, bool, NDArray[np.float64] | None]:
    if isinstance(command, int):
        observation, info = env.reset(seed=command)
        done = False
    else:
        observation, _, terminated, truncated, info = env.step(command)
        done = bool(terminated or truncated)
    write_to_shared_memory(env.observation_space, slot, observation, memory)
    state = env.unwrapped.get_state() if with_states else None  # type: ignore[attr-defined]
    return bool(info["success"]), done, state

"""Collect demonstrations of a kitchen task from its scripted expert.

    python -m egorobot.collect task=microwave num_demos=100
    python -m egorobot.collect task=door protocol=kitchen seed=1 num_workers=4 out=data/door.hdf5

Writes robomimic HDF5 with images, successes only, and prints the expert's success rate over the seeds it tried.
A file that is there already is extended; a run that was killed goes on from where it was.
"""

import json
import signal
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, TypeAlias

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from egorobot import __version__
from egorobot.cli import command
from egorobot.envs.camera_env import MIN_IMAGE_SIZE
from egorobot.envs.demonstration_parts import DemoMaker, DemoSource, join_parts, outcome
from egorobot.envs.demonstrations import DemoInfo, demonstrations_path, env_kwargs, open_demonstrations
from egorobot.envs.experts.episode import BurstNoise
from egorobot.envs.protocols import get_protocol
from egorobot.envs.scene import get_render_preset
from egorobot.envs.tasks import get_task
from egorobot.errors import UserError
from egorobot.files import check_out, digest, sole_user
from egorobot.processes import default_num_workers, exit_with_parent, share_cores, spawn_context
from egorobot.statistics import wilson_interval

# An expert that succeeds on one seed in twenty fails this often in a row once in 28,000.
MAX_FAILURES_IN_A_ROW = 200


@dataclass(frozen=True)
class Collection:
    """Demonstrations on disk, and what it took to get them.

    Attributes:
        info: of the file, which may hold more than was asked for.
        num_demos: demonstrations asked for.
    """

    info: DemoInfo
    num_demos: int

    @property
    def tries(self) -> int:
        """Seeds that the expert tried, up to the last demonstration asked for."""
        return self.info.tries(self.num_demos)

    def summary(self) -> str:
        """Return the expert's success rate with its interval, in one line."""
        low, high = wilson_interval(self.num_demos, self.tries)
        rate = f"{100 * self.num_demos / self.tries:.0f} %, 95 % interval {100 * low:.0f} to {100 * high:.0f}"
        return f"expert success {self.num_demos}/{self.tries} ({rate})"


def collect(
    task: str,
    protocol: str = "kitchen",
    num_demos: int = 100,
    seed: int = 0,
    camera: str | Sequence[str] | None = "left_cap2",
    image_size: int = 112,
    render: str = "fast",
    bursts: bool = True,
    out: str | Path | None = None,
    data_dir: str | Path = "data",
    num_workers: int | None = None,
) -> Collection:
    """Make sure that a file holds at least `num_demos` demonstrations, and return it.

    What the file holds does not depend on the number of workers, nor on how often the
    work was interrupted or extended.

    Args:
        task: name of the task.
        protocol: name of the protocol.
        num_demos: successful demonstrations wanted.
        seed: which ones; different seeds share no reset.
        camera: name of a camera, or several, or None.
        image_size: pixels.
        render: render preset.
        bursts: whether the arm is perturbed while collecting (the clean action is recorded).
        out: the file; None is a place in `data_dir` named by the settings.
        data_dir: folder for such places.
        num_workers: processes; None is one a core.

    Raises:
        UserError: an unknown name, a file at `out` that is something else, or an expert
            that keeps failing.
    """
    if num_demos < 1 or seed < 0:
        raise UserError(f"num_demos={num_demos}, seed={seed}: at least 1 and 0 are needed")
    if image_size < MIN_IMAGE_SIZE:
        raise UserError(f"image_size={image_size}: at least {MIN_IMAGE_SIZE} is needed")
    get_render_preset(render)
    settings = get_protocol(protocol)
    kwargs = env_kwargs(settings.name, camera, image_size, render)
    noise = BurstNoise.for_protocol(settings) if bursts else None
    source = DemoSource(get_task(task).name, seed, kwargs, noise)
    path = Path(out) if out else demonstrations_path(data_dir, protocol, task, camera, image_size, seed, render)
    check_out(path)
    # What is there is only read: the folder may be one that this process must not write to.
    if (existing := _open_existing(path, source)) is None or existing.num_demos < num_demos:
        path.parent.mkdir(parents=True, exist_ok=True)
        with sole_user(path.parent, "demonstrations", wait=True):
            existing = _open_existing(path, source)
            if existing is None or existing.num_demos < num_demos:
                _extend(path, source, existing, num_demos, num_workers or default_num_workers())
    return Collection(open_demonstrations(path, num_demos), num_demos)


def _open_existing(path: Path, source: DemoSource) -> DemoInfo | None:
    if not path.exists():
        return None
    info = open_demonstrations(path, 0, source.task, source.env_kwargs)
    if info.imported is not None:
        raise UserError(f"{path} was imported from {info.imported['source']}: choose another out=…")
    wanted = source.env_args(__version__)["collect"]
    for key, value in wanted.items():
        if info.env_args["collect"][key] != value:
            raise UserError(f"{path} was collected with {key}={info.env_args['collect'][key]}: choose another out=…")
    return info


def _extend(path: Path, source: DemoSource, existing: DemoInfo | None, num_demos: int, num_workers: int) -> None:
    """Try seeds in order until there are `num_demos` demonstrations, then write the file."""
    env_args = existing.env_args if existing else source.env_args(__version__)
    folder = path.with_name(f".{path.stem}.parts-{digest(json.dumps(env_args))}")
    folder.mkdir(exist_ok=True)
    have = existing.num_demos if existing else 0
    indices: list[int] = []
    failures_in_a_row = 0
    with (
        tqdm(total=num_demos, initial=have, desc=f"collect {source.task}", unit="demo") as bar,
        closing(_outcomes(source, folder, existing.tries() if existing else 0, num_workers)) as outcomes,
    ):
        for index, success in outcomes:
            failures_in_a_row = 0 if success else failures_in_a_row + 1
            if failures_in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise UserError(
                    f"the expert of '{source.task}' failed {failures_in_a_row} times in a row under protocol "
                    f"'{source.env_kwargs['protocol']}', expert success {have + len(indices)}/{index + 1}: "
                    "nothing was written, ask for fewer demonstrations"
                )
            if success:
                indices.append(index)
                bar.update()
            if have + len(indices) == num_demos:
                break
    join_parts(path, env_args, existing, folder, indices)


Outcomes: TypeAlias = Generator[tuple[int, bool], None, None]


def _outcomes(source: DemoSource, folder: Path, start: int, num_workers: int) -> Outcomes:
    """Yield (seed number, success) in order from `start` on, without end."""
    untried = next(index for index in count(start) if outcome(folder, index) is None)
    for index in range(start, untried):
        yield index, bool(outcome(folder, index))
    if num_workers == 1:
        yield from _make_here(source, folder, untried)
    else:
        yield from _make_in_pool(source, folder, untried, num_workers)


def _make_here(source: DemoSource, folder: Path, start: int) -> Outcomes:
    maker = DemoMaker(source)
    with closing(maker.env):
        for index in count(start):
            yield index, maker.make_once(index, folder)


def _make_in_pool(source: DemoSource, folder: Path, start: int, num_workers: int) -> Outcomes:
    context = spawn_context()  # OpenGL contexts do not survive a fork
    pool = ProcessPoolExecutor(num_workers, context, initializer=_start_worker, initargs=(source, folder, num_workers))
    try:
        pending: deque[tuple[int, Future[bool]]] = deque()
        for ahead in count(start):
            pending.append((ahead, pool.submit(_attempt, ahead)))
            if len(pending) > 2 * num_workers:
                index, future = pending.popleft()
                yield index, future.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for memory: run again with a smaller num_workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[DemoMaker, Path]


def _start_worker(source: DemoSource, folder: Path, num_workers: int) -> None:
    global _worker
    exit_with_parent()
    share_cores(num_workers)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker = DemoMaker(source), folder


def _attempt(index: int) -> bool:
    maker, folder = _worker
    return maker.make_once(index, folder)


@command("collect")
def main(config: DictConfig) -> None:
    """Collect what the options ask for, and print the expert's success rate and the file."""
    options: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    task, protocol = options.pop("task")["name"], options.pop("protocol")["name"]
    collection = collect(task, protocol, **options)
    print(collection.summary())
    print(collection.info.path)


if __name__ == "__main__":
    main()

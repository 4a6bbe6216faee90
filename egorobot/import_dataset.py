"""Import demonstrations from datasets of others: D4RL's HDF5 files, Minari's, and LeRobot's.

    python -m egorobot.import_dataset source=kitchen_complete-v0.hdf5 subtask=microwave
    python -m egorobot.import_dataset source=minari:D4RL/kitchen/complete-v2 num_demos=19

Joint positions are put back into the kitchen, images drawn from any of our cameras, and all
is written as robomimic HDF5 that train_bc takes with dataset=FILE. A killed run goes on from
where it was.
"""

import json
import re
import shutil
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from tqdm import tqdm

from egorobot import __version__
from egorobot.cli import command
from egorobot.envs.demonstration_parts import join_parts
from egorobot.envs.demonstrations import GYM_TYPE, DemoInfo, looks, open_demonstrations, read_info
from egorobot.envs.exchange.episodes import Reader
from egorobot.envs.exchange.importing import Piece, PieceWriter, Plan, make_plan, missing_parts
from egorobot.envs.exchange.restoring import Target, image_keys, make_target
from egorobot.envs.exchange.sources import reader_for
from egorobot.envs.rendering import env_render_fingerprint
from egorobot.errors import UserError
from egorobot.files import check_out, digest, sole_user
from egorobot.processes import default_num_workers, exit_with_parent, share_cores, spawn_context
from egorobot.runs import path_safe

DRAW, KEEP = "draw", "keep"
NAMED = ("task", "protocol")  # options whose value is under `name`, as in the other commands


def import_dataset(
    source: str,
    task: str | None = None,
    subtask: str | None = None,
    protocol: str | None = None,
    only_successes: bool = True,
    num_demos: int | None = None,
    images: str = DRAW,
    camera: str | Sequence[str] | None = "left_cap2",
    image_size: int = 112,
    render: str = "fast",
    out: str | Path | None = None,
    data_dir: str | Path = "data",
    num_workers: int | None = None,
) -> DemoInfo:
    """Make sure that a file holds the demonstrations of a dataset, and return what it holds.

    What the file holds does not depend on the number of workers, nor on how often the work
    was interrupted.

    Args:
        source: HDF5 file of D4RL, `minari:<dataset>`, or `lerobot:<folder>`.
        task: of the environment that they will belong to; None is what the dataset says, or
            the sub-task.
        subtask: only the part of each episode that does this.
        protocol: None is what the dataset says.
        only_successes: whether episodes that do not do the task are left out.
        num_demos: the first so many; None is all.
        images: `draw` or `keep`.
        camera: name of a camera, or several, or None.
        image_size: pixels.
        render: render preset.
        out: the file; None is a place in `data_dir` named by the settings.
        data_dir: folder for such places.
        num_workers: processes; None is one a core.

    Raises:
        UserError: the dataset cannot be read, is not of the kitchen, never does the task, or
            there is something else at `out`; nothing is written then.
    """
    if images not in (DRAW, KEEP) or (num_demos is not None and num_demos < 1):
        raise UserError(f"images={images}, num_demos={num_demos}: draw or keep, and at least 1, are needed")
    reader = reader_for(source)
    target = make_target(reader.source, reader.env, protocol, task or subtask, camera, image_size, render)
    plan = make_plan(reader, target, subtask, only_successes, num_demos)
    env_args = _env_args(source, reader, target, plan, images, subtask, only_successes)
    if images == KEEP:
        _check_kept_images(reader, target, plan, env_args["render_fingerprint"])
    path = Path(out) if out else _default_path(data_dir, source, target, subtask)
    check_out(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with sole_user(path.parent, "demonstrations", wait=True):
            if not path.exists():
                _write(path, env_args, reader, target, plan, images == KEEP, num_workers or default_num_workers())
    if read_info(path).env_args != env_args or read_info(path).num_demos != len(plan.pieces):
        raise UserError(f"{path} holds something else than what these options import: choose another out=…")
    return open_demonstrations(path, len(plan.pieces))


def _env_args(
    source: str, reader: Reader, target: Target, plan: Plan, images: str, subtask: str | None, only_successes: bool
) -> dict[str, Any]:
    return {
        "env_name": target.env_id,
        "env_version": __version__,
        "type": GYM_TYPE,
        "env_kwargs": target.env_kwargs,
        "render_fingerprint": env_render_fingerprint(target.env_kwargs),
        "import": {
            "source": Path(source).name if Path(source).is_file() else source,
            "fingerprint": reader.fingerprint,
            "episodes": reader.num_episodes,
            "subtask": subtask,
            "only_successes": only_successes,
            "velocities": "source" if plan.velocities else "zero",
            "images": images,
        },
    }


def _check_kept_images(reader: Reader, target: Target, plan: Plan, here: str) -> None:
    """Check, before anything is written, that the images fit the options and how images are drawn here."""
    image_keys(target, reader.read(plan.pieces[0].episode), reader.source)
    there = reader.env.render_fingerprint
    if there not in (None, here):
        raise UserError(
            f"{reader.source} was drawn unlike images are drawn here, with these options (render fingerprint {there}, "
            f"here {here}): images=draw draws them anew"
        )


def _default_path(data_dir: str | Path, source: str, target: Target, subtask: str | None) -> Path:
    name = path_safe(Path(source).stem if Path(source).suffix in (".hdf5", ".h5") else source)
    part = "" if subtask in (None, target.task) else f"_{subtask}"
    shown = looks(*(target.env_kwargs[key] for key in ("camera", "image_size", "render")))
    return Path(data_dir) / target.protocol / target.task / f"{name}{part}_{shown}.hdf5"


def _write(
    path: Path,
    env_args: dict[str, Any],
    reader: Reader,
    target: Target,
    plan: Plan,
    keep_images: bool,
    num_workers: int,
) -> None:
    """Write all pieces that are not there yet, then the file."""
    folder = path.with_name(f".{path.stem}.parts-{digest(json.dumps(env_args))}")
    folder.mkdir(parents=True, exist_ok=True)
    count = len(plan.pieces)
    try:
        with tqdm(total=count, desc=f"import {target.task}", unit="demo") as bar:
            todo = {number: plan.pieces[number] for number in missing_parts(folder, count)}
            bar.update(count - len(todo))
            arguments = (reader, target, keep_images)
            if num_workers == 1 or len(todo) == 1:
                _write_here(arguments, todo, folder, bar)
            else:
                _write_in_pool(arguments, todo, folder, bar, min(num_workers, max(len(todo), 1)))
            join_parts(path, env_args, None, folder, list(range(count)))
    except UserError:
        if not any(folder.glob("*.hdf5")):
            shutil.rmtree(folder, ignore_errors=True)
        raise


Arguments = tuple[Reader, Target, bool]


def _write_here(arguments: Arguments, todo: dict[int, Piece], folder: Path, bar: "tqdm[Any]") -> None:
    with closing(PieceWriter(*arguments)) as writer:
        for number, piece in todo.items():
            writer.write_once(number, piece, folder)
            bar.update()


def _write_in_pool(
    arguments: Arguments, todo: dict[int, Piece], folder: Path, bar: "tqdm[Any]", num_workers: int
) -> None:
    context = spawn_context()  # OpenGL contexts do not survive a fork
    pool = ProcessPoolExecutor(
        num_workers, context, initializer=_start_worker, initargs=(arguments, folder, num_workers)
    )
    try:
        for future in as_completed([pool.submit(_write_piece, number, piece) for number, piece in todo.items()]):
            future.result()
            bar.update()
    except BrokenProcessPool:
        raise UserError(
            "a worker process was killed, perhaps for memory: run again with a smaller num_workers"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


_worker: tuple[PieceWriter, Path]


def _start_worker(arguments: Arguments, folder: Path, num_workers: int) -> None:
    global _worker
    exit_with_parent()
    share_cores(num_workers)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    _worker = PieceWriter(*arguments), folder


def _write_piece(number: int, piece: Piece) -> None:
    writer, folder = _worker
    writer.write_once(number, piece, folder)


@command("import_dataset")
def run(config: DictConfig) -> None:
    """Import what the options ask for, and print what came of it and the file."""
    options: dict[str, Any] = OmegaConf.to_container(config, resolve=True)  # type: ignore[assignment]
    options |= {key: options[key]["name"] for key in NAMED}
    info = import_dataset(**options)
    assert info.imported is not None
    what = f"{info.num_demos} demonstrations of '{info.task}' ({info.protocol}), {sum(info.lengths)} steps"
    note = "" if info.imported["velocities"] == "source" else ", velocities unknown and set to zero"
    print(f"{what}, from {info.imported['episodes']} episodes{note}")
    print(info.path)


def main() -> None:
    """Run `python -m egorobot.import_dataset`."""
    # Elsewhere these are config groups, and Hydra would look for a file; D4RL's tasks have none.
    sys.argv[1:] = [re.sub(f"^({'|'.join(NAMED)})=", r"\1.name=", argument) for argument in sys.argv[1:]]
    run()


if __name__ == "__main__":
    main()

"""The same two stages on a Ray cluster: processes that see and processes that tell, each a pool of its own."""

import logging
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from egorobot.errors import UserError
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.hod.rephrasing import Progress
from egorobot.pretrain.hod.stages import Seeing, Telling, WrittenPart


class _Sees:
    def __init__(self, seeing: bytes, folder: Path) -> None:
        self.seeing: Seeing = _unpack(seeing, folder)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"part": row["part"], "drafted": pickle.dumps(self.seeing(int(row["part"])))}


class _Tells:
    def __init__(self, telling: bytes, folder: Path) -> None:
        self.telling: Telling = _unpack(telling, folder)
        self.rephraser = self.telling.make_rephraser()

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        # Made by `_Sees` of this very run, so unpickling it is safe.
        return {"written": pickle.dumps(self.telling(pickle.loads(row["drafted"]), self.rephraser))}


def _unpack(stage: bytes, folder: Path) -> Any:
    """Return a stage that a process working in `folder` has packed, to which its relative paths refer.

    This one works wherever Ray was started. Stages open files as soon as they are unpacked,
    so it has to move before that. Without such a folder here, only absolute paths can be right.
    """
    with suppress(OSError):
        os.chdir(folder)
    return pickle.loads(stage)  # of `run_on_ray`, so it is safe


def run_on_ray(
    seeing: Seeing,
    telling: Telling,
    parts: Sequence[int],
    progress: Progress,
    num_workers: int,
    num_rephrasers: int,
) -> Iterator[WrittenPart]:
    """Write `parts` on the Ray cluster that RAY_ADDRESS names, or on this machine, and yield each when it is written.

    Machines of a cluster must see the same videos and the same output folder. Relative paths are
    taken from the folder that this process works in.

    Args:
        seeing: drafts them.
        telling: writes them.
        parts: which.
        progress: hears how many more clips are done, part by part.
        num_workers: processes that draft.
        num_rephrasers: processes that write captions and files.

    Raises:
        UserError: a stage refuses, or a process died for good.
    """
    ray, data = need("ray"), need("ray.data")
    if not parts:
        return
    if not ray.is_initialized():
        ray.init(logging_level="ERROR", log_to_driver=False, include_dashboard=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data.DataContext.get_current().enable_progress_bars = False  # the job has its own
    rows = data.from_items([{"part": part} for part in parts], override_num_blocks=len(parts))
    sees, tells = (
        (ray.cloudpickle.dumps(stage), Path.cwd())
        for stage in (seeing, replace(telling, folder=telling.folder.absolute()))
    )
    drafted = rows.map(_Sees, fn_constructor_args=sees, concurrency=min(num_workers, len(parts)), num_cpus=1)
    # Telling waits for answers most of the time. Any share of a core at all would have to wait until seeing, which
    # takes all of them, has ended: nothing would be written before.
    written = drafted.map(_Tells, fn_constructor_args=tells, concurrency=num_rephrasers, num_cpus=0)
    try:
        for row in written.iter_rows():
            part: WrittenPart = pickle.loads(row["written"])
            progress(part.num_clips)
            yield part
    except ray.exceptions.RayError as error:
        cause = error
        while cause is not None and not isinstance(cause, UserError):
            cause = getattr(cause, "cause", None) or cause.__cause__
        raise cause or UserError(f"a process of the Ray cluster failed: {str(error).splitlines()[-1]}") from error

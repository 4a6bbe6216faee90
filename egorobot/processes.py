"""Processes: how many, that workers end with the one that started them, and what they print."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_all_start_methods, get_context, get_start_method, parent_process, set_start_method
from multiprocessing.context import SpawnContext


def default_num_workers() -> int:
    """Return one worker for each core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def spawn_context() -> SpawnContext:
    """Return the context in which processes start afresh: neither OpenGL nor threads survive a fork.

    What a process was started by, its children are told to start their own by. In those of
    joblib that is a way of joblib's that a fresh process does not know: there "spawn"
    becomes the default.
    """
    if get_start_method(allow_none=True) not in (None, *get_all_start_methods()):
        set_start_method("spawn", force=True)
    return get_context("spawn")


def exit_with_parent() -> None:
    """End this worker when its parent dies, however that happens.

    A worker of a pool waits for work on a pipe that it holds both ends of, so it would
    not notice a parent that was killed.
    """
    parent = parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def share_cores(num_workers: int) -> None:
    """Leave each of `num_workers` processes, of which this is one, its share of the cores to draw with.

    Mesa's software OpenGL would start a thread a core in each of them.
    """
    os.environ.setdefault("LP_NUM_THREADS", str(max(1, default_num_workers() // num_workers)))


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what native libraries print on standard error, here and in processes started meanwhile.

    Some log every model that they load, through the middle of progress bars. What Python
    itself prints is still seen.
    """
    before, saved, nowhere = sys.stderr, os.dup(2), os.open(os.devnull, os.O_WRONLY)
    before.flush()
    try:
        is_real = before.fileno() == 2
    except (OSError, ValueError):  # something else stands in its place
        is_real = False
    if is_real:
        sys.stderr = os.fdopen(os.dup(saved), "w", buffering=1, encoding=before.encoding, errors="backslashreplace")
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        if is_real:
            sys.stderr.close()
            sys.stderr = before
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)

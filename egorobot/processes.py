"""Worker processes: how many, and that they end with the process that started them."""

import os
import threading
from multiprocessing import parent_process


def default_num_workers() -> int:
    """Return one worker for each core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

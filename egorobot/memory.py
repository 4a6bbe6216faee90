"""How much memory a command takes, its children included."""

import subprocess
import tempfile
import time
from collections.abc import Sequence

import psutil

from egorobot.errors import UserError

SAMPLE_INTERVAL = 0.25  # s between two looks


def peak_memory(command_line: Sequence[str]) -> float:
    """Run a command and return the most memory that it and its children held at a time, in bytes.

    Memory that processes share is counted once (PSS; where a system does not tell it, USS).

    Raises:
        UserError: the command failed; the message holds the end of what it printed.
    """
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command_line, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        root, peak = psutil.Process(process.pid), 0.0
        try:
            while process.poll() is None:
                peak = max(peak, _memory_of_tree(root))
                time.sleep(SAMPLE_INTERVAL)
        finally:
            process.kill()  # had it not ended, then because we are interrupted
        if process.returncode != 0:
            output.seek(0)
            last = (output.read().strip().splitlines() or [""])[-1]
            raise UserError(f"'{' '.join(command_line[1:])}' failed: {last}")
    return peak


def _memory_of_tree(root: psutil.Process) -> float:
    total = 0.0
    for process in [root, *_children(root)]:
        try:
            memory = process.memory_full_info()
        except psutil.Error:
            continue  # it has just ended
        total += getattr(memory, "pss", memory.uss)
    return total


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []

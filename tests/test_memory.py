"""Memory is counted over a command and its children."""

import sys

import pytest

from egorobot.errors import UserError
from egorobot.memory import peak_memory


def test_peak_memory_counts_children() -> None:
    """A process holds 100 MB and its child 200 MB, at the same time and for long enough to be seen."""
    child = "x = bytearray(200_000_000); import time; time.sleep(1.5)"
    parent = f"import subprocess, sys; x = bytearray(100_000_000); subprocess.run([sys.executable, '-c', {child!r}])"
    assert 300e6 < peak_memory([sys.executable, "-c", parent]) < 400e6


def test_a_command_that_fails_is_told() -> None:
    with pytest.raises(UserError, match="failed: ZeroDivisionError"):
        peak_memory([sys.executable, "-c", "1 / 0"])

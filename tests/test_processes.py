"""What native libraries print is dropped, and what Python prints is not; workers share the cores."""

import os
import subprocess
import sys

import pytest

from egorobot import processes
from egorobot.processes import quiet_libraries, share_cores

SCRIPT = """
import os, subprocess, sys
from egorobot.processes import quiet_libraries
with quiet_libraries():
    os.write(2, b"native\\n")
    subprocess.run(["sh", "-c", "echo child >&2"])
    print("python", file=sys.stderr)
os.write(2, b"later\\n")
print("after", file=sys.stderr)
try:
    with quiet_libraries():
        raise RuntimeError("told")
except RuntimeError as error:
    print(error, file=sys.stderr)
"""


def test_only_native_output_is_dropped() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["python", "later", "after", "told"]


def test_where_something_stands_in_for_standard_error_it_stays() -> None:
    before = sys.stderr
    with quiet_libraries():
        assert sys.stderr is before
    assert sys.stderr is before


def test_workers_share_the_cores_that_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "default_num_workers", lambda: 8)
    for workers, threads in ((1, "8"), (3, "2"), (8, "1"), (20, "1")):
        monkeypatch.delenv("LP_NUM_THREADS", raising=False)
        share_cores(workers)
        assert os.environ["LP_NUM_THREADS"] == threads
    monkeypatch.setenv("LP_NUM_THREADS", "5")
    share_cores(1)
    assert os.environ["LP_NUM_THREADS"] == "5"

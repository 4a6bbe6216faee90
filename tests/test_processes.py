"""What native libraries print is dropped, and what Python prints is not."""

import subprocess
import sys

from egorobot.processes import quiet_libraries

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

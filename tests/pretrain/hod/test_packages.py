"""Optional packages: there, or one line that says how to get them."""

import json
import subprocess
import sys

import pytest

from egorobot.errors import UserError
from egorobot.pretrain.hod import __main__ as command
from egorobot.pretrain.hod.packages import need


def test_a_package_that_is_there_is_imported() -> None:
    assert need("json") is json


def test_one_that_is_not_is_named_with_the_mend() -> None:
    with pytest.raises(UserError, match=r"needs no_such_package .*egorobot\[hod\]"):
        need("no_such_package.part")


def test_the_install_line_is_that_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # which Python takes for one that is not there
    with pytest.raises(UserError, match=r"needs transformers .*pip install 'egorobot\[hf\]'"):
        need("transformers")


def test_processes_that_find_hands_do_without_torch() -> None:
    """They import the command's module, and each would take seconds and memory for it."""
    code = f"import sys, {command.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

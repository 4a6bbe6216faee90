"""Optional packages: there, or one line that says how to get them."""

import json
import sys

import pytest

from egorobot.errors import UserError
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

"""The doctor tells the truth about this machine, and fails where something is missing."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from egorobot.doctor import (
    Finding,
    examine,
    examine_extras,
    examine_language_model,
    examine_package,
    examine_packages,
    format_report,
)
from egorobot.errors import UserError


def run_doctor(*overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egorobot.doctor", *overrides]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def test_this_machine() -> None:
    """The tests render, so the doctor finds nothing missing where they pass."""
    findings = {finding.subject: finding for finding in examine(image_size=64)}
    assert not [finding for finding in findings.values() if finding.missing]
    assert findings["mujoco"].fact == importlib.metadata.version("mujoco")
    assert float(findings["rendering"].fact.split()[0]) > 1
    assert {"OpenGL", "ffmpeg", "torch device", "cores", "free disk"} <= findings.keys()


def test_without_opengl_it_fails_with_the_mend() -> None:
    done = run_doctor(MUJOCO_GL="disabled")
    assert done.returncode == 1
    assert "missing: OpenGL" in done.stdout
    assert "-> unset it" in done.stdout


def test_unknown_preset_is_bad_input() -> None:
    with pytest.raises(UserError, match="unknown render preset 'fats'"):
        examine(render="fats")


@pytest.mark.parametrize("wanted", ["mujoco<3", "no-such-package-anywhere>=1"])
def test_packages_that_do_not_fit(wanted: str) -> None:
    finding = examine_package(Requirement(wanted))
    assert finding.missing
    assert finding.mend == f"pip install '{wanted}'"
    assert "missing: " in format_report([finding])


def test_a_remark_is_not_a_failure() -> None:
    """Software rendering is worth a remark, and works."""
    report = format_report([Finding("OpenGL", "egl, llvmpipe", mend="get a GPU", needed=False)])
    assert "-> get a GPU" in report
    assert report.endswith("everything that is needed works")


def test_what_only_captions_need_is_told_and_not_missed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    installed = importlib.metadata.version

    def version(name: str) -> str:
        if name == "pyarrow":
            raise importlib.metadata.PackageNotFoundError(name)
        return installed(name)

    assert {finding.subject: finding.mend for finding in examine_extras()}["captions"] == ""
    monkeypatch.setattr(importlib.metadata, "version", version)
    findings = {finding.subject: finding for finding in (*examine_extras(), examine_language_model())}
    assert findings["captions"].mend == "pip install 'egorobot[hod]'"
    assert findings["captions, LLM"].mend == "" and findings["language model"].mend.startswith("make models")
    assert not any(finding.missing for finding in findings.values())


def test_without_an_installation_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", missing)
    (finding,) = examine_packages()
    assert finding.missing and "not installed" in finding.fact
    assert examine_extras() == []

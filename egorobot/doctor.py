"""Say what works on this machine, what does not, and the mend.

Exits with status 1 when something is missing that egorobot needs.

Examples:
    python -m egorobot.doctor
    python -m egorobot.doctor image_size=112 render=full
"""

import importlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from omegaconf import DictConfig
from packaging.requirements import Requirement

from egorobot import __version__
from egorobot.cli import command
from egorobot.errors import UserError

if TYPE_CHECKING:
    from egorobot.envs.kitchen import KitchenEnv

# Shown even when nothing is wrong: what results depend on, or people ask about.
SHOWN = ("mujoco", "gymnasium", "gymnasium-robotics", "mink", "robomimic", "torch", "torchvision", "timm")
# Extras of the package, and what they are called in the report.
EXTRAS = {"hod": "captions", "llm": "captions, LLM", "hf": "captions, objects", "ray": "captions, cluster"}
SOFTWARE_RENDERERS = ("llvmpipe", "softpipe", "swrast", "swiftshader", "software")
MEASURED_SECONDS = 1.0
LITTLE_DISK = 2e9  # bytes: less than a hundred demonstrations at 224 px and a few runs need


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: what was looked at.
        fact: what was found.
        mend: what to do about it; empty where nothing is wrong.
        needed: whether egorobot does not work until it is mended.
    """

    subject: str
    fact: str
    mend: str = ""
    needed: bool = True

    @property
    def missing(self) -> bool:
        """Whether something that is needed is missing."""
        return self.needed and bool(self.mend)


def examine(image_size: int = 224, render: str = "fast") -> list[Finding]:
    """Look at this machine and installation; takes a few seconds.

    Args:
        image_size: pixels of the images whose rate is measured.
        render: render preset they are drawn with.

    Raises:
        UserError: there is no such preset, or images of that size cannot be.
    """
    packages = examine_packages()
    rendering = [] if any(finding.missing for finding in packages) else examine_rendering(image_size, render)
    return [
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("egorobot", f"{__version__} in {Path(__file__).parent}"),
        *packages,
        *rendering,
        examine_ffmpeg(),
        examine_torch(),
        *examine_extras(),
        examine_language_model(),
        *examine_machine(),
    ]


def examine_packages() -> list[Finding]:
    """Compare what is installed with what egorobot's own metadata asks for."""
    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires("egorobot") or ()]
    except importlib.metadata.PackageNotFoundError:
        return [Finding("packages", "egorobot is not installed in this Python", "make setup, or pip install .")]
    findings = []
    for requirement in requirements:
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            finding = examine_package(requirement)
            if finding.missing or requirement.name in SHOWN:
                findings.append(finding)
    return sorted(findings, key=lambda f: SHOWN.index(f.subject) if f.subject in SHOWN else -1)


def examine_extras() -> list[Finding]:
    """Tell which packages of what `EXTRAS` are for are installed; none is needed for the rest."""
    try:
        requirements = [Requirement(text) for text in importlib.metadata.requires("egorobot") or ()]
    except importlib.metadata.PackageNotFoundError:
        return []  # `examine_packages` has said so
    findings = []
    for extra, purpose in EXTRAS.items():
        wanted = [r for r in requirements if r.marker is not None and r.marker.evaluate({"extra": extra})]
        found = [examine_package(requirement) for requirement in wanted]
        fact = ", ".join(f"{finding.subject} {finding.fact}" for finding in found)
        mend = f"pip install 'egorobot[{extra}]'" if any(finding.missing for finding in found) else ""
        findings.append(Finding(purpose, fact, mend, needed=False))
    return findings


def examine_language_model() -> Finding:
    """Tell whether there is a language model for captions without an endpoint."""
    from egorobot.pretrain.hod.local_llm import find_gguf

    try:
        return Finding("language model", str(find_gguf(None)))
    except UserError:
        return Finding("language model", "none here", "make models, for rephraser=local", needed=False)


def examine_package(requirement: Requirement) -> Finding:
    """Tell whether an installed package meets `requirement`."""
    wanted = f"{requirement.name}{requirement.specifier}"
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, "not installed", f"pip install '{wanted}'")
    fits = requirement.specifier.contains(version, prereleases=True)
    return Finding(requirement.name, version, "" if fits else f"pip install '{wanted}'")


def examine_rendering(image_size: int, render: str) -> list[Finding]:
    """Report what draws, and how fast the kitchen is drawn."""
    # Not above: where a package is missing, that is what is to be told.
    from egorobot.envs.kitchen import KitchenEnv
    from egorobot.envs.rendering import gl_info

    env = KitchenEnv("microwave", image_size=image_size, render=render)
    try:
        info = gl_info()
        rate = measure_frame_rate(env)
    except UserError as error:
        fact, _, mend = str(error).partition(": ")
        return [Finding("OpenGL", fact, mend or "see the message")]
    software = any(name in info["renderer"].lower() for name in SOFTWARE_RENDERERS)
    mend = "software rendering works, but slowly: a GPU driver with EGL draws many times faster" if software else ""
    return [
        Finding("OpenGL", f"{info['backend']}, {info['renderer']}, OpenGL {info['version']}", mend, needed=False),
        Finding("rendering", f"{rate:.0f} frames a second in one process ({image_size} px, {render})"),
    ]


def measure_frame_rate(env: "KitchenEnv") -> float:
    """Return how many images one process draws of `env` a second."""
    try:
        env.reset(seed=0)
        frames, start = 0, time.perf_counter()
        while time.perf_counter() - start < MEASURED_SECONDS:
            env.render_image()
            frames += 1
        return frames / (time.perf_counter() - start)
    finally:
        env.close()


def examine_ffmpeg() -> Finding:
    """Report the ffmpeg that writes videos."""
    try:
        import imageio_ffmpeg

        path = imageio_ffmpeg.get_ffmpeg_exe()
        done = subprocess.run([path, "-version"], capture_output=True, text=True, check=True)
    except (ImportError, RuntimeError, OSError, subprocess.CalledProcessError) as error:
        return Finding("ffmpeg", f"not usable ({str(error).splitlines()[0]})", "pip install imageio-ffmpeg")
    return Finding("ffmpeg", f"{done.stdout.split()[2]} ({path})")


def examine_torch() -> Finding:
    """Report the device that encoders and policies run on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return Finding("torch", f"cannot be imported ({str(error).splitlines()[0]})", "pip install torch torchvision")
    if torch.cuda.is_available():
        return Finding("torch device", f"cuda, {torch.cuda.get_device_name()}")
    return Finding(
        "torch device", f"cpu ({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} threads"
    )


def examine_machine() -> list[Finding]:
    """Report cores, memory and the free disk space of this folder."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = shutil.disk_usage(".").free
    mend = "free some space, or give data_dir= and runs_dir= on another disk" if free < LITTLE_DISK else ""
    return [
        Finding("cores", str(cores)),
        Finding("memory", f"{psutil.virtual_memory().available / 1e9:.1f} GB available"),
        Finding("free disk", f"{free / 1e9:.1f} GB in {Path.cwd()}", mend, needed=False),
    ]


def format_report(findings: list[Finding]) -> str:
    """Return the report as text, what is missing last."""
    lines = []
    for finding in findings:
        mark = "!" if finding.missing else " "
        lines.append(f"{mark} {finding.subject:20}{finding.fact}")
        if finding.mend:
            lines.append(f"  {'':20}-> {finding.mend}")
    missing = [finding.subject for finding in findings if finding.missing]
    lines += ["", f"missing: {', '.join(missing)}" if missing else "everything that is needed works"]
    return "\n".join(lines)


@command("doctor")
def main(config: DictConfig) -> None:
    """Print the report; exit with status 1 when something needed is missing."""
    findings = examine(config.image_size, config.render)
    print(format_report(findings))
    if any(finding.missing for finding in findings):
        sys.exit(1)


if __name__ == "__main__":
    main()

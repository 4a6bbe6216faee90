"""Run robomimic's own scripts, with our environments and encoders known to them.

Usage:
    python -m egorobot.robomimic SCRIPT [the script's own options]

The nth episode that a script begins is reset with the seed 100000 + n (n = 0, 1, ...), as
in our evaluation. Checkpoints are loaded as data: none can run code. Training that fails ends
with status 1. playback_dataset shows the dataset's own cameras unless --render_image_names
names others.

Examples:
    python -m egorobot.robomimic run_trained_agent --agent runs/…/policy.pth --n_rollouts 5
    python -m egorobot.robomimic get_dataset_info --dataset data/kitchen/microwave/left_cap2_112px_seed0.hdf5
    python -m egorobot.robomimic playback_dataset --dataset data/….hdf5 --n 1 --video_path playback.mp4
    python -m egorobot.robomimic train --config bc.json --dataset data/….hdf5
"""

import argparse
import ast
import contextlib
import difflib
import importlib.util
import io
import os
import pickle
import pkgutil
import runpy
import sys
from pathlib import Path
from typing import Any, TextIO

from egorobot.cli import fail
from egorobot.errors import UserError

PACKAGE = "robomimic.scripts"
# What robomimic's train prints, and then ends with status 0.
TRAINING_FAILED = "run failed with error"


def script_folder() -> Path:
    """Return the folder of robomimic's scripts, without importing robomimic.

    Raises:
        UserError: robomimic is not installed.
    """
    spec = importlib.util.find_spec("robomimic")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("robomimic is missing: make setup, or pip install robomimic==0.3.0")
    return Path(spec.submodule_search_locations[0]) / "scripts"


def script_names() -> list[str]:
    """Return the names of robomimic's scripts, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules([str(script_folder())]) if not module.ispkg)


def help_text() -> str:
    """Return how to use this command, and the scripts with a sentence on each."""
    lines = [(__doc__ or "").strip(), "", "Scripts (SCRIPT --help tells their options):"]
    lines += [f"  {name:28} {_first_sentence(name)}" for name in script_names()]
    return "\n".join(lines)


def _first_sentence(script: str) -> str:
    # Read, not imported: importing a script imports torch, or worse, runs it.
    docstring = ast.get_docstring(ast.parse((script_folder() / f"{script}.py").read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.split("\n\n")[0].split()).split(". ")[0].rstrip(".")


def load_checkpoint(ckpt_path: str) -> dict[str, Any]:
    """Return the content of a robomimic checkpoint, without running any code that it might hold.

    Raises:
        UserError: it is missing, or is no checkpoint of tensors and plain containers.
    """
    import torch

    path = os.path.expanduser(ckpt_path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"no checkpoint at {path}: python -m egorobot.train_bc makes one") from error
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} is damaged, or holds more than tensors and plain containers") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} is no robomimic checkpoint")
    return content


def register() -> None:
    """Make robomimic know our environments, observation modality and cores, and load safely."""
    from robomimic.utils import file_utils

    import egorobot.policies.core  # noqa: F401  (registers itself)
    from egorobot.envs import robomimic_env
    from egorobot.envs.registration import register_envs

    register_envs()
    robomimic_env.register()
    file_utils.load_dict_from_checkpoint = load_checkpoint


def with_cameras(arguments: list[str]) -> list[str]:
    """Return the arguments of `playback_dataset` with the cameras of the dataset, where none are named.

    robomimic has default cameras for its own environments only. Files that are not ours are left to it.
    """
    from egorobot.envs.demonstrations import read_info
    from egorobot.envs.rendering import camera_names
    from egorobot.envs.scene import CAMERAS

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dataset")
    parser.add_argument("--render_image_names", nargs="+")
    parser.add_argument("--use-obs", action="store_true")
    known, _ = parser.parse_known_args(arguments)
    if known.dataset is None or known.render_image_names is not None:
        return arguments
    try:
        info = read_info(Path(known.dataset).expanduser())
    except UserError:
        return arguments
    cameras = camera_names(info.env_kwargs["camera"]) or tuple(CAMERAS)[:1]
    return [*arguments, "--render_image_names", *(info.image_keys if known.use_obs else cameras)]


class _Watch(io.TextIOBase):
    """Passes text on to `stream`, and notices `sign` in it."""

    def __init__(self, stream: TextIO, sign: str) -> None:
        self._stream = stream
        self._sign = sign
        self.seen = False

    def write(self, text: str) -> int:
        """Pass `text` on."""
        self.seen = self.seen or self._sign in text
        return self._stream.write(text)

    def flush(self) -> None:
        """Flush the stream behind."""
        self._stream.flush()


def run_script(script: str, arguments: list[str]) -> None:
    """Run one of robomimic's scripts as if `arguments` had been typed after it.

    Raises:
        UserError: there is no such script, or it cannot find or read a file.
        SystemExit: training failed.
    """
    names = script_names()
    if script not in names:
        close = difflib.get_close_matches(script, names, n=1)
        mend = f"did you mean '{close[0]}'?" if close else f"choose one of {', '.join(names)}"
        raise UserError(f"robomimic has no script '{script}': {mend}")
    register()
    if script == "playback_dataset":
        arguments = with_cameras(arguments)
    before, watch = (sys.argv, sys.stdout, sys.stderr), _Watch(sys.stdout, TRAINING_FAILED)
    sys.argv = [script, *arguments]
    try:
        with contextlib.redirect_stdout(watch):
            runpy.run_module(f"{PACKAGE}.{script}", run_name="__main__", alter_sys=True)
    except OSError as error:
        raise UserError(f"robomimic's {script}: {error}") from error
    finally:
        sys.argv, sys.stdout, sys.stderr = before  # train puts a log in their place
    if script == "train" and watch.seen:
        sys.exit(1)


def main() -> None:
    """Run `python -m egorobot.robomimic`."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(help_text())
        return
    try:
        run_script(arguments[0], arguments[1:])
    except UserError as error:
        fail(error)


if __name__ == "__main__":
    main()

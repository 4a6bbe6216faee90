"""The front of every command: Hydra for options, one line for bad input.

A command module looks like this::

    @command("collect")
    def main(config: DictConfig) -> None: ...

    if __name__ == "__main__":
        main()

`python -m egorobot.collect --help` then prints the module's docstring and the options
of `configs/collect.yaml` with their defaults and comments.
"""

import difflib
import functools
import importlib.resources
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import hydra
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from egorobot.errors import BusyError, UserError
from egorobot.files import explain_os_errors
from egorobot.option_types import check_types
from egorobot.sweeps import combinations

CONFIG_MODULE = "egorobot.configs"
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130

# Hydra's own files and log formats are of no use here: run folders are made by the
# commands, which also print what a person wants to read.
QUIET = [
    "hydra.run.dir=.",
    "hydra.output_subdir=null",
    "hydra.sweep.dir=outputs/multirun",
    "hydra.sweep.subdir=.",
    "hydra/job_logging=none",
    "hydra/hydra_logging=none",
]

Main = Callable[[DictConfig], None]


def command(config_name: str) -> Callable[[Main], Callable[[], None]]:
    """Make a function of a config the entry point of `python -m egorobot.<command>`.

    Args:
        config_name: the file of options in `egorobot/configs`, without `.yaml`.
    """

    def decorate(function: Main) -> Callable[[], None]:
        @functools.wraps(function)
        def main() -> None:
            if {"--help", "-h"} & set(sys.argv[1:]):
                print(help_text(sys.modules[function.__module__].__doc__ or "", config_name))
                return
            overrides = [a for a in sys.argv[1:] if not a.startswith("-")]
            try:
                if {"--multirun", "-m"} & set(sys.argv[1:]):
                    check_sweep(config_name, overrides)
                else:
                    check_overrides(config_name, overrides)
            except UserError as error:
                fail(error)
            sys.argv[1:] = sys.argv[1:] + QUIET
            hydra.main(version_base="1.3", config_path=f"pkg://{CONFIG_MODULE}", config_name=config_name)(run)()

        def run(config: DictConfig) -> None:
            try:
                if missing := OmegaConf.missing_keys(config):
                    raise UserError(f"option '{min(missing)}' is needed: --help tells what it is")
                check_types(config, _defaults(config_name, HydraConfig.get().runtime.choices))
                with explain_os_errors():
                    function(config)
            except UserError as error:
                if HydraConfig.get().mode != RunMode.MULTIRUN:
                    fail(error)
                _pass_over(error)
            except KeyboardInterrupt:
                fail(UserError("interrupted: the same command goes on from what is finished"), EXIT_INTERRUPTED)

        return main

    return decorate


class SweepError(CompactHydraException):
    """What Hydra prints and exits for at the end of a sweep with failed runs, without a traceback."""


def _pass_over(error: UserError) -> None:
    """Tell of a run of a sweep that did not come about, so that the others still do.

    Raises:
        SweepError: unless the run is in the hands of another process. Hydra raises it again
            once the other runs are done.
    """
    if isinstance(error, BusyError):
        print(f"left to another process: {_one_line(error)}")
        return
    print(f"error: {_one_line(error)}", file=sys.stderr)
    raise SweepError("error: not all runs of the sweep were done: the same command goes on with the rest")


def fail(error: UserError, status: int = EXIT_BAD_INPUT) -> NoReturn:
    """Print `error` as one line on standard error and exit with `status`."""
    print(f"error: {_one_line(error)}", file=sys.stderr)
    sys.exit(status)


def _one_line(error: UserError) -> str:
    return " ".join(str(error).split())


def load_config(config_name: str, overrides: list[str]) -> DictConfig:
    """Return the options of a command, as if `overrides` had been typed after it.

    Raises:
        UserError: an override names an unknown option or choice, or cannot be parsed.
    """
    return _load(config_name, overrides)[0]


def _load(config_name: str, overrides: list[str]) -> tuple[DictConfig, Mapping[str, str]]:
    """Return the options of a command, as `load_config`, and what was chosen of each group."""
    try:
        with _no_hydra(), initialize_config_module(CONFIG_MODULE, version_base="1.3"):
            config = compose(config_name, overrides, return_hydra_config=True)
            chosen = config.hydra.runtime.choices
            with open_dict(config):
                del config["hydra"]
            OmegaConf.resolve(config)
    except OverrideParseException as error:
        raise _unreadable(error) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(_explain(error, config_name)) from error
    except ValueError as error:  # a choice that is no name
        raise UserError(f"cannot read the options ({error}): --help lists the choices") from error
    return config, chosen


def _defaults(config_name: str, chosen: Mapping[str, str]) -> DictConfig:
    """Return the options of a command as they are when nothing but choices of groups is given.

    Groups that were taken out, and choices of somebody else's, count as not given.
    """
    names = [(group, dict(chosen).get(group)) for group, _ in _groups(config_name)]
    return _default_config(config_name, tuple(f"{group}={name}" for group, name in names if name in choices(group)))


@functools.cache
def _default_config(config_name: str, chosen: tuple[str, ...]) -> DictConfig:
    return load_config(config_name, list(chosen))


@contextmanager
def _no_hydra() -> Iterator[None]:
    """Put aside the Hydra of the command that is running: there is only one at a time."""
    running = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        GlobalHydra.instance().clear()
        if running is not None:
            GlobalHydra.instance().initialize(running)


def check_overrides(config_name: str, overrides: list[str]) -> None:
    """Check that `overrides` fit a command's options, types included.

    Raises:
        UserError: an override names an unknown option or choice, cannot be parsed, or
            gives, say, a word where the default is a number.
    """
    config, chosen = _load(config_name, overrides)
    check_types(config, _defaults(config_name, chosen))


def check_sweep(config_name: str, overrides: list[str]) -> None:
    """Check that `overrides`, some of them of several values, fit a command's options.

    Raises:
        UserError: as from `check_overrides`.
    """
    try:
        for combination in combinations(overrides):
            check_overrides(config_name, combination)
    except OverrideParseException as error:
        raise _unreadable(error) from error


def _unreadable(error: OverrideParseException) -> UserError:
    return UserError(f"cannot read option '{error.override}': write name=value, and quote what has spaces")


def _explain(error: Exception, config_name: str) -> str:
    """Say in one line what Hydra says in several."""
    text = str(error)
    if launcher := re.search(r"Could not find 'hydra/launcher/([^']+)'", text):
        extra = "ray-launcher" if launcher.group(1) == "ray" else "launchers"
        return f"hydra's launcher '{launcher.group(1)}' is not installed: install egorobot with its extra '{extra}'"
    if missing := re.search(r"Could not find '([^/']+)/([^']+)'", text):
        group, wanted = missing.groups()
        return f"unknown {group} '{wanted}': choose one of {', '.join(choices(group))}"
    if unknown := re.search(r"Could not override '([^']+)'", text):
        key = unknown.group(1)
        keys = [str(k) for k in load_config(config_name, [])]
        close = difflib.get_close_matches(key, keys, n=1)
        return f"unknown option '{key}'" + (f": did you mean '{close[0]}'?" if close else ": --help lists them")
    return text.splitlines()[0]


def choices(group: str) -> list[str]:
    """Return the names of the choices of a config group, sorted."""
    folder = importlib.resources.files(CONFIG_MODULE) / group
    if not folder.is_dir():
        return []
    return sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml"))


def help_text(docstring: str, config_name: str) -> str:
    """Return what `--help` prints: the docstring, then choices, options and defaults, those of default choices too."""
    head, _, body = _config_text(f"{config_name}.yaml").partition("\ndefaults:\n")
    options = re.sub(r"^  - .*\n", "", body, flags=re.MULTILINE).strip("\n") if body else head
    lines = [docstring.strip()]
    if groups := _groups(config_name):
        lines += ["", "Choices (name=choice, default first):"]
    for group, default in groups:
        others = [c for c in choices(group) if c != default]
        lines.append(f"  {group}: {', '.join([default, *others])}")
    lines += ["", "Options (name=value) and their defaults:", *_indented(options)]
    for group, default in groups:
        text = _config_text(f"{group}/{default}.yaml").strip() if default in choices(group) else ""
        if text not in ("", f"name: {default}"):
            lines += ["", f"Options {group}.<name>=<value>, with {group}={default}:", *_indented(text)]
    return "\n".join(lines)


def _groups(config_name: str) -> list[tuple[str, str]]:
    """Return the groups of options that a command has, each with the choice that is its default."""
    body = _config_text(f"{config_name}.yaml").partition("\ndefaults:\n")[2]
    return re.findall(r"^  - (?:optional )?(\w+): (\S+)", body, flags=re.MULTILINE)


def _config_text(path: str) -> str:
    return (importlib.resources.files(CONFIG_MODULE) / path).read_text(encoding="utf-8")


def _indented(text: str) -> list[str]:
    return [f"  {line}" if line else "" for line in text.splitlines()]

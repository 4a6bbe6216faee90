"""Imports D4RL's kitchen, as pip installs it, on today's MuJoCo, NumPy and Python.

D4RL 1.1 is of 2022. What stands in its way is put right from outside: around the import,
and by setting names of D4RL's own modules. Nothing of it is copied, its files stay as they
are, and nothing that belongs to others is left changed.
"""

import collections.abc
import contextlib
import importlib
import importlib.util
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from egorobot.envs.d4rl_package_model import corrected_mjcf
from egorobot.errors import UserError

MEND = "pip install 'egorobot[d4rl]', or use gymnasium-robotics' kitchen, egorobot/FrankaKitchen-*-v1"
# What `import d4rl` must not find, though the package depends on it: mujoco_py raises what
# D4RL does not catch where MuJoCo 2.1 is missing, and PyBullet prints and changes sys.path.
# Of neither is there anything in the kitchen; D4RL goes on without what needs them.
_HIDDEN = ("mujoco_py", "pybullet", "pybullet_envs")
_ENVS = "d4rl.kitchen.adept_envs"


@cache
def import_kitchen() -> ModuleType:
    """Return D4RL's module `d4rl.kitchen`, whose environments then can be made.

    Whoever wants D4RL's other environments too, in the same process, imports `d4rl` before.

    Raises:
        UserError: D4RL is missing, or something that it needs.
    """
    if importlib.util.find_spec("d4rl") is None:
        raise UserError(f"the package d4rl is missing: {MEND}")
    try:
        with _surroundings_kept(), quiet():
            kitchen = importlib.import_module("d4rl.kitchen")
            _mend(importlib.import_module("dm_control.mujoco"))
    except ImportError as error:
        raise UserError(f"the package d4rl cannot be imported ({error}): {MEND}") from error
    return kitchen


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what D4RL prints and warns of, on import and for each robot, from the terminal."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _surroundings_kept() -> Iterator[None]:
    """Hide modules and turn dm_control's rendering off; afterwards put everything back.

    D4RL's kitchen draws nothing. dm_control would open a display as soon as it is imported,
    and close it at exit under the contexts of our own renderers: whoever wants to draw with
    dm_control, in the same process, imports it before.
    """
    environment, handlers = dict(os.environ), list(logging.root.handlers)
    hidden = {name: sys.modules[name] for name in _HIDDEN if name in sys.modules}
    sys.modules.update(dict.fromkeys(_HIDDEN))  # type: ignore[arg-type]  # None: an ImportError for who asks
    os.environ["MUJOCO_GL"] = "disable"
    try:
        yield
    finally:
        for name in _HIDDEN:
            del sys.modules[name]
        sys.modules.update(hidden)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        logging.root.handlers[:] = handlers  # absl adds one with its first message


def _mend(dm_mujoco: ModuleType) -> None:
    """Set the names in D4RL's own modules that do not work any more."""
    # `collections.Mapping` was removed from Python 3.10.
    importlib.import_module(f"{_ENVS}.mujoco_env").collections = collections.abc  # type: ignore[attr-defined]

    # NumPy takes an array of one number for a number no more.
    robot = importlib.import_module(f"{_ENVS}.franka.robot.franka_robot")
    robot.read_config_from_node = _number_where_one(robot.read_config_from_node)  # type: ignore[attr-defined]

    # Where D4RL keeps dm_control's module, once it has it: one that reads D4RL's model.
    class Physics(dm_mujoco.Physics):  # type: ignore[name-defined]
        @classmethod
        def from_xml_path(cls, file_path: str) -> Any:
            return cls.from_xml_string(corrected_mjcf(Path(file_path)))

    engine = SimpleNamespace(**vars(dm_mujoco) | {"Physics": Physics})
    importlib.import_module(f"{_ENVS}.simulation.module")._DM_MUJOCO_MODULE = engine  # type: ignore[attr-defined]


def _number_where_one(read: Any) -> Any:
    def read_config_from_node(*args: Any, **kwargs: Any) -> Any:
        values = read(*args, **kwargs)
        return values[0] if len(values) == 1 else values

    return read_config_from_node

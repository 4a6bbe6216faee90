"""Packages that only captioning needs, and that egorobot installs only when asked to."""

import importlib
from typing import Any

from egorobot.errors import UserError

INSTALL = "pip install 'egorobot[hod]'"


def need(module: str) -> Any:
    """Return a module of an optional package.

    Raises:
        UserError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"captioning needs {module.split('.')[0]} ({error}): {INSTALL}") from error

"""Packages that only captioning needs, and that egorobot installs only when asked to."""

import importlib
from typing import Any

from egorobot.errors import UserError

INSTALL = "pip install 'egorobot[hod]'"
OTHER_EXTRAS = {"transformers": "hf", "openai": "llm", "xllamacpp": "llm", "ray": "ray"}  # of packages not among those


def need(module: str) -> Any:
    """Return a module of an optional package.

    Raises:
        UserError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".")[0]
        install = f"pip install 'egorobot[{OTHER_EXTRAS.get(package, 'hod')}]'"
        raise UserError(f"captioning needs {package} ({error}): {install}") from error

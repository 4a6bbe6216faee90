"""The encoder that ships with the package."""

import importlib.resources
from pathlib import Path

SHIPPED = "egovideo_nano"


def shipped_folder() -> Path:
    """Return the folder of its weights."""
    return Path(str(importlib.resources.files("egorobot.pretrain"))) / "weights" / SHIPPED

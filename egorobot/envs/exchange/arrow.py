"""pyarrow and pandas, which LeRobot's format needs and nothing else does."""

import importlib
from typing import Any

from egorobot.errors import UserError


def _need(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f"LeRobot's format needs {module} ({error}): pip install 'egorobot[lerobot]'") from error


pa: Any = _need("pyarrow")
parquet: Any = _need("pyarrow.parquet")
pandas: Any = _need("pandas")

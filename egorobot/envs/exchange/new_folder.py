"""Folders that appear under their name when they are complete, and not before."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from egorobot.errors import UserError
from egorobot.files import temporary_name


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Yield a folder under a temporary name beside `path`; rename it to `path` on success.

    On an exception it is removed, with what is in it and the folders made to hold it.

    Raises:
        UserError: there is something at `path` already.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UserError(f"{path} is there already: choose another out=, or move it away")
    made = [folder for folder in path.parents if not folder.exists()]  # the innermost first
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):  # another process has put something there
            for folder in made:
                folder.rmdir()
        raise

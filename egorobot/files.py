"""Writing files so that a killed process never leaves half of one."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from egorobot.errors import BusyError, UserError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success.

    The temporary name keeps the suffix of `path`, because writers such as
    imageio choose their format by it. On an exception the temporary file is
    removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` atomically, as UTF-8."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` to `path` atomically, as indented JSON."""
    write_text(path, json.dumps(value, indent=1) + "\n")


def digest(*parts: bytes | str) -> str:
    """Return the first 16 hex digits of the SHA-256 of `parts`, each length-prefixed."""
    hasher = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hasher.update(len(raw).to_bytes(8, "little"))
        hasher.update(raw)
    return hasher.hexdigest()[:16]


def folder_digest(folder: Path) -> str:
    """Return a hash of the names and the content of all files in a folder."""
    parts: list[str] = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            parts += [str(path.relative_to(folder)), hashlib.file_digest(file, "sha256").hexdigest()]
    return digest(*parts)


def claim_folder(out: Path, record: str, options: dict[str, Any], content: str) -> None:
    """Make the folder `out` for a piece of work, or check that it is of an earlier run with the same options.

    Args:
        out: the folder.
        record: name of the file in it that keeps `options`.
        options: all that decides what is written there.
        content: what that is, in the plural, for messages.

    Raises:
        UserError: it holds something else.
    """
    options = json.loads(json.dumps(options))
    file = out / record
    if file.exists():
        if json.loads(file.read_text(encoding="utf-8")) != options:
            raise UserError(f"{out} has {content} written with other options (see {file}): choose another out=")
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out} is not empty and holds no {record}: choose another out=")
    write_json(file, options)


@contextmanager
def sole_user(place: Path, content: str, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a piece of work, until this one leaves it or dies.

    Args:
        place: a file or folder that stands for the work; it must exist, and is not changed.
        content: what is made, for messages.
        wait: until another process is done with it, instead of raising.

    Raises:
        BusyError: another process is at it.
    """
    folder = place if place.is_dir() else place.parent
    handle = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                raise BusyError(f"another process writes {content} in {folder}: wait for it, or end it") from error
            print(f"waiting for another process that writes {content} in {folder}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

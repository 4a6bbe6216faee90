"""Writing files so that a killed process never leaves half of one."""

import errno
import fcntl
import glob
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from egorobot.errors import BusyError, UserError

LOCK_FILE = ".lock"
# Errors that are a matter of where files are, and what helps.
NO_PLACE = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), "choose another place, or have its owner give access"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR), "choose another place, or move it away"),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "make room, and the same command goes on from what is finished"),
}


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` on success.

    The temporary name keeps the suffix of `path`, because writers such as
    imageio choose their format by it. On an exception the temporary file is
    removed and `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Return a hidden name beside `path`, with its suffix, that no other process uses, on other machines neither."""
    return path.with_name(f".{path.stem}.{uuid.uuid4().hex[:12]}{path.suffix}")


def temporary_pattern(path: Path) -> str:
    """Return what `Path.glob` finds temporary files of `path` by, in its folder, such as killed processes leave."""
    return f".{glob.escape(path.stem)}.{'[0-9a-f]' * 12}{glob.escape(path.suffix)}"


def check_out(path: str | Path, folder: bool = False, option: str = "out") -> None:
    """Check that `path`, which an `option` names, may become a file, or a folder, before work is done for it.

    Raises:
        UserError: there is something of the other kind, or a file where its folder would be.
    """
    if not folder and Path(path).is_dir():
        raise UserError(f"{path} is a folder: {option}= wants the name of a file")
    for place in ([Path(path)] if folder else []) + [*Path(path).parents]:
        if place.exists() and not place.is_dir():
            raise UserError(f"{place} is not a folder: choose another {option}=")


@contextmanager
def explain_os_errors() -> Iterator[None]:
    """Turn what an operating system says of places that cannot be used into a `UserError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)  # writing does not say which file
        if error.errno not in NO_PLACE or (error.filename is None and not full):
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        raise UserError(f"{where}{error.strerror}: {NO_PLACE[error.errno]}") from error


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
        parts += [str(path.relative_to(folder)), file_digest(path)]
    return digest(*parts)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
    if out.exists() and (not out.is_dir() or holds_something(out)):
        raise UserError(f"{out} is not empty and holds no {record}: choose another out=")
    write_json(file, options)


@contextmanager
def sole_user(folder: Path, content: str, wait: bool = False) -> Iterator[None]:
    """Keep other processes out of a piece of work, until this one leaves it or dies.

    They may be on other machines that share the folder: NFS locks files that are open for
    writing, not folders.

    Args:
        folder: where the work is done; it must exist. A hidden file in it stands for the work meanwhile.
        content: what is made, for messages.
        wait: until another process is done with it, instead of raising.

    Raises:
        BusyError: another process is at it.
        UserError: the folder cannot be written to.
    """
    path = folder / LOCK_FILE
    handle = _lock(path, wait, f"another process writes {content} in {folder}")
    try:
        yield
    finally:
        with suppress(PermissionError):  # another person's, in a folder where each removes their own only
            path.unlink(missing_ok=True)
        os.close(handle)


def _lock(path: Path, wait: bool, busy: str) -> int:
    """Return a handle of the file at `path`, made if need be, that no other process holds."""
    while True:
        try:
            handle = _open_lock(path)
        except OSError as error:
            raise UserError(f"{path.parent} cannot be written to ({error.strerror}): choose another place") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if not wait:
                os.close(handle)
                raise BusyError(f"{busy}: wait for it, or end it") from error
            print(f"waiting: {busy}", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:  # NFS takes no lock of a file that is open for reading
            os.close(handle)
            raise UserError(f"{path} cannot be locked ({error.strerror}): choose another place") from error
        # Whoever held it has removed the file: then another one stands for the work by now.
        with suppress(FileNotFoundError):
            if os.path.samestat(path.stat(), os.fstat(handle)):
                return handle
        os.close(handle)


def _open_lock(path: Path) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError as error:
        try:
            return os.open(path, os.O_RDONLY)  # another person's: good for a lock, but under NFS
        except FileNotFoundError:
            raise error from None
    with suppress(PermissionError):
        os.fchmod(handle, 0o666)  # whatever the umask: others who may write here may lock
    return handle


def holds_something(folder: Path) -> bool:
    """Whether there is anything in a folder, locks and half-written files of killed processes apart."""
    return any(not path.name.startswith(".") for path in folder.iterdir())

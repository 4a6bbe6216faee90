"""Files and folders: written whole, and by one process at a time."""

import errno
import os
import threading
import time
from pathlib import Path

import pytest

from egorobot.errors import BusyError, UserError
from egorobot.files import check_out, explain_os_errors, sole_user, temporary_name


def test_a_second_one_is_told_where_the_first_is_at_work(tmp_path: Path) -> None:
    with (
        sole_user(tmp_path, "pictures"),
        pytest.raises(BusyError, match=f"another process writes pictures in {tmp_path}: "),
        sole_user(tmp_path, "pictures"),
    ):
        pass
    with sole_user(tmp_path, "pictures"):
        pass  # free again
    assert not any(tmp_path.iterdir())


def test_a_second_one_can_wait_for_the_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    order = []

    def second() -> None:
        with sole_user(tmp_path, "pictures", wait=True):
            order.append("second")

    with sole_user(tmp_path, "pictures"):
        thread = threading.Thread(target=second)
        thread.start()
        told = ""
        while not told.startswith("waiting: another process writes pictures in "):
            assert thread.is_alive()
            told += capsys.readouterr().out
            time.sleep(0.01)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]


def test_one_at_a_time_whoever_comes_and_goes(tmp_path: Path) -> None:
    at_work = most = 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal at_work, most
        for _ in range(20):
            with sole_user(tmp_path, "pictures", wait=True):
                with guard:
                    at_work += 1
                    most = max(most, at_work)
                time.sleep(0.001)
                with guard:
                    at_work -= 1

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1
    assert not any(tmp_path.iterdir())


def test_temporary_names_are_no_others(tmp_path: Path) -> None:
    names = {temporary_name(tmp_path / "policy.pth") for _ in range(100)}
    assert len(names) == 100
    assert all(name.name.startswith(".policy.") and name.suffix == ".pth" for name in names)


def test_what_is_written_has_to_be_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a folder: out= wants the name of a file"):
        check_out(tmp_path)
    with pytest.raises(UserError, match="is not a folder: choose another out="):
        check_out(tmp_path / "file", folder=True)
    for folder in (False, True):
        with pytest.raises(UserError, match=f"{tmp_path}/file is not a folder: choose another leaderboard="):
            check_out(tmp_path / "file" / "new" / "more", folder, option="leaderboard")
    check_out(tmp_path / "file")
    check_out(tmp_path / "new", folder=True)


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()  # to root, folders without the right to write are no others
    with pytest.raises(UserError, match=r"cannot be written to .*: choose another place"), sole_user(tmp_path, "x"):
        pass


def test_others_may_lock_where_they_may_write(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with sole_user(tmp_path, "x"):
            assert (tmp_path / ".lock").stat().st_mode & 0o777 == 0o666
    finally:
        os.umask(before)


def test_a_file_of_another_person_is_a_lock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_file = os.open

    def open_as_another(path: Path, flags: int, *mode: int) -> int:
        if flags & os.O_RDWR:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, flags, *mode)

    with sole_user(tmp_path, "x"):
        monkeypatch.setattr(os, "open", open_as_another)
        with pytest.raises(BusyError), sole_user(tmp_path, "x"):
            pass
    with pytest.raises(UserError, match=r"cannot be written to \(Permission denied\)"), sole_user(tmp_path, "x"):
        pass  # there is none, and none can be made


def test_places_that_cannot_be_used_are_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=f"{tmp_path}/file: File exists: choose another place"), explain_os_errors():
        (tmp_path / "file").mkdir()
    with pytest.raises(UserError, match=r"^No space left on device: make room"), explain_os_errors():
        Path("/dev/full").write_text("x")
    with pytest.raises(FileNotFoundError), explain_os_errors():
        (tmp_path / "none").read_text()  # a fault of ours

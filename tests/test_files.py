"""Work that one process at a time does: others are told so, or wait for it."""

import threading
import time
from pathlib import Path

import pytest

from egorobot.errors import BusyError
from egorobot.files import sole_user


@pytest.fixture(params=["file", "folder"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file or a folder that stands for some work."""
    place = tmp_path / request.param
    if request.param == "file":
        place.touch()
    else:
        place.mkdir()
    return place


def test_a_second_one_is_told_where_the_first_is_at_work(place: Path) -> None:
    with sole_user(place, "pictures"):
        folder = place if place.is_dir() else place.parent
        with (
            pytest.raises(BusyError, match=f"another process writes pictures in {folder}: "),
            sole_user(place, "pictures"),
        ):
            pass
    with sole_user(place, "pictures"):
        pass  # free again
    assert not place.is_dir() or not any(place.iterdir())


def test_a_second_one_can_wait_for_the_first(place: Path, capsys: pytest.CaptureFixture) -> None:
    order = []

    def second() -> None:
        with sole_user(place, "pictures", wait=True):
            order.append("second")

    with sole_user(place, "pictures"):
        thread = threading.Thread(target=second)
        thread.start()
        told = ""
        while not told.startswith("waiting for another process that writes pictures in "):
            assert thread.is_alive()
            told += capsys.readouterr().out
            time.sleep(0.01)
        order.append("first")
    thread.join(60)
    assert order == ["first", "second"]

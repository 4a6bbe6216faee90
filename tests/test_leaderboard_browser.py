"""The leaderboard's page in a browser: it sorts, plays and says nothing on the console."""

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
Send = Callable[..., Any]


@contextmanager
def browser(profile: Path) -> Iterator[Send]:
    """Start a headless Chromium, and yield what sends it a WebDriver command and returns the value."""
    assert CHROMIUM and DRIVER
    driver = subprocess.Popen([DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert driver.stdout
        port = next(match[1] for line in driver.stdout if (match := re.search(r"successfully on port (\d+)", line)))

        def call(method: str, path: str, data: dict[str, Any] | None = None) -> Any:
            body = None if data is None else json.dumps(data).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}/session{path}", body, method=method)
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                return json.load(answer)["value"]

        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--user-data-dir={profile}",
        ]
        options = {"binary": CHROMIUM, "args": flags}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = call("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield lambda path, **data: call("POST", f"/{session}/{path}", data)
        finally:
            call("DELETE", f"/{session}")
    finally:
        driver.terminate()
        driver.wait()


def wait_until(happened: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs chromium and chromedriver")
def test_in_a_browser(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
    """A click and a key sort the table, opening a row plays its video, a box unfolds comparisons; no errors."""
    runs = tmp_path / "runs"
    clip(runs / "run0" / "videos" / "seed100000_success.mp4")
    results = [make_result(20, "blank"), make_result(41), make_result(30, "random_vit", task="knob")]
    write_board(tmp_path / "out", *results, runs=runs)
    with browser(tmp_path / "profile") as send:

        def run(script: str) -> Any:
            return send("execute/sync", script=script, args=[])

        def click(css: str) -> None:
            (element,) = send("element", using="css selector", value=css).values()
            send(f"element/{element}/click")

        def order() -> tuple[list[str], list[str | None]]:
            rows = run("return [...document.querySelectorAll('th[scope=row]')].map((th) => th.dataset.value)")
            sort = run("return [...document.querySelectorAll('thead th')].slice(0, 6).map((th) => th.ariaSort)")
            return rows, sort

        send("url", url=(tmp_path / "out" / "leaderboard.html").as_uri())
        assert order() == (["egovideo_nano", "random_vit", "blank"], [None] * 6)
        click(".board th:nth-child(1) button")
        assert order() == (["blank", "egovideo_nano", "random_vit"], ["ascending", *[None] * 5])
        click(".board th:nth-child(4) button")
        assert order()[0][0] == "random_vit", "what has no value comes last"
        click(".board th:nth-child(4) button")
        assert order() == (["random_vit", "blank", "egovideo_nano"], [None, None, None, "ascending", None, None])
        run("document.querySelector('.board th:nth-child(5) button').focus()")
        press = [{"type": kind, "value": "\ue007"} for kind in ("keyDown", "keyUp")]
        send("actions", actions=[{"type": "key", "id": "keyboard", "actions": press}])
        assert order() == (["egovideo_nano", "blank", "random_vit"], [*[None] * 4, "descending", None])

        video = "const video = document.querySelector('video'); return "
        assert run(video + "[video.readyState, video.paused]") == [0, True], "nothing is read before the row is opened"
        if run(video + "video.canPlayType('video/mp4; codecs=\"avc1.64000a\"')"):
            click("tbody:has(video) summary")
            wait_until(lambda: run(video + "video.currentTime") > 0.2)
            assert run(video + "[video.paused, video.videoWidth, video.error]") == [False, 64, None]
            click("tbody:has(video) summary")
            wait_until(lambda: run(video + "video.paused"))
        shown = "return [...document.querySelectorAll('.pairs tbody tr')].filter((tr) => tr.offsetHeight > 0).length"
        folded = run(shown)
        click(".each-task")
        assert run(shown) > folded > 0
        assert run("return document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        assert send("se/log", type="browser") == []

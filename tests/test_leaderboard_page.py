"""The leaderboard's page: what it shows, that data cannot break it, and that it works in a browser."""

import json
import re
import shlex
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from egorobot.cli import load_config
from egorobot.leaderboard import RowKey, make_rows
from egorobot.leaderboard_commands import hydra_value, repeat_commands
from egorobot.leaderboard_details import seed_words
from egorobot.leaderboard_page import write_page
from egorobot.leaderboard_plots import draw_chart, draw_interval, make_charts
from egorobot.statistics import wilson_interval
from egorobot.videos import write_video

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
VOID = {"meta", "link", "br", "wbr", "img", "input"}


def make_result(
    successes: int = 41, encoder: str = "egovideo_nano", episodes: int = 50, **changes: Any
) -> dict[str, Any]:
    def evaluation(good: int) -> dict[str, Any]:
        return {
            "checkpoint": "last",
            "episodes": episodes,
            "successes": good,
            "success_rate": good / episodes,
            "ci95": list(wilson_interval(good, episodes)),
            "ci_method": "wilson",
            "episode_seeds": [100_000 + k for k in range(episodes)],
            "outcomes": [k < good for k in range(episodes)],
        }

    best = changes.pop("best", None)
    return {
        "schema": 1,
        "task": "microwave",
        "protocol": "kitchen",
        "camera": "left_cap2",
        "encoder": {"name": encoder, "fingerprint": "aaaa0000bbbb1111", "dim": 192},
        "policy": "bc_mlp",
        "num_demos": 100,
        "seed": 0,
        "eval": evaluation(successes),
        "eval_max": None if best is None else evaluation(best),
        "wall_time_s": {"demos": 1, "embed": 2, "train": 3, "eval": 4},
        "versions": {"egorobot": "0.1.0", "mujoco": "3.11.0", "robomimic": "0.3.0", "torch": "2.14.1"},
        "render_fingerprint": "cccc",
        "git_commit": None,
    } | changes


def key_of(result: dict[str, Any]) -> RowKey:
    (row,) = make_rows([result])
    return row.key


def write(out: Path, *results: dict[str, Any], runs: Path | None = None) -> str:
    """Write the page of `results`, whose folders are `run0`, `run1`, ... in `runs`, and return it."""
    found = [(key_of(result), (runs or out) / f"run{i}", result) for i, result in enumerate(results)]
    return write_page(out, make_rows(results), found).read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects the elements of a page, and fails where they are not nested rightly."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [a for name, a in self.found if name == tag and all(a.get(k) == v for k, v in wanted.items())]


def svgs(text: str, kind: str) -> list[ElementTree.Element]:
    found = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", text, flags=re.DOTALL)]
    return [svg for svg in found if kind in (svg.get("class") or "").split()]


def of_class(svg: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in svg.iter() if name in (element.get("class") or "").split()]


def clip(path: Path, colour: int = 200) -> Path:
    """Write a video of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = (np.full((64, 64, 3), (colour, 40, 2 * k), np.uint8) for k in range(20))
    write_video(path, frames, fps=20, hold=0.1)
    return path


def test_a_table_for_each_protocol_and_a_body_for_each_row(tmp_path: Path) -> None:
    text = write(tmp_path, make_result(), make_result(30, "blank", task="knob"), make_result(protocol="r3m"))
    page = Elements(text)
    assert re.findall(r"Protocol <code>(\w+)</code>", text) == ["kitchen", "r3m"]
    assert len(page.all("table", **{"class": "board"})) == 2
    headers = re.findall(r'<th scope="col" data-kind="(\w+)"><button type="button">([^<]+)', text)
    assert [name for _, name in headers[:6]] == ["encoder", "policy", "demonstrations", "knob", "microwave", "mean"]
    assert [kind for kind, _ in headers[:6]] == ["text", "text", *["number"] * 4]
    assert len(page.all("tr", **{"class": "more"})) == 3
    assert len(page.all("td", **{"data-label": "knob", "data-value": ""})) == 1
    assert text.count("<small>1 of 2 tasks</small>") == 2
    assert "3 rows · 3 runs · 150 episodes" in text


def test_nothing_comes_from_elsewhere(tmp_path: Path) -> None:
    text = write(tmp_path, make_result())
    assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    assert not {"link", "img", "iframe"} & {tag for tag, _ in Elements(text).found}
    assert "url(" not in text and "@import" not in text


def test_most_demonstrations_come_first_and_then_the_best(tmp_path: Path) -> None:
    results = [make_result(9, num_demos=10), make_result(20, "blank"), make_result(30, "random_vit")]
    rows = re.findall(r'<th scope="row" data-value="(\w+)"', write(tmp_path, *results))
    assert rows == ["random_vit", "blank", "egovideo_nano"]


def test_intervals_are_drawn_where_they_are() -> None:
    """Whisker at the ends of the interval and dot at the mean, in percent of the axis."""
    (row,) = make_rows([make_result(10, episodes=10), make_result(25, seed=1)])
    cell = row.cells["microwave"]
    svg = ElementTree.fromstring(draw_interval(cell))
    (whisker,), (dot,) = of_class(svg, "whisker"), of_class(svg, "dot")
    low, high = wilson_interval(35, 60)
    assert float(whisker.get("x1", "")) == pytest.approx(100 * low, abs=0.01)
    assert float(whisker.get("x2", "")) == pytest.approx(100 * high, abs=0.01)
    assert float(dot.get("cx", "")) == pytest.approx(75)
    assert svg.get("aria-label") == "75 %, 95 % interval 46 to 70 %"


def test_every_cell_has_its_interval(tmp_path: Path) -> None:
    text = write(tmp_path, make_result(), make_result(0, task="knob"), make_result(50, "state"))
    assert len(svgs(text, "interval")) == 3
    assert "<b>82 %</b> <span>[69, 90]</span>" in text
    assert "<small>41/50, 1 seed</small>" in text


def test_maximum_stands_in_a_column_of_that_name(tmp_path: Path) -> None:
    text = write(tmp_path / "with", make_result(25, best=45), make_result(25, "blank"))
    page = Elements(text)
    assert page.all("td", **{"data-label": "maximum over checkpoints", "data-value": "0.900000"})
    assert page.all("td", **{"data-label": "maximum over checkpoints", "data-value": ""})
    assert page.all("td", **{"data-label": "mean", "data-value": "0.500000"})
    assert "<td>90 % (last)</td>" in text
    without = write(tmp_path / "without", make_result(25))
    assert 'data-label="maximum' not in without and "<th>maximum" not in without


def test_curves_of_rows_that_differ_in_demonstrations_only(tmp_path: Path) -> None:
    results = [
        make_result(10 + n // 5, encoder=e, num_demos=n) for e in ("egovideo_nano", "blank") for n in (10, 25, 100)
    ]
    results += [make_result(30, "state"), make_result(20, num_demos=25, policy="bc_gmm"), make_result(9, task="knob")]
    (chart,) = make_charts(make_rows(results))
    assert (chart.task, chart.policy, chart.camera) == ("microwave", "bc_mlp", "left_cap2")
    assert [(c.label, [n for n, _ in c.points]) for c in chart.curves] == [
        ("blank", [10, 25, 100]),
        ("egovideo_nano", [10, 25, 100]),
    ]
    (svg,) = svgs(write(tmp_path, *results), "chart")
    assert len(of_class(svg, "line")) == 2 and len(of_class(svg, "whisker")) == len(of_class(svg, "marker")) == 6
    assert [e.text for e in of_class(svg, "tick")] == ["0 %", "25 %", "50 %", "75 %", "100 %", "10", "25", "100",
                                                       "demonstrations (logarithmic)"]  # fmt: skip


def test_curves_rise_with_the_rate_and_stay_in_their_intervals() -> None:
    rows = make_rows([make_result(good, num_demos=n) for good, n in ((0, 1), (25, 25), (50, 100))])
    (chart,) = make_charts(rows)
    svg = ElementTree.fromstring(draw_chart(chart))
    points = [tuple(map(float, p.split(","))) for p in of_class(svg, "line")[0].get("points", "").split()]
    assert points == sorted(points, key=lambda p: (p[0], -p[1]))
    assert len({y for _, y in points}) == 3
    axis = {e.text: float(e.get("y", "")) - 4 for e in of_class(svg, "tick")}
    assert [y for _, y in points] == pytest.approx([axis["0 %"], axis["50 %"], axis["100 %"]], abs=0.2)
    for (_, y), whisker in zip(points, of_class(svg, "whisker"), strict=True):
        assert float(whisker.get("y2", "")) <= y <= float(whisker.get("y1", ""))


def test_no_curves_without_several_numbers_of_demonstrations(tmp_path: Path) -> None:
    text = write(tmp_path, make_result(), make_result(num_demos=25, task="knob"), make_result(seed=1))
    assert svgs(text, "chart") == [] and "over demonstrations" not in text


def test_namesakes_are_told_apart_in_charts() -> None:
    other = {"name": "egovideo_nano", "fingerprint": "dddd0000bbbb1111", "dim": 192}
    results = [make_result(num_demos=n, **more) for n in (10, 25) for more in ({}, {"encoder": "blank"})]
    results += [make_result(num_demos=n) | {"encoder": other} for n in (10, 25)]
    (chart,) = make_charts(make_rows(results))
    assert [c.label for c in chart.curves] == ["blank", "egovideo_nano (aaaa0000)", "egovideo_nano (dddd0000)"]


def test_data_cannot_break_the_page(tmp_path: Path) -> None:
    """Names with markup are shown as they are, in text, attributes, charts and commands."""
    evil = """<script>alert("1")</script>'&$protocols"""
    results = [
        make_result(encoder=evil, num_demos=n, task=evil, policy=evil, protocol=evil, camera=evil, git_commit=evil,
                    render_fingerprint=evil)
        for n in (10, 100)
    ]  # fmt: skip
    for result in results:
        result["versions"] = dict.fromkeys(result["versions"], evil)
        result["encoder"]["fingerprint"] = evil
        result["eval"]["checkpoint"] = evil
    clip(tmp_path / "run0" / "videos" / "seed100000_success.mp4")
    text = write(tmp_path, *results)
    page = Elements(text)
    assert len(page.all("script")) == 1
    assert page.all("th", scope="row", **{"data-value": evil})
    assert len(svgs(text, "chart")) == 1
    (video,) = page.all("video")
    assert re.fullmatch(r"videos/[\w.+-]+\.mp4", video["src"] or "")


def test_how_each_number_was_made_is_told(tmp_path: Path) -> None:
    other = {"egorobot": "0.2.0", "mujoco": "3.11.0", "robomimic": "0.3.0", "torch": "2.14.1"}
    text = write(tmp_path, make_result(), make_result(30, seed=1, versions=other, render_fingerprint="eeee"))
    assert "Wilson" in text and "last checkpoint" in text
    assert "<dd>100000 to 100049 <small>2 runs</small></dd>" in text
    assert "egorobot 0.1.0, mujoco 3.11.0, robomimic 0.3.0, torch 2.14.1 <small>1 run</small>" in text
    assert "<dd>cccc <small>1 run</small></dd><dd>eeee <small>1 run</small></dd>" in text
    row = "".join(f"<td>{v}</td>" for v in ("microwave", 1, "60 % (30/50)", "last", "100000 to 100049", "eeee"))
    assert f"<tr>{row}</tr>" in text
    assert "differently rendered" in text
    assert str(tmp_path) not in text


def test_seeds_in_words() -> None:
    assert seed_words([3, 1, 2, 7, 9, 10]) == "1 to 3, 7, 9 to 10"
    assert seed_words([5]) == "5"


def test_commands_repeat_a_row(tmp_path: Path) -> None:
    one = make_result(camera=["left_cap2", "right_cap2"], best=45)
    assert repeat_commands([one]) == [
        "python -m egorobot.train_bc task=microwave protocol=kitchen encoder=egovideo_nano policy=bc_mlp num_demos=100 "
        "seed=0 'camera=[left_cap2,right_cap2]' episodes=50 eval_max=true"
    ]
    assert "&#x27;camera=[left_cap2,right_cap2]&#x27;" in write(tmp_path, one)
    grid = [make_result(task=task, seed=seed) for task in ("knob", "door") for seed in (2, 0, 1)]
    (command,) = repeat_commands(grid)
    assert "--multirun task=door,knob protocol=kitchen" in command and " seed=0,1,2 " in command
    ragged = repeat_commands([*grid, make_result(task="microwave")])
    assert len(ragged) == 2 and "task=microwave" in ragged[1] and "--multirun" not in ragged[1]


@pytest.mark.parametrize(
    "result", [make_result(camera=["left_cap2", "right_cap2"], best=45), make_result(5, "it's (1), x", 10)]
)
def test_commands_are_understood(result: dict[str, Any]) -> None:
    (command,) = repeat_commands([result])
    config = load_config("train_bc", shlex.split(command)[3:])
    assert config.encoder == result["encoder"]["name"] and config.camera == result["camera"]
    assert (config.episodes, config.eval_max) == (result["eval"]["episodes"], result["eval_max"] is not None)
    assert (config.task.name, config.policy.name, config.num_demos) == ("microwave", "bc_mlp", 100)


@pytest.mark.parametrize(
    "name",
    ["timm:vit_base_patch16_224.mae", "open_clip:ViT-B-16/openai", "my_module:load", "a,b", "it's", "x\\", "x\\'y",
     "(1)", "1e5", "null", "True", "<script>", "a=b", "range(1)", "[x]", "~/with space", "é", "1_0", "nan"],
)  # fmt: skip
def test_hydra_reads_the_encoder_as_it_is(name: str) -> None:
    override = OverridesParser.create().parse_override(f"encoder={hydra_value(name)}")
    assert override.value() == name and not override.is_sweep_override()


def test_videos_are_few_and_chosen_by_a_rule(tmp_path: Path) -> None:
    """One success and one failure a task, of the lowest training seed and then of the lowest episode seed."""
    names = ["seed100010_success", "seed99_success", "seed100003_failure", "grid_1_4", "seed_success", "seed5_other"]
    for name in names:
        clip(tmp_path / "run0" / "videos" / f"{name}.mp4")
    clip(tmp_path / "run1" / "videos" / "seed1_success.mp4", 90)
    results = [make_result(), make_result(seed=1), make_result(task="knob")]
    clip(tmp_path / "run2" / "videos" / "seed7_failure.mp4", 150)
    text = write(tmp_path / "out", *results, runs=tmp_path)
    videos = Elements(text).all("video")
    assert len(videos) == 3
    assert all(v["preload"] == "none" and "controls" in v and "autoplay" not in v for v in videos)
    assert re.findall(r"training seed (\d+), episode (\d+)<", text) == [("0", "7"), ("0", "99"), ("0", "100003")]
    assert "3 videos · 3 runs · command" in text
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    for video in videos:
        assert (tmp_path / "elsewhere" / (video["src"] or "")).stat().st_size > 0


def test_old_copies_go_and_other_files_stay(tmp_path: Path) -> None:
    source, out = clip(tmp_path / "run0" / "videos" / "seed1_success.mp4"), tmp_path / "out"
    write(out, make_result(), runs=tmp_path)
    (first,) = out.glob("videos/*.mp4")
    write(out, make_result(), runs=tmp_path)
    assert list(out.glob("videos/*.mp4")) == [first]
    own = clip(out / "videos" / "seed1_failure.mp4")
    clip(source, 90)
    write(out, make_result(), runs=tmp_path)
    assert len(list(out.glob("videos/*.mp4"))) == 2 and own.exists() and not first.exists()
    source.unlink()
    write(out, make_result(), runs=tmp_path)
    assert list(out.glob("videos/*.mp4")) == [own]


def test_pages_written_at_once_end_with_their_videos(tmp_path: Path) -> None:
    """What one page no longer shows is not taken from another that is written meanwhile."""

    def build(i: int) -> None:
        write(tmp_path / "out", make_result(), runs=tmp_path / str(i % 4))

    for i in range(4):
        clip(tmp_path / str(i) / "run0" / "videos" / "seed1_success.mp4", 50 * i)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(32)))
    (video,) = Elements((tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8")).all("video")
    assert [path.name for path in tmp_path.glob("out/videos/*.mp4")] == [Path(video["src"] or "").name]


def test_no_videos_make_no_folder(tmp_path: Path) -> None:
    text = write(tmp_path / "out", make_result(), runs=tmp_path)
    assert "<video" not in text and "1 run · command" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["leaderboard.html"]


def test_the_page_does_not_depend_on_places_or_order(tmp_path: Path) -> None:
    results = [make_result(40 - i, seed=i, num_demos=n) for i in range(3) for n in (10, 100)]
    clip(tmp_path / "a" / "run0" / "videos" / "seed3_success.mp4")
    shutil.copytree(tmp_path / "a" / "run0", tmp_path / "b" / "run5")
    first = write(tmp_path / "a" / "out", *results, runs=tmp_path / "a")
    second = write(tmp_path / "b" / "out", *reversed(results), runs=tmp_path / "b")
    assert first == second
    assert [p.name for p in (tmp_path / "a/out/videos").iterdir()] == [
        p.name for p in (tmp_path / "b/out/videos").iterdir()
    ]


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
def test_in_a_browser(tmp_path: Path) -> None:
    """A click and a key sort the table, opening a row plays its video, and the console stays empty."""
    runs = tmp_path / "runs"
    clip(runs / "run0" / "videos" / "seed100000_success.mp4")
    results = [make_result(20, "blank"), make_result(41), make_result(30, "random_vit", task="knob")]
    write(tmp_path / "out", *results, runs=runs)
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
        assert run("return document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        assert send("se/log", type="browser") == []

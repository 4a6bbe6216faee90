"""The leaderboard's page: what it shows, and that data cannot break it."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from egorobot.leaderboard import make_rows
from egorobot.leaderboard_details import seed_words
from egorobot.leaderboard_plots import draw_chart, draw_interval, make_charts
from egorobot.statistics import wilson_interval

VOID = {"meta", "link", "br", "wbr", "img", "input"}


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


def test_a_table_for_each_protocol_and_a_body_for_each_row(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path, make_result(), make_result(30, "blank", task="knob"), make_result(protocol="r3m"))
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


def test_nothing_comes_from_elsewhere(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path, make_result())
    assert "//" not in re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE)
    assert not {"link", "img", "iframe"} & {tag for tag, _ in Elements(text).found}
    assert "url(" not in text and "@import" not in text


def test_most_demonstrations_come_first_and_then_the_best(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    results = [make_result(9, num_demos=10), make_result(20, "blank"), make_result(30, "random_vit")]
    rows = re.findall(r'<th scope="row" data-value="(\w+)"', write_board(tmp_path, *results))
    assert rows == ["random_vit", "blank", "egovideo_nano"]


def test_intervals_are_drawn_where_they_are(make_result: Callable[..., dict[str, Any]]) -> None:
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


def test_every_cell_has_its_interval(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path, make_result(), make_result(0, task="knob"), make_result(50, "state"))
    assert len(svgs(text, "interval")) == 3
    assert "<b>82 %</b> <span>[69, 90]</span>" in text
    assert "<small>41/50, 1 seed</small>" in text


def test_maximum_stands_in_a_column_of_that_name(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path / "with", make_result(25, best=45), make_result(25, "blank"))
    page = Elements(text)
    assert page.all("td", **{"data-label": "maximum over checkpoints", "data-value": "0.900000"})
    assert page.all("td", **{"data-label": "maximum over checkpoints", "data-value": ""})
    assert page.all("td", **{"data-label": "mean", "data-value": "0.500000"})
    assert "<td>90 % (last)</td>" in text
    without = write_board(tmp_path / "without", make_result(25))
    assert 'data-label="maximum' not in without and "<th>maximum" not in without


def test_curves_of_rows_that_differ_in_demonstrations_only(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
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
    (svg,) = svgs(write_board(tmp_path, *results), "chart")
    assert len(of_class(svg, "line")) == 2 and len(of_class(svg, "whisker")) == len(of_class(svg, "marker")) == 6
    assert [e.text for e in of_class(svg, "tick")] == ["0 %", "25 %", "50 %", "75 %", "100 %", "10", "25", "100",
                                                       "demonstrations (logarithmic)"]  # fmt: skip


def test_curves_rise_with_the_rate_and_stay_in_their_intervals(make_result: Callable[..., dict[str, Any]]) -> None:
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


def test_no_curves_without_several_numbers_of_demonstrations(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path, make_result(), make_result(num_demos=25, task="knob"), make_result(seed=1))
    assert svgs(text, "chart") == [] and "over demonstrations" not in text


def test_namesakes_are_told_apart_in_charts(make_result: Callable[..., dict[str, Any]]) -> None:
    other = {"name": "egovideo_nano", "fingerprint": "dddd0000bbbb1111", "dim": 192}
    results = [make_result(num_demos=n, **more) for n in (10, 25) for more in ({}, {"encoder": "blank"})]
    results += [make_result(num_demos=n) | {"encoder": other} for n in (10, 25)]
    (chart,) = make_charts(make_rows(results))
    assert [c.label for c in chart.curves] == ["blank", "egovideo_nano (aaaa0000)", "egovideo_nano (dddd0000)"]


def test_data_cannot_break_the_page(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
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
    text = write_board(tmp_path, *results)
    page = Elements(text)
    assert len(page.all("script")) == 1
    assert page.all("th", scope="row", **{"data-value": evil})
    assert len(svgs(text, "chart")) == 1
    (video,) = page.all("video")
    assert re.fullmatch(r"videos/[\w.+-]+\.mp4", video["src"] or "")


def test_how_each_number_was_made_is_told(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    other = {"egorobot": "0.2.0", "mujoco": "3.11.0", "robomimic": "0.3.0", "torch": "2.14.1"}
    text = write_board(tmp_path, make_result(), make_result(30, seed=1, versions=other, render_fingerprint="eeee"))
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

"""The leaderboard as a page: sortable tables, intervals, learning curves, rollout videos, commands.

One HTML file without scripts, fonts or images from elsewhere, and a folder `videos` beside
it; both together can be moved anywhere. All that comes from data is escaped.
"""

import importlib.resources
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from pathlib import Path
from string import Template
from typing import Any

from egorobot.comparisons import Comparison
from egorobot.files import write_text
from egorobot.leaderboard_details import VIDEOS, fold, seed_words
from egorobot.leaderboard_pairs import comparison_section
from egorobot.leaderboard_plots import draw_chart, draw_interval, draw_key, make_charts
from egorobot.leaderboard_rows import Cell, Result, Row, RowKey, row_key
from egorobot.leaderboard_videos import RowVideo, choose_videos, copied
from egorobot.leaderboard_words import count_words, interval_words, percent

PAGE_FILE = "leaderboard.html"


def write_page(
    out: str | Path,
    rows: Sequence[Row],
    runs: Iterable[tuple[Path, Result]],
    comparisons: Sequence[Comparison] = (),
) -> Path:
    """Write `leaderboard.html` into the folder `out`, and the videos that it shows into `out/videos`.

    Args:
        out: the folder; copies of videos that an earlier page showed, and this one does
            not, are removed from it.
        rows: as `egorobot.leaderboard.make_rows` gives them.
        runs: run folder and result of each run; the folder may lack videos.
        comparisons: of rows, below the tables.

    Returns:
        Path of the page.
    """
    out = Path(out)
    by_row: dict[RowKey, list[tuple[Path, Result]]] = {row.key: [] for row in rows}
    for folder, result in sorted(runs, key=lambda run: _run_order(run[1])):
        by_row[row_key(result)].append((folder, result))
    videos = {key: choose_videos(of_row) for key, of_row in by_row.items()}
    results = {key: [result for _, result in of_row] for key, of_row in by_row.items()}
    with copied([video for chosen in videos.values() for video in chosen], out / VIDEOS) as names:
        shown = {key: [(v, names[v.source]) for v in chosen if v.source in names] for key, chosen in videos.items()}
        write_text(out / PAGE_FILE, page(rows, results, shown, comparisons))
    return out / PAGE_FILE


def _run_order(result: Result) -> tuple[Any, ...]:
    return result["task"], result["seed"], result["render_fingerprint"]


def page(
    rows: Sequence[Row],
    results: Mapping[RowKey, Sequence[Result]],
    videos: Mapping[RowKey, Sequence[tuple[RowVideo, str]]],
    comparisons: Sequence[Comparison] = (),
) -> str:
    """Return the whole page.

    Args:
        rows: the best first of those with one number of demonstrations.
        results: of each row, sorted.
        videos: of each row, with their names in the folder of videos.
        comparisons: of rows.
    """
    template = (importlib.resources.files("egorobot") / PAGE_FILE).read_text(encoding="utf-8")
    every = [result for row in rows for result in results[row.key]]
    # The most demonstrations first: that is what most people come for.
    ordered = sorted(rows, key=lambda row: (row.key.protocol, -row.key.num_demos))
    sections = [
        _protocol(protocol, list(group), results, videos)
        for protocol, group in groupby(ordered, lambda row: row.key.protocol)
    ]
    episodes = sum(result["eval"]["episodes"] for result in every)
    counts = [count_words(len(rows), "row"), count_words(len(every), "run"), count_words(episodes, "episode")]
    return Template(template).substitute(
        summary=" · ".join(counts),
        protocols="\n".join(sections),
        comparisons=comparison_section(comparisons, [row.key for row in rows]),
        provenance=_provenance(every),
    )


def _protocol(
    protocol: str,
    rows: Sequence[Row],
    results: Mapping[RowKey, Sequence[Result]],
    videos: Mapping[RowKey, Sequence[tuple[RowVideo, str]]],
) -> str:
    tasks = sorted({task for row in rows for task in row.cells})
    with_max = any(row.eval_max is not None for row in rows)
    columns = [("encoder", "text"), ("policy", "text"), ("demonstrations", "number")]
    columns += [
        (name, "number") for name in (*tasks, "mean", "IQM", *(["maximum over checkpoints"] if with_max else []))
    ]
    headers = "".join(
        f'<th scope="col" data-kind="{kind}"><button type="button">{escape(name)}</button></th>'
        for name, kind in columns
    )
    body = "\n".join(
        f"<tbody>\n<tr>{_cells(row, tasks, with_max)}</tr>\n"
        f'<tr class="more"><td colspan="{len(columns)}">{fold(results[row.key], videos[row.key])}</td></tr>\n'
        "</tbody>"
        for row in rows
    )
    name = escape(protocol)
    return f"""<section>
<h2>Protocol <code>{name}</code></h2>
<div class="wide">
<table class="board" aria-label="Success rates under protocol {name}">
<thead><tr>{headers}</tr></thead>
{body}
</table>
</div>
{_footnote(rows)}{_charts(rows)}
</section>"""


def _cells(row: Row, tasks: Sequence[str], with_max: bool) -> str:
    key = row.key
    mark = f"{key.encoder_fingerprint[:8]} · " if key.encoder_fingerprint != key.encoder else ""
    cells = [
        f'<th scope="row" data-value="{escape(key.encoder)}">{_breakable(key.encoder)}'
        f"<small>{escape(mark + key.camera)}</small></th>",
        _cell("policy", key.policy, escape(key.policy)),
        _cell("demonstrations", key.num_demos, str(key.num_demos)),
        *(_rate(task, row.cells.get(task)) for task in tasks),
    ]
    partial = f"<small>{len(row.cells)} of {len(tasks)} tasks</small>" if len(row.cells) < len(tasks) else ""
    single = "" if not row.summary.single_seed else '<abbr title="some task has one training seed only">†</abbr>'
    for column, value, ends, note in (
        ("mean", row.mean, row.summary.mean_ci95, partial),
        ("IQM", row.summary.iqm, row.summary.iqm_ci95, ""),
    ):
        content = f"<b>{percent(value)}</b> <span>{interval_words(ends)}{single}</span>{note}"
        cells.append(_cell(column, f"{value:.6f}", content))
    if with_max:
        best = row.eval_max
        shown = ("", "") if best is None else (f"{best:.6f}", percent(best))
        cells.append(_cell("maximum over checkpoints", *shown))
    return "".join(cells)


def _breakable(name: str) -> str:
    """Return a name, escaped, whose lines may break where its parts do."""
    return re.sub(r"([:/_.-])", r"\1<wbr>", escape(name))


def _rate(task: str, cell: Cell | None) -> str:
    if cell is None:
        return _cell(task, "", "")
    several = '<abbr title="differently rendered images">*</abbr>' if len(cell.render_fingerprints) > 1 else ""
    counts = f"{cell.successes}/{cell.episodes}, {count_words(len(cell.seeds), 'seed')}"
    content = f"<b>{percent(cell.mean)}</b>{several} <span>{interval_words(cell.ci95)}</span>{draw_interval(cell)}"
    return _cell(task, f"{cell.mean:.6f}", f"{content}<small>{counts}</small>")


def _cell(column: str, value: Any, content: str) -> str:
    """Return a cell; the label is for narrow screens, the value for sorting, and `content` is HTML."""
    return f'<td data-label="{escape(column)}" data-value="{escape(str(value))}">{content}</td>'


def _footnote(rows: Sequence[Row]) -> str:
    if all(len(cell.render_fingerprints) == 1 for row in rows for cell in row.cells.values()):
        return ""
    return (
        '<p class="note">* The runs of this cell saw differently rendered images (more than one render '
        "fingerprint).</p>\n"
    )


def _charts(rows: Sequence[Row]) -> str:
    charts = make_charts(rows)
    if not charts:
        return ""
    figures = []
    for chart in charts:
        best_first = sorted(chart.curves, key=lambda curve: -curve.points[-1][1].mean)
        legend = "".join(f"<li>{draw_key(curve)}{escape(curve.label)}</li>" for curve in best_first)
        caption = f"<b>{escape(chart.task)}</b> {escape(chart.policy)}, {escape(chart.camera)}"
        figures.append(
            f'<figure><figcaption>{caption}</figcaption>{draw_chart(chart)}<ul class="legend">{legend}</ul></figure>'
        )
    return '<h3>Success rate over demonstrations</h3>\n<div class="charts">\n' + "\n".join(figures) + "\n</div>"


def _provenance(results: Sequence[Result]) -> str:
    """Return what the runs were made with, and how many with each."""
    facts = {
        "Episodes a run": Counter(str(r["eval"]["episodes"]) for r in results),
        "Evaluation seeds": Counter(seed_words(r["eval"]["episode_seeds"]) for r in results),
        "Versions": Counter(", ".join(f"{name} {v}" for name, v in sorted(r["versions"].items())) for r in results),
        "Commits": Counter(str(r["git_commit"] or "unknown") for r in results),
        "Render fingerprints": Counter(str(r["render_fingerprint"]) for r in results),
    }
    items = []
    for name, counter in facts.items():
        values = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
        lines = "".join(f"<dd>{escape(value)} <small>{count_words(n, 'run')}</small></dd>" for value, n in values)
        items.append(f"<div><dt>{name}</dt>{lines}</div>")
    return "\n".join(items)

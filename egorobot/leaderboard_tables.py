"""The leaderboard's rows, comparisons and learning curves as Markdown and CSV."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

from egorobot.bootstrap import MIN_DISCORDANT, RESAMPLES
from egorobot.comparisons import Comparison, Pairs
from egorobot.leaderboard_rows import Cell, Row, RowKey
from egorobot.leaderboard_words import count_words, interval_words, percent, points
from egorobot.learning_curves import LearningCurve

INTRODUCTION = f"""\
# Leaderboard

Success rates: the mean over training seeds, the 95 % Wilson interval of the pooled
episodes in brackets, successes/episodes, and the number of training seeds. The interval
is about which episodes were drawn, and takes them as independent: how much training seeds
differ is not in it, and with several of them, which act on the same resets, it is too
narrow. Rates are those of the last checkpoint; a maximum over checkpoints stands in
`eval_max` only.

The mean is over tasks. IQM is the interquartile mean over runs, a run being a task with a
training seed: a quarter of the runs, rounded down, is left out at each end. The intervals
of both are 95 % stratified bootstrap intervals (Agarwal et al. 2021): {RESAMPLES} times,
training seeds are drawn anew within each task, and evaluation seeds for all its runs at
once. With few training seeds they are approximate: too narrow where training seeds differ
much more than chance in the episodes explains. They have no width where all runs succeed
or all fail; the Wilson intervals have.
"""

COMPARISONS = f"""\
## Comparisons

A minus B in points of success rate, on the episodes that both have: same task, training
seed and evaluation seed. Over all tasks, which weigh alike: interval and two-sided p by
the bootstrap of the table above, pairs kept together; neither is given where fewer than
{MIN_DISCORDANT} pairs differ. On a task: p by McNemar's exact test on the pairs that only A or only B
solved, which takes episodes as independent. Detectable is the smallest true difference
that a test at 0.05 finds with 80 % power: McNemar's, from the number of pairs and the
share that differs (Connor 1987, normal approximation); in brackets the bootstrap's, from
its standard error (Bloom 1995); none, where too few pairs differ for any. No p is
corrected for the number of comparisons.
"""

CURVES = """\
## Learning curves

The mean over those tasks that a curve's rows all have, by number of demonstrations, with
the bootstrap interval of the table above.
"""

RENDERED = "\\* The runs of this cell saw differently rendered images (more than one render fingerprint)."
RENDERED_PAIRS = "\\* These runs saw differently rendered images (more than one render fingerprint)."
SINGLE_SEED = (
    "† Some task has one training seed only: how much training seeds differ is unknown, and not in the interval."
)

T = TypeVar("T")


def format_markdown(
    rows: Sequence[Row], comparisons: Sequence[Comparison] = (), curves: Sequence[LearningCurve] = ()
) -> str:
    """Return the leaderboard as Markdown: tables by protocol, then what there is of comparisons and curves."""
    label = encoder_labels([row.key for row in rows])
    parts = [INTRODUCTION]
    for protocol, group in _by_protocol(rows, lambda row: row.key).items():
        parts.append(f"## Protocol `{protocol}`\n\n" + _rows_table(group, label))
    if any(len(cell.render_fingerprints) > 1 for row in rows for cell in row.cells.values()):
        parts.append(RENDERED + "\n")
    if any(row.summary.single_seed for row in rows):
        parts.append(SINGLE_SEED + "\n")
    if comparisons:
        parts += _comparisons_section(comparisons, label)
    if curves:
        parts.append(CURVES)
        for protocol, group_of_curves in _by_protocol(curves, lambda curve: curve.key).items():
            parts.append(f"### Protocol `{protocol}`\n\n" + _curves_table(group_of_curves, label))
    return "\n".join(parts)


def format_csv(rows: Sequence[Row]) -> str:
    """Return the leaderboard as CSV: one line a row, six columns a task; rates in [0, 1]."""
    tasks = _tasks(rows)
    parts = ("mean", "low", "high", "successes", "episodes", "seeds")
    summary = ("mean", "mean_low", "mean_high", "iqm", "iqm_low", "iqm_high")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [*RowKey.__dataclass_fields__, *summary, "num_tasks", "eval_max", *(f"{t}_{p}" for t in tasks for p in parts)]
    )
    for row in rows:
        rates = (row.mean, *row.summary.mean_ci95, row.summary.iqm, *row.summary.iqm_ci95)
        line: list[Any] = [*asdict(row.key).values(), *map(_rounded, rates), len(row.cells), _rounded(row.eval_max)]
        for task in tasks:
            line += _csv_cell(row.cells[task]) if task in row.cells else [""] * len(parts)
        writer.writerow(line)
    return buffer.getvalue()


def _csv_cell(cell: Cell) -> list[Any]:
    return [*map(_rounded, (cell.mean, *cell.ci95)), cell.successes, cell.episodes, len(cell.seeds)]


def _rows_table(rows: Sequence[Row], label: Callable[[RowKey], str]) -> str:
    tasks = _tasks(rows)
    with_max = any(row.eval_max is not None for row in rows)
    header = ["encoder", "policy", "demonstrations", *tasks, "mean", "95 % interval", "IQM"]
    lines: list[list[Any]] = [[*header, "eval_max"] if with_max else header]
    for row in rows:
        cells = [_format_cell(row.cells[task]) if task in row.cells else "" for task in tasks]
        mean = f"{percent(row.mean)} ({count_words(len(row.cells), 'task')})"
        mark = " †" if row.summary.single_seed else ""
        iqm = f"{percent(row.summary.iqm)} {interval_words(row.summary.iqm_ci95)}{mark}"
        best = [percent(row.eval_max) if row.eval_max is not None else ""] if with_max else []
        intervals = [f"{interval_words(row.summary.mean_ci95)}{mark}", iqm]
        lines.append([label(row.key), row.key.policy, row.key.num_demos, *cells, mean, *intervals, *best])
    return _table(lines)


def _comparisons_section(comparisons: Sequence[Comparison], label: Callable[[RowKey], str]) -> list[str]:
    parts = [COMPARISONS]
    for protocol, group in _by_protocol(comparisons, lambda comparison: comparison.a).items():
        parts.append(f"### Protocol `{protocol}`\n")
        if any(comparison.overall for comparison in group):
            parts.append(_table(comparison_lines(group, label)))
        for c in (c for c in group if c.overall is None):
            what = f"{label(c.a)} and {label(c.b)} ({c.a.policy}, {count_words(c.a.num_demos, 'demonstration')})"
            parts.append(f"{what} have no episode of the same task, training seed and evaluation seed.\n")
    tasks = [task for comparison in comparisons for task in comparison.tasks.values()]
    if any(len(task.render_fingerprints) > 1 for task in tasks):
        parts.append(RENDERED_PAIRS + "\n")
    if any(comparison.overall and comparison.overall.paired.single_seed for comparison in comparisons):
        parts.append(SINGLE_SEED + "\n")
    return parts


def comparison_lines(comparisons: Iterable[Comparison], label: Callable[[RowKey], str]) -> list[list[Any]]:
    """Return the table of comparisons: its header, then for each a line for all tasks and one for each.

    Args:
        comparisons: those without pairs are left out.
        label: names a row's encoder, see `encoder_labels`.
    """
    header = ["A", "B", "policy", "demonstrations", "task", "rate of A", "rate of B", "A - B", "p"]
    lines: list[list[Any]] = [[*header, "pairs", "only A", "only B", "detectable"]]
    for c in comparisons:
        if c.overall is None:
            continue
        who = [label(c.a), label(c.b), c.a.policy, c.a.num_demos]
        lines.append([*who, f"all ({len(c.tasks)})", *_overall_columns(c)])
        for name, task in c.tasks.items():
            mark = "\\*" if len(task.render_fingerprints) > 1 else ""
            difference = points(task.counts.rate_a - task.counts.rate_b)
            columns = _pair_columns(task.counts, difference, task.p, _size(task.counts.detectable))
            lines.append([*who, f"{name}{mark}", *columns])
    return lines


def _overall_columns(comparison: Comparison) -> list[Any]:
    assert comparison.overall is not None
    counts, paired, detectable = (getattr(comparison.overall, name) for name in ("counts", "paired", "detectable"))
    difference = points(paired.difference)
    if paired.ci95 is not None:
        difference += f" {_points_interval(paired.ci95)}"
    mark = " †" if paired.single_seed else ""
    return _pair_columns(counts, difference + mark, paired.p, f"{_size(counts.detectable)} ({_size(detectable)})")


def _pair_columns(counts: Pairs, difference: str, p: float | None, detectable: str) -> list[Any]:
    pairs = f"{counts.pairs}, {count_words(len(counts.seeds), 'seed')}"
    rates = [percent(counts.rate_a), percent(counts.rate_b)]
    return [*rates, difference, _p(p), pairs, counts.only_a, counts.only_b, detectable]


def _curves_table(curves: Iterable[LearningCurve], label: Callable[[RowKey], str]) -> str:
    curves = list(curves)
    numbers = sorted({number for curve in curves for number in curve.points})
    lines: list[list[Any]] = [["encoder", "policy", "tasks", *numbers]]
    for curve in curves:
        cells = [
            f"{percent(point.mean)} {interval_words(point.ci95)}{' †' if point.single_seed else ''}" if point else ""
            for point in map(curve.points.get, numbers)
        ]
        lines.append([label(curve.key), curve.key.policy, ", ".join(curve.tasks), *cells])
    note = f"\n{SINGLE_SEED}\n" if any(p.single_seed for curve in curves for p in curve.points.values()) else ""
    return _table(lines) + note


def encoder_labels(keys: Sequence[RowKey]) -> Callable[[RowKey], str]:
    """Return what names an encoder, with what tells it from another row's encoder of that name."""

    def label(key: RowKey) -> str:
        namesakes = [other for other in keys if other.encoder == key.encoder]
        text = key.encoder
        if len({other.encoder_fingerprint for other in namesakes}) > 1:
            text += f" ({key.encoder_fingerprint[:8]})"
        if len({other.camera for other in namesakes}) > 1:
            text += f", {key.camera}"
        return text

    return label


def _by_protocol(items: Iterable[T], key: Callable[[T], RowKey]) -> dict[str, list[T]]:
    items = list(items)
    return {p: [i for i in items if key(i).protocol == p] for p in sorted({key(i).protocol for i in items})}


def _format_cell(cell: Cell) -> str:
    mark = "\\*" if len(cell.render_fingerprints) > 1 else ""
    counts = f"{cell.successes}/{cell.episodes}, {count_words(len(cell.seeds), 'seed')}"
    return f"{percent(cell.mean)} {interval_words(cell.ci95)} {counts}{mark}"


def _tasks(rows: Iterable[Row]) -> list[str]:
    return sorted({task for row in rows for task in row.cells})


def _table(lines: Sequence[Sequence[Any]]) -> str:
    return "\n".join(map(_line, [lines[0], ["---"] * len(lines[0]), *lines[1:]])) + "\n"


def _line(values: Iterable[Any]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"


def _points_interval(ends: tuple[float, float]) -> str:
    low, high = map(points, ends)
    return f"[{low}, {high}]"


def _size(difference: float | None) -> str:
    return "none" if difference is None else f"{100 * difference:.1f}"


def _p(p: float | None) -> str:
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _rounded(rate: float | None) -> float | str:
    return "" if rate is None else round(rate, 4)

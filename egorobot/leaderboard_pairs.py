"""The paired comparisons on the leaderboard's page."""

from collections.abc import Callable, Sequence
from html import escape
from itertools import groupby
from typing import Any

from egorobot.bootstrap import MIN_DISCORDANT, RESAMPLES
from egorobot.comparisons import Comparison
from egorobot.leaderboard_plots import draw_difference
from egorobot.leaderboard_rows import RowKey
from egorobot.leaderboard_tables import comparison_lines, encoder_labels

NOTE = f"""<p class="note">A minus B in points of success rate, on the episodes that both have: same task, training seed
and evaluation seed. Over all tasks: interval and two-sided p of {RESAMPLES} bootstrap samples of training seeds and
episodes, neither where fewer than {MIN_DISCORDANT} pairs differ. On a task: p of McNemar's exact test. Detectable is
the smallest true difference that a test at 0.05 finds with 80&nbsp;% power, McNemar's and in brackets the
bootstrap's. Drawn on one scale for the table, with a line at no difference. No p is corrected for the number of
comparisons. &dagger; One training seed only on some task; * images were rendered differently.</p>"""


def comparison_section(comparisons: Sequence[Comparison], keys: Sequence[RowKey]) -> str:
    """Return the comparisons as HTML, a table a protocol; "" where there are none.

    Args:
        comparisons: in the order in which they are shown.
        keys: of all rows: encoders of one name are told apart.
    """
    made = [comparison for comparison in comparisons if comparison.overall is not None]
    if not made:
        return ""
    label = encoder_labels(keys)
    parts = ["<section>", "<h2>Comparisons</h2>", NOTE]
    for protocol, group in groupby(made, lambda comparison: comparison.a.protocol):
        name = escape(protocol)
        parts.append(
            f"<h3>Protocol <code>{name}</code></h3>\n"
            f'<input type="checkbox" class="each-task" id="each-task-{name}">'
            f'<label for="each-task-{name}">each task too</label>\n{_table(list(group), label)}'
        )
    return "\n".join([*parts, "</section>"])


def _table(comparisons: Sequence[Comparison], label: Callable[[RowKey], str]) -> str:
    header = comparison_lines([], label)[0]
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in ["", *header])
    limit = max(max(map(abs, _interval(comparison) or (_difference(comparison),))) for comparison in comparisons) or 1.0
    body = []
    for comparison in comparisons:
        _, overall, *tasks = comparison_lines([comparison], label)
        drawing = draw_difference(_difference(comparison), _interval(comparison), limit)
        body.append(f"<tr><td>{drawing}</td>{''.join(map(_cell, overall))}</tr>")
        body += [f'<tr class="task"><td></td>{"".join(map(_cell, line))}</tr>' for line in tasks]
    lines = "\n".join(body)
    return (
        f'<div class="wide"><table class="pairs">\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{lines}\n</tbody></table></div>"
    )


def _difference(comparison: Comparison) -> float:
    assert comparison.overall is not None
    return comparison.overall.paired.difference


def _interval(comparison: Comparison) -> tuple[float, float] | None:
    assert comparison.overall is not None
    return comparison.overall.paired.ci95


def _cell(value: Any) -> str:
    return f"<td>{escape(str(value).replace(chr(92), ''))}</td>"  # backslashes are Markdown's

"""The paired comparisons on the leaderboard's page."""

from collections.abc import Sequence
from html import escape
from itertools import groupby
from typing import Any

from egorobot.bootstrap import MIN_DISCORDANT, RESAMPLES
from egorobot.comparisons import Comparison
from egorobot.leaderboard_rows import RowKey
from egorobot.leaderboard_tables import comparison_lines, encoder_labels

NOTE = f"""<p class="note">A minus B in points of success rate, on the episodes that both have: same task, training seed
and evaluation seed. Over all tasks: interval and two-sided p of {RESAMPLES} bootstrap samples of training seeds and
episodes, neither where fewer than {MIN_DISCORDANT} pairs differ. On a task: p of McNemar's exact test. Detectable is
the smallest true difference that a test at 0.05 finds with 80&nbsp;% power, McNemar's and in brackets the
bootstrap's. No p is corrected for the number of comparisons. &dagger; One training seed only on some task; * images
were rendered differently.</p>"""


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
        header, *lines = comparison_lines(group, label)
        head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in header)
        body = "\n".join(f"<tr>{''.join(map(_cell, line))}</tr>" for line in lines)
        parts.append(
            f'<h3>Protocol <code>{escape(protocol)}</code></h3>\n<div class="wide"><table class="pairs">\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )
    return "\n".join([*parts, "</section>"])


def _cell(value: Any) -> str:
    return f"<td>{escape(str(value).replace(chr(92), ''))}</td>"  # backslashes are Markdown's

"""Drawings of the leaderboard's page, as SVG: an interval in a cell, rates over demonstrations.

Colours come from the page's style sheet, through the classes `series0` to `series6`.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from egorobot.leaderboard_rows import Cell, Row
from egorobot.leaderboard_words import interval_words, percent, points

NUM_COLOURS = 7
MARKERS = (  # around (0, 0), so that colour is not all that tells curves apart
    "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0z",
    "M-3.6,-3.6h7.2v7.2h-7.2z",
    "M0,-4.8l4.6,8h-9.2z",
    "M0,-5l5,5l-5,5l-5,-5z",
    "M0,4.8l4.6,-8h-9.2z",
)

# Of a chart, in its own units.
WIDTH, HEIGHT = 420, 250
LEFT, RIGHT, TOP, BOTTOM = 44, 402, 12, 208
DODGE = 5  # between the intervals of curves at one number of demonstrations
LABEL_WIDTH = 26  # of a number below the axis


@dataclass(frozen=True)
class Curve:
    """The rates of one encoder over demonstrations.

    Attributes:
        label: the encoder.
        style: number of its colour and marker; the same in all charts of a protocol.
        points: demonstrations and cell, at least two, by number of demonstrations.
    """

    label: str
    style: int
    points: tuple[tuple[int, Cell], ...]


@dataclass(frozen=True)
class Chart:
    """Curves that differ in the encoder only."""

    task: str
    policy: str
    camera: str
    curves: tuple[Curve, ...]


def draw_interval(cell: Cell) -> str:
    """Return a dot at the mean and a whisker over the interval, on an axis from 0 to 100 %."""
    low, high, mean = (100 * rate for rate in (*cell.ci95, cell.mean))
    words = f"{percent(cell.mean)}, 95 % interval {low:.0f} to {high:.0f} %"
    return (
        f'<svg class="interval" viewBox="-4 0 108 14" role="img" aria-label="{words}"><title>{words}</title>'
        '<path class="axis" d="M0,11H100M0,8V14M50,9V13M100,8V14"/>'
        f'<line class="whisker" x1="{low:.2f}" x2="{high:.2f}" y1="5" y2="5"/>'
        f'<path class="cap" d="M{low:.2f},2V8M{high:.2f},2V8"/>'
        f'<circle class="dot" cx="{mean:.2f}" cy="5" r="3"/></svg>'
    )


def draw_difference(difference: float, interval: tuple[float, float] | None, limit: float) -> str:
    """Return a dot at the difference of two rates, a whisker over its interval, and a line at zero.

    Args:
        difference: in [-1, 1].
        interval: of it; None where there is none.
        limit: the axis goes from -limit to limit.
    """
    centre, *ends = (50 + 50 * value / limit for value in (difference, *(interval or ())))
    words = f"{points(difference)} points"
    whisker = ""
    if interval is not None:
        low, high = ends
        words += f", 95 % interval {points(interval[0])} to {points(interval[1])}"
        whisker = (
            f'<path class="whisker" d="M{low:.2f},7H{high:.2f}"/>'
            f'<path class="cap" d="M{low:.2f},4V10M{high:.2f},4V10"/>'
        )
    return (
        f'<svg class="difference" viewBox="-4 0 108 14" role="img" aria-label="{words}"><title>{words}</title>'
        f'<path class="axis" d="M0,7H100M50,0V14"/>{whisker}<circle class="dot" cx="{centre:.2f}" cy="7" r="3"/></svg>'
    )


def make_charts(rows: Sequence[Row]) -> list[Chart]:
    """Return a chart for each task, policy and camera where rows differ in the number of demonstrations only.

    Args:
        rows: of one protocol.
    """
    points: dict[tuple[str, str, str], dict[tuple[str, str], list[tuple[int, Cell]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in sorted(rows, key=lambda row: row.key.num_demos):
        for task, cell in row.cells.items():
            chart, encoder = (task, row.key.policy, row.key.camera), (row.key.encoder, row.key.encoder_fingerprint)
            points[chart][encoder].append((row.key.num_demos, cell))
    lines = {
        chart: {encoder: tuple(cells) for encoder, cells in sorted(encoders.items()) if len(cells) > 1}
        for chart, encoders in sorted(points.items())
    }
    encoders = sorted({encoder for drawn in lines.values() for encoder in drawn})
    names = [name for name, _ in encoders]
    labels = {(name, mark): f"{name} ({mark[:8]})" if names.count(name) > 1 else name for name, mark in encoders}
    return [
        Chart(*chart, tuple(Curve(labels[e], encoders.index(e), cells) for e, cells in drawn.items()))
        for chart, drawn in lines.items()
        if drawn
    ]


def draw_chart(chart: Chart) -> str:
    """Return the curves of `chart`: rates with their intervals over demonstrations, whose axis is logarithmic."""
    counts = sorted({count for curve in chart.curves for count, _ in curve.points})
    title = escape(f"{chart.task}: success rate over demonstrations")
    curves = "".join(_draw_curve(curve, i, len(chart.curves), counts) for i, curve in enumerate(chart.curves))
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">'
        f"{_draw_axes(counts)}{curves}</svg>"
    )


def draw_key(curve: Curve) -> str:
    """Return a short piece of the curve with its marker, for a legend."""
    return (
        f'<svg class="key {_classes(curve)}" viewBox="-14 -7 28 14" aria-hidden="true">'
        f'<path class="line" d="M-13,0H13"/><path class="marker" d="{_marker(curve)}"/></svg>'
    )


def _draw_axes(counts: Sequence[int]) -> str:
    parts = []
    for rate in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<path class="grid" d="M{LEFT},{_y(rate):.1f}H{RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 8}" y="{_y(rate) + 4:.1f}" text-anchor="end">{percent(rate)}</text>'
        )
    last = -math.inf
    for count in counts:
        x = _x(count, counts)
        parts.append(f'<path class="axis" d="M{x:.1f},{BOTTOM}v5"/>')
        if x - last >= LABEL_WIDTH:
            parts.append(f'<text class="tick" x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{count}</text>')
            last = x
    middle = (LEFT + RIGHT) / 2
    parts.append(
        f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">demonstrations (logarithmic)</text>'
    )
    return "".join(parts)


def _draw_curve(curve: Curve, number: int, total: int, counts: Sequence[int]) -> str:
    # Side by side, so that no interval hides another.
    shift = DODGE * (number - (total - 1) / 2)
    line, points = [], []
    for count, cell in curve.points:
        x, y = _x(count, counts) + shift, _y(cell.mean)
        low, high = (_y(rate) for rate in cell.ci95)
        words = f"{curve.label}, {count} demonstrations: {percent(cell.mean)} {interval_words(cell.ci95)}"
        line.append(f"{x:.1f},{y:.1f}")
        points.append(
            f'<g><title>{escape(words)}</title><line class="whisker" x1="{x:.1f}" x2="{x:.1f}" y1="{low:.1f}" '
            f'y2="{high:.1f}"/><path class="marker" transform="translate({x:.1f},{y:.1f})" d="{_marker(curve)}"/></g>'
        )
    return f'<g class="{_classes(curve)}"><polyline class="line" points="{" ".join(line)}"/>{"".join(points)}</g>'


def _classes(curve: Curve) -> str:
    return f"curve series{curve.style % NUM_COLOURS}"


def _marker(curve: Curve) -> str:
    return MARKERS[curve.style % len(MARKERS)]


def _x(count: int, counts: Sequence[int]) -> float:
    """Return where a number of demonstrations stands, on a logarithmic axis that ends short of the edges."""
    low, high, here = (math.log(max(n, 1)) for n in (counts[0], counts[-1], count))
    share = (here - low) / (high - low) if high > low else 0.5
    return LEFT + (0.08 + 0.84 * share) * (RIGHT - LEFT)


def _y(rate: float) -> float:
    return BOTTOM - rate * (BOTTOM - TOP)

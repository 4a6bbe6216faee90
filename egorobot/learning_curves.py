"""Learning curves of the leaderboard: rows that differ in the number of demonstrations only."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from egorobot.leaderboard_rows import Row, RowKey, by_task, summarize_results


@dataclass(frozen=True)
class Point:
    """Success with one number of demonstrations, in [0, 1]; see `egorobot.bootstrap.Summary`."""

    mean: float
    ci95: tuple[float, float]
    single_seed: bool


@dataclass(frozen=True)
class LearningCurve:
    """Success over the number of demonstrations.

    Attributes:
        key: that of its first row.
        tasks: those that all of its rows have runs of, sorted, at least one: no point is
            higher than another because its tasks are easier.
        points: by number of demonstrations, ascending, at least two.
    """

    key: RowKey
    tasks: tuple[str, ...]
    points: dict[int, Point]


def make_learning_curves(rows: Iterable[Row]) -> list[LearningCurve]:
    """Return the curves in `rows`: by protocol, best mean with the most demonstrations first."""
    groups: dict[RowKey, list[Row]] = defaultdict(list)
    for row in rows:
        groups[replace(row.key, num_demos=0)].append(row)
    curves = [curve for group in groups.values() if (curve := _make_curve(group))]
    return sorted(curves, key=_rank)


def _make_curve(group: list[Row]) -> LearningCurve | None:
    group = sorted(group, key=lambda row: row.key.num_demos)
    tasks = sorted(set.intersection(*({*row.cells} for row in group)))
    if len(group) < 2 or not tasks:
        return None
    return LearningCurve(group[0].key, tuple(tasks), {row.key.num_demos: _make_point(row, tasks) for row in group})


def _make_point(row: Row, tasks: Iterable[str]) -> Point:
    results = by_task(row.results)
    summary = summarize_results(results[task] for task in tasks)
    return Point(summary.mean, summary.mean_ci95, summary.single_seed)


def _rank(curve: LearningCurve) -> tuple[str, float, str, str, str, str]:
    key, last = curve.key, curve.points[max(curve.points)]
    return key.protocol, -last.mean, key.encoder, key.encoder_fingerprint, key.policy, key.camera

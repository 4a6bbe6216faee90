"""Paired comparisons of rows of the leaderboard, on the runs and episodes that both have.

Two rows of one protocol, policy, number of demonstrations and camera are compared. A pair
is an episode of each with the same task, training seed and evaluation seed: both start
from the same state, which takes out of the difference how hard that state is.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from egorobot.bootstrap import PairedDifference, outcome_matrix, summarize_differences
from egorobot.errors import UserError
from egorobot.leaderboard_rows import Result, Row, RowKey, by_task, episode_outcomes, mean
from egorobot.pretrain.shipped import SHIPPED
from egorobot.statistics import detectable_difference, detectable_effect, mcnemar_p

# What a group's rows are compared with: the untrained controls that it has, the blind one
# where it has none of them, and the encoder that ships.
UNTRAINED = ("random_vit", "random_egovideo")
BLIND = "blank"


@dataclass(frozen=True)
class Pairs:
    """Episodes in pairs, and how the two rows differ on them.

    Attributes:
        pairs: number of pairs.
        seeds: training seeds that both have, sorted.
        rate_a: success rate of the first row on them, in [0, 1]: the mean over seeds, over
            tasks the mean of those.
        rate_b: that of the second.
        only_a: pairs that only the first solved.
        only_b: pairs that only the second solved.
        detectable: smallest true difference of rates that McNemar's test would find at
            0.05 with 80 % power, see `egorobot.statistics.detectable_difference`.
    """

    pairs: int
    seeds: tuple[int, ...]
    rate_a: float
    rate_b: float
    only_a: int
    only_b: int
    detectable: float | None


@dataclass(frozen=True)
class TaskComparison:
    """Two rows on one task.

    Attributes:
        counts: the pairs.
        p: of McNemar's exact test, two-sided.
        render_fingerprints: of the images both saw, sorted; several when rendered differently.
    """

    counts: Pairs
    p: float
    render_fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Overall:
    """Two rows over all tasks that both have.

    Attributes:
        counts: the pairs of all tasks.
        paired: difference of the rates, first minus second, by the bootstrap.
        detectable: smallest true difference that the bootstrap's test would find at 0.05
            with 80 % power, by the spread over training seeds and episodes that it saw.
    """

    counts: Pairs
    paired: PairedDifference
    detectable: float | None


@dataclass(frozen=True)
class Comparison:
    """The rows `a` and `b`; `tasks` is empty and `overall` None when they have no pairs."""

    a: RowKey
    b: RowKey
    tasks: dict[str, TaskComparison]
    overall: Overall | None


def check_pairs(value: Any) -> list[tuple[str, str]]:
    """Return the option `compare` as pairs of names.

    Raises:
        UserError: it is not a list of pairs of different names.
    """
    for pair in value if isinstance(value, list) else [value]:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(name, str) for name in pair):
            raise UserError(f"compare={value} does not fit: pairs are needed, as compare=[[egovideo_nano,random_vit]]")
        if pair[0] == pair[1]:
            raise UserError(f"compare={value} compares {pair[0]} with itself: name two encoders")
    return [(first, second) for first, second in value]


def make_comparisons(rows: Sequence[Row], pairs: Iterable[Sequence[str]] = ()) -> list[Comparison]:
    """Compare rows of one protocol, policy, number of demonstrations and camera.

    Args:
        rows: the leaderboard's.
        pairs: names of two encoders each; none compares each row with the controls of its
            group, `UNTRAINED`, or `BLIND` where it has none of them, and with `SHIPPED`.

    Returns:
        Comparisons in the order of `pairs` within that of `rows`.

    Raises:
        UserError: a name is that of no row, or the rows of a pair differ in more than the encoder.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.key.protocol, row.key.num_demos, row.key.policy, row.key.camera].append(row)
    pairs = list(pairs)
    if not pairs:
        return [compare_rows(a, b) for group in groups.values() for a, b in _with_references(group)]
    _check_names(pairs, groups.values())
    return [compare_rows(a, b) for group in groups.values() for pair in pairs for a, b in _named(group, pair)]


def compare_rows(a: Row, b: Row) -> Comparison:
    """Compare two rows on the pairs that they have."""
    runs_a, runs_b = by_task(a.results), by_task(b.results)
    shared = {task: pair for task in runs_a if (pair := _pair(runs_a[task], runs_b.get(task, [])))}
    if not shared:
        return Comparison(a.key, b.key, {}, None)
    tasks = {task: _compare_task(pair, [*runs_a[task], *runs_b[task]]) for task, pair in shared.items()}
    paired = summarize_differences(
        [outcome_matrix({where: x - y for where, (x, y) in pair.items()}) for pair in shared.values()]
    )
    overall = Overall(
        counts=_sum([task.counts for task in tasks.values()]),
        paired=paired,
        detectable=None if paired.standard_error is None else detectable_effect(paired.standard_error),
    )
    return Comparison(a.key, b.key, tasks, overall)


def _with_references(group: list[Row]) -> Iterable[tuple[Row, Row]]:
    names = {row.key.encoder for row in group}
    controls = [name for name in UNTRAINED if name in names] or [BLIND]
    return [
        (a, b)
        for reference in [*controls, SHIPPED]
        for b in group
        if b.key.encoder == reference
        for a in group
        if a.key.encoder not in (*controls, reference)
    ]


def _named(group: list[Row], pair: Sequence[str]) -> Iterable[tuple[Row, Row]]:
    return [(a, b) for a in group if a.key.encoder == pair[0] for b in group if b.key.encoder == pair[1]]


def _check_names(pairs: Iterable[Sequence[str]], groups: Iterable[list[Row]]) -> None:
    names = [{row.key.encoder for row in group} for group in groups]
    known = set().union(*names)
    for pair in pairs:
        for name in pair:
            if name not in known:
                raise UserError(f"compare: no run has the encoder '{name}': name two of {', '.join(sorted(known))}")
        if not any({*pair} <= group for group in names):
            raise UserError(f"compare: no rows of {pair[0]} and {pair[1]} differ in nothing but the encoder")


Outcomes = dict[tuple[int, int], tuple[float, float]]  # (training seed, evaluation seed): those of a and of b


def _pair(runs_a: list[Result], runs_b: list[Result]) -> Outcomes:
    a, b = episode_outcomes(runs_a), episode_outcomes(runs_b)
    return {where: (a[where], b[where]) for where in sorted(a.keys() & b.keys())}


def _compare_task(pair: Outcomes, runs: list[Result]) -> TaskComparison:
    seeds = sorted({seed for seed, _ in pair})
    only_a = sum(x > y for x, y in pair.values())
    only_b = sum(x < y for x, y in pair.values())
    counts = Pairs(
        pairs=len(pair),
        seeds=tuple(seeds),
        rate_a=_rate(pair, 0),
        rate_b=_rate(pair, 1),
        only_a=only_a,
        only_b=only_b,
        detectable=detectable_difference(len(pair), only_a + only_b),
    )
    fingerprints = {run["render_fingerprint"] for run in runs if run["seed"] in seeds}
    return TaskComparison(counts, mcnemar_p(only_a, only_b), tuple(sorted(fingerprints)))


def _rate(pair: Outcomes, side: int) -> float:
    by_seed: dict[int, list[float]] = defaultdict(list)
    for (seed, _), outcomes in pair.items():
        by_seed[seed].append(outcomes[side])
    return mean(mean(values) for values in by_seed.values())


def _sum(tasks: list[Pairs]) -> Pairs:
    pairs, only_a, only_b = (sum(getattr(task, name) for task in tasks) for name in ("pairs", "only_a", "only_b"))
    return Pairs(
        pairs=pairs,
        seeds=tuple(sorted({seed for task in tasks for seed in task.seeds})),
        rate_a=mean(task.rate_a for task in tasks),
        rate_b=mean(task.rate_b for task in tasks),
        only_a=only_a,
        only_b=only_b,
        detectable=detectable_difference(pairs, only_a + only_b),
    )

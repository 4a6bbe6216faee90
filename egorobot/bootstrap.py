"""Bootstrap intervals of success rates over tasks, training seeds and episodes.

The stratified bootstrap of Agarwal et al. (2021), "Deep reinforcement learning at the edge
of the statistical precipice", with episodes as a second level: tasks are kept, training
seeds are drawn anew within each task, and episodes within each run. The runs of a task are
evaluated from the same initial states, so an evaluation seed is drawn for all of them at
once: three policies that fail at the same state are not three failures that chance
brought together.

With few training seeds such intervals are approximate. Drawing k seeds with replacement
shows (k - 1) / k of their variance, while the episodes' chance counts on both levels
(Davison and Hinkley 1997, "Bootstrap methods and their application", section 3.8): they
come out too narrow where training seeds differ much more than episodes' chance explains,
and too wide where they do not differ.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.statistics import interquartile_mean

Matrix = NDArray[np.float64]

RESAMPLES = 10_000
SEED = 0  # of the generator that each call makes: a row's numbers do not depend on other rows

# McNemar's exact test cannot reach p < 0.05 with fewer; a bootstrap of so few could.
MIN_DISCORDANT = 6


@dataclass(frozen=True)
class Summary:
    """Success over all runs of a row, in [0, 1].

    Attributes:
        mean: mean over tasks of the mean over training seeds.
        mean_ci95: its 95 % bootstrap interval.
        iqm: interquartile mean over runs, a run being a task with a training seed.
        iqm_ci95: its 95 % bootstrap interval.
        single_seed: some task has one training seed only, so that what training seeds
            differ by is not in the intervals.
    """

    mean: float
    mean_ci95: tuple[float, float]
    iqm: float
    iqm_ci95: tuple[float, float]
    single_seed: bool


@dataclass(frozen=True)
class PairedDifference:
    """How much more often one policy succeeds than another, on the same tasks, seeds and episodes.

    Attributes:
        difference: mean over tasks of the mean over training seeds, in [-1, 1].
        ci95: its 95 % bootstrap interval; None below `MIN_DISCORDANT` pairs that differ.
        p: two-sided p value, at least 2 / (`RESAMPLES` + 1); below 0.05 where the interval
            leaves out 0. None where `ci95` is.
        standard_error: of the difference, by the bootstrap; None where `ci95` is.
        single_seed: see `Summary`.
    """

    difference: float
    ci95: tuple[float, float] | None
    p: float | None
    standard_error: float | None
    single_seed: bool


def outcome_matrix(values: Mapping[tuple[int, int], float]) -> Matrix:
    """Return values by training seed (rows) and evaluation seed (columns), both sorted.

    Args:
        values: at least one, by (training seed, evaluation seed).

    Returns:
        (S, E), NaN where a training seed was not evaluated on an evaluation seed.
    """
    rows = {seed: i for i, seed in enumerate(sorted({seed for seed, _ in values}))}
    columns = {episode: i for i, episode in enumerate(sorted({episode for _, episode in values}))}
    matrix = np.full((len(rows), len(columns)), np.nan)
    for (seed, episode), value in values.items():
        matrix[rows[seed], columns[episode]] = value
    return matrix


def summarize_runs(tasks: Sequence[Matrix]) -> Summary:
    """Return mean and interquartile mean of runs, with intervals.

    Args:
        tasks: of each task the outcomes (S, E) of S training seeds on E evaluation seeds,
            in [0, 1], NaN where there is none; every row has one.
    """
    runs = [np.nanmean(task, axis=1) for task in tasks]
    resampled = _resample(tasks)
    return Summary(
        mean=float(_mean_over_tasks(runs)),
        mean_ci95=_interval(_mean_over_tasks(resampled)),
        iqm=float(interquartile_mean(np.concatenate(runs))),
        iqm_ci95=_interval(interquartile_mean(np.concatenate(resampled, axis=1))),
        single_seed=_single_seed(tasks),
    )


def summarize_differences(tasks: Sequence[Matrix]) -> PairedDifference:
    """Return the mean of paired differences of outcomes, with interval and p value.

    Args:
        tasks: of each task the differences (S, E), in [-1, 1]; see `summarize_runs`.
    """
    difference = float(_mean_over_tasks([np.nanmean(task, axis=1) for task in tasks]))
    if sum(np.count_nonzero(np.nan_to_num(task)) for task in tasks) < MIN_DISCORDANT:
        return PairedDifference(difference, None, None, None, _single_seed(tasks))
    resampled = _mean_over_tasks(_resample(tasks))
    # Rounded, because a sum that is 0 may come out as 1e-17, which would count for one side.
    signs = np.sign(np.round(resampled, 12))
    tail = min(np.count_nonzero(signs >= 0), np.count_nonzero(signs <= 0))
    return PairedDifference(
        difference=difference,
        ci95=_interval(resampled),
        p=min(1.0, 2 * (tail + 1) / (RESAMPLES + 1)),
        standard_error=float(np.std(resampled, ddof=1)),
        single_seed=_single_seed(tasks),
    )


def _resample(tasks: Iterable[Matrix]) -> list[Matrix]:
    """Return of each task the rates (RESAMPLES, S) of as many runs, drawn anew as the module says."""
    rng = np.random.default_rng(SEED)
    return [_resample_task(task, rng) for task in tasks]


def _resample_task(outcomes: Matrix, rng: np.random.Generator) -> Matrix:
    seeds, episodes = outcomes.shape
    known = ~np.isnan(outcomes)
    # How often each evaluation seed is drawn. As floats: products of whole numbers stay
    # exact, whatever the order of summation, and are many times faster than those of integers.
    draws = rng.multinomial(episodes, np.full(episodes, 1 / episodes), size=RESAMPLES).astype(np.float64)
    sums = draws @ np.where(known, outcomes, 0.0).T  # (RESAMPLES, S)
    counts = draws @ known.T.astype(np.float64)
    rates = np.tile(np.nanmean(outcomes, axis=1), (RESAMPLES, 1))  # stays for a run none of whose episodes was drawn
    np.divide(sums, counts, out=rates, where=counts > 0)
    return np.take_along_axis(rates, rng.integers(seeds, size=(RESAMPLES, seeds)), axis=1)


def _mean_over_tasks(runs: Sequence[Matrix]) -> Matrix:
    """Return the mean over tasks of the mean over runs (last axis): tasks weigh alike."""
    return np.mean([np.mean(task, axis=-1) for task in runs], axis=0)  # type: ignore[no-any-return, unused-ignore]


def _interval(resampled: Matrix) -> tuple[float, float]:
    """Return the percentile interval of 95 %."""
    low, high = np.quantile(resampled, [0.025, 0.975])
    return float(low), float(high)


def _single_seed(tasks: Iterable[Matrix]) -> bool:
    return any(len(task) == 1 for task in tasks)

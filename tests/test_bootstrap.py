"""Bootstrap intervals: known answers, what is resampled and what is not, coverage on simulated runs."""

import numpy as np
import pytest
from scipy.stats import binom

from egorobot import bootstrap
from egorobot.bootstrap import Matrix, outcome_matrix, summarize_differences, summarize_runs
from egorobot.statistics import detectable_effect


def run_of(successes: int, episodes: int = 50) -> list[float]:
    return [float(k < successes) for k in range(episodes)]


def simulate(rng: np.random.Generator, tasks: int, seeds: int, shift: float | None = None) -> list[Matrix]:
    """Outcomes of 50 episodes at a true rate of 50 %: some states are harder than others, some training seeds worse.

    With a shift, the differences from outcomes on the same states at a rate so much lower.
    """

    def outcomes(states: Matrix, rate: float) -> Matrix:
        rates = rate + states + rng.normal(0, 0.05, (seeds, 1))
        return (rng.random((seeds, 50)) < rates).astype(np.float64)

    def task(states: Matrix) -> Matrix:
        return outcomes(states, 0.5) if shift is None else outcomes(states, 0.5) - outcomes(states, 0.5 - shift)

    return [task(rng.uniform(-0.3, 0.3, (1, 50))) for _ in range(tasks)]


def test_matrix_is_sorted_and_leaves_gaps() -> None:
    matrix = outcome_matrix({(1, 7): 1.0, (0, 9): 0.0, (0, 7): 0.5})
    np.testing.assert_array_equal(matrix, [[0.5, 0.0], [1.0, np.nan]])


def test_one_run_has_the_interval_of_its_binomial() -> None:
    summary = summarize_runs([np.array([run_of(41)])])
    expected = binom.ppf([0.025, 0.975], 50, 0.82) / 50
    assert (summary.mean, summary.iqm) == (pytest.approx(0.82), pytest.approx(0.82))
    assert summary.mean_ci95 == pytest.approx(tuple(expected), abs=0.021)
    assert summary.iqm_ci95 == summary.mean_ci95


def test_runs_that_fail_at_the_same_states_are_no_further_evidence() -> None:
    """Three copies of a run have the interval of one, which is wider than that of 150 episodes."""
    summary = summarize_runs([np.array([run_of(41)] * 3)])
    assert summary.mean_ci95 == pytest.approx(tuple(binom.ppf([0.025, 0.975], 50, 0.82) / 50), abs=0.021)
    apart = summarize_runs([np.array([np.roll(run_of(41), 17 * k) for k in range(3)])])
    assert np.ptp(apart.mean_ci95) < 0.8 * np.ptp(summary.mean_ci95)


def test_training_seeds_are_drawn_within_tasks_and_tasks_are_not() -> None:
    solved, failed = np.ones((2, 50)), np.zeros((2, 50))
    assert summarize_runs([solved, failed]).mean_ci95 == (0.5, 0.5)
    mixed = np.array([run_of(50), run_of(0)])
    assert summarize_runs([mixed]).mean_ci95 == (0.0, 1.0)
    assert summarize_runs([mixed, solved]).mean_ci95 == (0.5, 1.0)


def test_tasks_weigh_alike_in_the_mean_and_runs_in_the_interquartile_mean() -> None:
    many = np.array([run_of(good) for good in (10, 20, 30, 40, 50, 50, 50)])
    summary = summarize_runs([many, np.array([run_of(0)])])
    assert summary.mean == pytest.approx(np.mean([10, 20, 30, 40, 50, 50, 50]) / 50 / 2)
    assert summary.iqm == pytest.approx((0.4 + 0.6 + 0.8 + 1.0) / 4)
    assert summary.single_seed
    assert not summarize_runs([many]).single_seed


def test_runs_of_other_lengths_and_other_seeds_count_as_runs() -> None:
    """Rates of 0.5 and 1.0 have a mean of 0.75, though one has four times the episodes, and none in common."""
    values = {(0, k): float(k % 2) for k in range(40)} | {(1, 100 + k): 1.0 for k in range(10)}
    summary = summarize_runs([outcome_matrix(values)])
    assert summary.mean == pytest.approx(0.75)
    low, high = summary.mean_ci95
    assert 0.3 < low < 0.55 and high == 1.0


def test_numbers_do_not_depend_on_what_was_drawn_before() -> None:
    tasks = simulate(np.random.default_rng(5), 2, 3)
    first = summarize_runs(tasks), summarize_differences([task - task[:, ::-1] for task in tasks])
    np.random.default_rng().random(100)
    summarize_runs(simulate(np.random.default_rng(6), 1, 4))
    assert first == (summarize_runs(tasks), summarize_differences([task - task[:, ::-1] for task in tasks]))


def test_difference_of_a_run_has_the_normal_approximation() -> None:
    """12 against 4 of 40 pairs: standard error sqrt(16 - 8^2 / 40) / 40, z = 2.108, p = 0.035."""
    paired = summarize_differences([np.array([[1.0] * 12 + [-1.0] * 4 + [0.0] * 24])])
    assert paired.difference == pytest.approx(0.2)
    assert paired.standard_error == pytest.approx(np.sqrt(16 - 64 / 40) / 40, rel=0.03)
    assert paired.p == pytest.approx(0.035, abs=0.015)
    assert paired.ci95 is not None and paired.ci95[0] > 0


def test_p_is_symmetric() -> None:
    a, b = simulate(np.random.default_rng(1), 3, 3), simulate(np.random.default_rng(2), 3, 3)
    forth, back = (
        summarize_differences([x - y for x, y in pairs]) for pairs in (zip(a, b, strict=True), zip(b, a, strict=True))
    )
    assert forth.p == back.p is not None
    assert forth.difference == -back.difference
    assert forth.ci95 is not None and back.ci95 is not None
    assert forth.ci95 == pytest.approx((-back.ci95[1], -back.ci95[0]))


def test_balanced_pairs_give_no_evidence() -> None:
    paired = summarize_differences([np.array([[1.0, -1.0, 0.0] * 10])])
    assert (paired.difference, paired.p) == (0.0, 1.0)


@pytest.mark.parametrize(("discordant", "known"), [(5, False), (6, True)])
def test_too_few_pairs_that_differ_give_neither_interval_nor_p(discordant: int, known: bool) -> None:
    """All five on one side would look certain to a bootstrap; McNemar's p is 0.0625."""
    paired = summarize_differences([np.array([[1.0] * discordant])])
    assert paired.difference == 1.0
    assert (paired.p is not None, paired.ci95 is not None, paired.standard_error is not None) == (known,) * 3


@pytest.mark.parametrize("seeds", [3, 8])
def test_intervals_cover_the_truth(monkeypatch: pytest.MonkeyPatch, seeds: int) -> None:
    """95 % are aimed at; more is no merit, so the width is held against the spread of the means as well."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    rng, n = np.random.default_rng(0), 200
    summaries = [summarize_runs(simulate(rng, 2, seeds)) for _ in range(n)]
    mean, iqm = (
        np.mean([low <= 0.5 <= high for low, high in ends])
        for ends in ([s.mean_ci95 for s in summaries], [s.iqm_ci95 for s in summaries])
    )
    assert mean >= 0.9 and iqm >= 0.9
    widths = [np.ptp(s.mean_ci95) for s in summaries]
    spread = np.std([s.mean for s in summaries])
    assert 3.0 < np.mean(widths) / spread < 6.5, "an interval of 95 % is about 3.9 standard deviations wide"


def test_equal_policies_are_seldom_told_apart_and_detectable_differences_mostly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At most 5 % and at least 80 % are aimed at: the latter at the difference that is called detectable."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 500)
    rng, n = np.random.default_rng(0), 200
    equal = [summarize_differences(simulate(rng, 3, 3, shift=0.0)) for _ in range(n)]
    shift = detectable_effect(float(np.mean([test.standard_error for test in equal if test.standard_error])))
    unequal = [summarize_differences(simulate(rng, 3, 3, shift=shift)) for _ in range(n)]
    assert np.mean([test.difference for test in unequal]) == pytest.approx(shift, abs=0.02)
    found_wrongly, found_rightly = (
        np.mean([test.p is not None and test.p < 0.05 for test in tests]) for tests in (equal, unequal)
    )
    assert found_wrongly < 0.1
    assert 0.7 < found_rightly < 0.97


def test_p_and_interval_agree() -> None:
    """Where 0 is outside the interval p is below 0.05, and not elsewhere."""
    rng = np.random.default_rng(3)
    seen = set()
    for shift in np.linspace(0.0, 0.3, 13):
        paired = summarize_differences(simulate(rng, 1, 3, shift=float(shift)))
        assert paired.ci95 is not None and paired.p is not None
        outside = paired.ci95[0] > 0 or paired.ci95[1] < 0
        assert outside == (paired.p < 0.05)
        seen.add(outside)
    assert seen == {True, False}

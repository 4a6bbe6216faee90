"""Intervals, means and tests agree with published values, with SciPy and with their own definitions."""

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from egorobot.statistics import (
    detectable_difference,
    detectable_effect,
    format_rate,
    interquartile_mean,
    mcnemar_p,
    wilson_interval,
)


def test_published_value() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    low, high = wilson_interval(81, 263)
    assert low == pytest.approx(0.2553, abs=5e-5)
    assert high == pytest.approx(0.3662, abs=5e-5)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 50), (50, 50), (41, 50), (1, 3)])
def test_bounds_solve_the_score_equation(successes: int, n: int) -> None:
    """Each bound p lies z standard errors of p itself away from the observed rate."""
    rate, z = successes / n, 1.959963984540054
    for bound in wilson_interval(successes, n):
        assert 0.0 <= bound <= 1.0
        if bound != rate:
            assert abs(rate - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / n), rel=1e-9)


def test_certain_ends_are_exact() -> None:
    """No success starts the interval at 0 exactly; no failure ends it at 1."""
    assert wilson_interval(0, 50)[0] == 0.0
    assert wilson_interval(50, 50)[1] == 1.0


def test_more_episodes_narrow_the_interval() -> None:
    """The same rate is known better from ten times the episodes."""
    few, many = wilson_interval(4, 5), wilson_interval(400, 500)
    assert many[1] - many[0] < few[1] - few[0]


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (3, 2), (-1, 5)])
def test_impossible_counts_are_refused(successes: int, n: int) -> None:
    """A count that no evaluation can produce is a programming error, not an interval."""
    with pytest.raises(ValueError, match="successes"):
        wilson_interval(successes, n)


def test_format() -> None:
    """The rate is rounded; the counts are not."""
    assert format_rate(41, 50) == "82 % [69, 90] 41/50"


def test_interquartile_mean_by_hand() -> None:
    """Of eight rates two are left out at each end: (0.3 + 0.5 + 0.6 + 0.8) / 4. Of three, none."""
    rates = np.array([0.8, 0.0, 1.0, 0.3, 0.1, 0.5, 0.6, 0.9])
    assert interquartile_mean(rates) == pytest.approx(0.55)
    assert interquartile_mean(np.array([0.0, 0.3, 0.9])) == pytest.approx(0.4)


def test_interquartile_mean_goes_along_the_last_axis() -> None:
    """Each row is a set of runs; a failed run of four does not count."""
    rates = np.array([[0.0, 0.8, 0.8, 0.8], [0.2, 0.4, 0.6, 0.8]])
    assert interquartile_mean(rates) == pytest.approx(np.array([0.8, 0.5]))


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (5, 0), (1, 9), (12, 4), (7, 7), (80, 40)])
def test_mcnemar_is_a_sign_test(only_a: int, only_b: int) -> None:
    """It agrees with SciPy's binomial test, and does not care which is first."""
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert mcnemar_p(only_a, only_b) == pytest.approx(expected)
    assert mcnemar_p(only_a, only_b) == mcnemar_p(only_b, only_a)


@pytest.mark.parametrize(("pairs", "discordant"), [(50, 20), (150, 30), (450, 45), (22, 11)])
def test_detectable_difference_solves_its_formula(pairs: int, discordant: int) -> None:
    """Put into Connor's formula, the difference asks for just that many pairs."""
    difference, q = detectable_difference(pairs, discordant), discordant / pairs
    assert difference is not None
    needed = ((norm.ppf(0.975) * math.sqrt(q) + norm.ppf(0.8) * math.sqrt(q - difference**2)) / difference) ** 2
    assert needed == pytest.approx(pairs)


def test_detectable_difference_of_a_worked_example() -> None:
    """Discordant shares of 45 and 5 % need 23 pairs: with 22 a little more than 40 points is found, with 23 less."""
    shares = [detectable_difference(2 * half, half) for half in (11, 12)]
    assert shares[0] == pytest.approx(0.4, abs=0.001)
    assert shares[1] is not None and shares[1] < 0.4


def test_detectable_difference_is_found_as_often_as_promised() -> None:
    """The exact test's power, summed over all outcomes, is near 80 %: it is a little less than the approximation's."""
    pairs, discordant = 300, 60
    difference = detectable_difference(pairs, discordant)
    assert difference is not None
    share = (1 + difference * pairs / discordant) / 2
    n, k = np.arange(pairs + 1)[:, None], np.arange(pairs + 1)[None, :]
    rejected = (k <= n) & (2 * binom.cdf(np.minimum(k, n - k), n, 0.5) < 0.05)
    power = np.sum(binom.pmf(n, pairs, discordant / pairs) * binom.pmf(k, n, share) * rejected)
    assert 0.74 < power < 0.82


@pytest.mark.parametrize(("pairs", "discordant"), [(1, 1), (50, 0), (50, 4)])
def test_nothing_is_detectable_with_hardly_a_discordant_pair(pairs: int, discordant: int) -> None:
    """Not even all of so few discordant pairs on one side would be significant often enough."""
    assert detectable_difference(pairs, discordant) is None


@pytest.mark.parametrize(("pairs", "discordant"), [(0, 0), (5, 6), (5, -1)])
def test_impossible_pairs_are_refused(pairs: int, discordant: int) -> None:
    """As for intervals, such counts are a programming error."""
    with pytest.raises(ValueError, match="discordant"):
        detectable_difference(pairs, discordant)


def test_detectable_effect_is_that_of_the_textbook() -> None:
    """Bloom (1995): 2.8 standard errors at 0.05 and 80 %."""
    assert detectable_effect(2.0) == pytest.approx(5.6, abs=0.005)

"""Intervals, means, tests and the power of tests for success rates."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 0.05  # level of the tests
POWER = 0.8  # chance of finding the difference that is called detectable


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the Wilson score interval of a success rate.

    Wilson's interval keeps its coverage for the few dozen episodes of an
    evaluation, and stays inside [0, 1] at rates of 0 and 1, where the normal
    approximation collapses to a point.

    Args:
        successes: episodes that succeeded, in [0, n].
        n: episodes run, at least 1.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        Lower and upper end, both in [0, 1].

    Raises:
        ValueError: `n` is below 1, or `successes` is outside [0, n].
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must lie in [0, n] with n >= 1, not {successes} of {n}")
    # Imported here: it takes two seconds, and worker processes import the commands.
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, n, alpha=1.0 - confidence, method="wilson")
    # At rates of 0 and 1 the formula gives the end itself, but for rounding.
    return float(low) if successes > 0 else 0.0, float(high) if successes < n else 1.0


def format_rate(successes: int, n: int) -> str:
    """Return a success rate as people read it: ``82 % [69, 90] 41/50``."""
    low, high = wilson_interval(successes, n)
    return f"{100 * successes / n:.0f} % [{100 * low:.0f}, {100 * high:.0f}] {successes}/{n}"


def interquartile_mean(rates: "NDArray[np.float64]") -> "NDArray[np.float64]":
    """Return the mean of the middle half of `rates` along the last axis.

    A quarter of them, rounded down, is left out at each end: of fewer than four, none.
    A run that failed as a whole moves it less than it moves the mean, and it needs fewer
    runs than the median does. Source: Agarwal et al. (2021), "Deep reinforcement learning
    at the edge of the statistical precipice", section 4.3.

    Args:
        rates: (..., N), success rates of N runs.

    Returns:
        (...).
    """
    from scipy.stats import trim_mean

    return trim_mean(rates, 0.25, axis=-1)  # type: ignore[no-any-return, unused-ignore]


def mcnemar_p(only_a: int, only_b: int) -> float:
    """Return the two-sided p value of McNemar's exact test.

    Of the pairs on which two policies differ, each is as likely to be solved by the one
    as by the other if they are equally good; pairs on which they agree say nothing.
    The test takes pairs as independent.

    Args:
        only_a: pairs that only the first solved.
        only_b: pairs that only the second solved.
    """
    from statsmodels.stats.contingency_tables import mcnemar

    return float(mcnemar([[0, only_a], [only_b, 0]], exact=True).pvalue)


def detectable_difference(pairs: int, discordant: int, alpha: float = ALPHA, power: float = POWER) -> float | None:
    """Return the smallest true difference of two success rates that McNemar's test finds reliably.

    The sample size of Connor (1987), "Sample size for testing differences in proportions
    for the paired-sample design", Biometrics 43, 207-211 (after Miettinen 1968, Biometrics
    24, 339-352), solved for the difference d::

        pairs = ((z_alpha * sqrt(q) + z_beta * sqrt(q - d^2)) / d)^2

    where q = discordant / pairs. It is of the test's normal approximation; the exact test
    has a little less power.

    Args:
        pairs: number of pairs, at least 1.
        discordant: pairs on which the two differ.
        alpha: two-sided level of the test.
        power: probability of finding the difference, above 0.5.

    Returns:
        The difference, in (0, 1]. None if there is none: with as few discordant pairs,
        not even all of them in favour of one side would be found so often.

    Raises:
        ValueError: `pairs` is below 1, or `discordant` is outside [0, pairs].
    """
    if pairs < 1 or not 0 <= discordant <= pairs:
        raise ValueError(f"discordant must lie in [0, pairs] with pairs >= 1, not {discordant} of {pairs}")
    q, (z_alpha, z_beta) = discordant / pairs, _normal_quantiles(1 - alpha / 2, power)
    root = pairs + z_beta**2 - z_alpha**2
    if root < 0:
        return None
    difference = math.sqrt(q) * (math.sqrt(pairs) * z_alpha + z_beta * math.sqrt(root)) / (pairs + z_beta**2)
    return difference if 0 < difference <= q else None


def detectable_effect(standard_error: float, alpha: float = ALPHA, power: float = POWER) -> float:
    """Return the smallest true effect that a test based on `standard_error` finds with probability `power`.

    It is 2.8 standard errors at the defaults, in the unit of `standard_error`. Source:
    Bloom (1995), "Minimum detectable effects", Evaluation Review 19, 547-556.
    """
    return sum(_normal_quantiles(1 - alpha / 2, power)) * standard_error


def _normal_quantiles(*probabilities: float) -> Sequence[float]:
    from scipy.stats import norm

    return [float(norm.ppf(p)) for p in probabilities]

"""The interval agrees with published values and with its own definition."""

import math

import pytest

from egorobot.statistics import format_rate, wilson_interval


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

"""Confidence intervals of success rates."""


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

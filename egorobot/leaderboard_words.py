"""Numbers of the leaderboard as people read them."""


def percent(rate: float) -> str:
    """Return a rate in [0, 1] as ``82 %``."""
    return f"{100 * rate:.0f} %"


def interval_words(ends: tuple[float, float]) -> str:
    """Return the ends of an interval of rates in percent: ``[69, 90]``."""
    low, high = (100 * end for end in ends)
    return f"[{low:.0f}, {high:.0f}]"


def points(difference: float) -> str:
    """Return a difference of rates in percentage points: ``+9.8``."""
    return f"{round(100 * difference, 1) + 0.0:+.1f}"  # + 0.0 makes -0.0 a plain zero


def count_words(n: int, noun: str) -> str:
    """Return a number with its noun: ``1 run``, ``4 150 episodes``."""
    return f"{n:,} {noun}".replace(",", " ") + ("" if n == 1 else "s")

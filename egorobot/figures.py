"""What a benchmark says: rates, ratios, shares and peak memory, each in one line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Comparison:
    """Two rates of the same work, measured one after the other.

    Attributes:
        subject: what is done.
        unit: of both rates, each second.
        ours: our way, and its rate.
        usual: the usual way, and its rate.
    """

    subject: str
    unit: str
    ours: tuple[str, float]
    usual: tuple[str, float]

    @property
    def ratio(self) -> float:
        """How many times faster our way is."""
        return self.ours[1] / self.usual[1]

    def __str__(self) -> str:
        sides = ", ".join(f"{name} {value:.3g} {self.unit}/s" for name, value in (self.ours, self.usual))
        return f"{self.subject}: {self.ratio:.1f} times ({sides})"


@dataclass(frozen=True)
class Rate:
    """How much of something is done in a second."""

    subject: str
    unit: str
    rate: float

    def __str__(self) -> str:
        return f"{self.subject}: {self.rate:.3g} {self.unit}/s"


@dataclass(frozen=True)
class Share:
    """A part of a whole, in [0, 1], and what the whole is."""

    subject: str
    share: float
    whole: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.share:.1%} of {self.whole}"


@dataclass(frozen=True)
class Growth:
    """How time and memory grow when the work does.

    Attributes:
        subject: what is done.
        times: how many times larger the work was.
        seconds: what the smaller and the larger work took, in s.
        peaks: the most memory that each held at a time, in bytes.
    """

    subject: str
    times: float
    seconds: tuple[float, float]
    peaks: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Time of the larger work over that of the smaller one, by how much more it was: 1 is in proportion."""
        return self.seconds[1] / (self.seconds[0] * self.times)

    def __str__(self) -> str:
        (small, large), (low, high) = self.seconds, (peak / 1e9 for peak in self.peaks)
        return (
            f"{self.subject}, {self.times:g} times the work: {large / small:.1f} times the time "
            f"({small:.0f} s, {large:.0f} s), peak memory {low:.2f} GB and {high:.2f} GB"
        )


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that a command and its children held at a time, in bytes."""

    subject: str
    peak: float

    def __str__(self) -> str:
        return f"peak memory of {self.subject}: {self.peak / 1e9:.2f} GB"


Figure = Comparison | Rate | Share | Growth | PeakMemory


def rate(action: Callable[[], Any], seconds: float) -> float:
    """Return how often a second `action` can be done, the first time not counted."""
    action()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        action()
        count += 1
    return count / (time.perf_counter() - start)

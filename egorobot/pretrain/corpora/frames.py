"""Which frames of a clip a sample is made of."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

ROUNDING = 5e-4  # s: times are annotated in ms, and some files keep them so


class ModelSizes(Protocol):
    """The fields of a model's configuration that say what it sees."""

    @property
    def num_frames(self) -> int: ...  # noqa: D102
    @property
    def fast_ratio(self) -> int: ...  # noqa: D102
    @property
    def frame_rate(self) -> float: ...  # noqa: D102
    @property
    def image_size(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class ClipFrames:
    """Frames of the samples of a corpus.

    Attributes:
        num_frames: of the high-rate stream, lambda * T.
        fast_ratio: lambda.
        frame_rate: of the high-rate stream, in Hz; None spreads the frames over the clip,
            however long it is.
        short_side: of a frame, in pixels; smaller videos are left as they are.
    """

    num_frames: int
    fast_ratio: int
    frame_rate: float | None
    short_side: int

    def times(self, start: float, end: float) -> NDArray[np.float64]:
        """Return when the frames of a clip from `start` to `end` are, all in s, (num_frames,).

        With a rate they lie around the clip's middle, and reach beyond a clip that is
        shorter than they are. Without one, the clip is cut into as many equal parts, and
        the middle of each is shown, as EgoVideo does when it is evaluated.
        """
        frames = np.arange(self.num_frames, dtype=np.float64)
        if self.frame_rate is None:
            return start + (frames + 0.5) * (end - start) / self.num_frames
        middle = (start + end) / 2
        return middle + (frames - (self.num_frames - 1) / 2) / self.frame_rate


@dataclass(frozen=True)
class SteadyFrames:
    """All of a clip, at one rate.

    Attributes:
        frame_rate: in Hz.
        short_side: of a frame, in pixels; smaller videos are left as they are.
    """

    frame_rate: float
    short_side: int
    fast_ratio: int = 1

    def times(self, start: float, end: float) -> NDArray[np.float64]:
        """Return when the frames of a clip from `start` to `end` are, all in s, one at least."""
        return start + np.arange(max(1, int((end - start) * self.frame_rate + ROUNDING))) / self.frame_rate


def scaled_size(width: int, height: int, short_side: int) -> tuple[int, int]:
    """Return width and height with the shorter one reduced to `short_side`, or as they are if it is smaller."""
    scale = min(1.0, short_side / min(width, height))
    return round(width * scale), round(height * scale)

"""Which frames of an episode an encoder sees: one rule for datasets and for run time."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.protocols import CONTROL_RATE


def history_stride(frame_rate: float | None) -> int:
    """Return the control steps from one frame of a history to the next, at least 1.

    Args:
        frame_rate: frames a second that the encoder wants (Hz); None is every step.
    """
    return 1 if frame_rate is None else max(1, round(CONTROL_RATE / frame_rate))


def history_indices(step: int, num_frames: int, frame_rate: float | None) -> NDArray[np.int64]:
    """Return which of an episode's frames make up the history at `step`.

    Args:
        step: index of the current observation in its episode, from 0.
        num_frames: frames in the history, the current one included.
        frame_rate: their rate (Hz); None is the control rate.

    Returns:
        (num_frames,) indices, oldest first, the last one `step`. Before the episode is
        long enough its first frame is repeated.

    >>> history_indices(5, 4, 6.25)
    array([0, 1, 3, 5])
    """
    ages = np.arange(num_frames - 1, -1, -1) * history_stride(frame_rate)
    return np.maximum(step - ages, 0)


class FrameHistory:
    """The frames of one episode so far, as far back as a history reaches.

    Args:
        num_frames: frames in the history, the current one included.
        frame_rate: their rate (Hz); None is the control rate.
    """

    def __init__(self, num_frames: int, frame_rate: float | None) -> None:
        self.num_frames = num_frames
        self.frame_rate = frame_rate
        reach = history_stride(frame_rate) * (num_frames - 1) + 1
        self._frames: deque[NDArray[np.uint8]] = deque(maxlen=reach)

    def clear(self) -> None:
        """Begin an episode."""
        self._frames.clear()

    def append(self, frame: NDArray[np.uint8]) -> None:
        """Add the frame (H, W, 3) of the current step."""
        self._frames.append(frame)

    def stack(self) -> NDArray[np.uint8]:
        """Return the history at the current step, (num_frames, H, W, 3)."""
        # A full deque begins exactly where the history does, so counting from its first
        # frame and counting from the episode's give the same frames.
        indices = history_indices(len(self._frames) - 1, self.num_frames, self.frame_rate)
        return np.stack([self._frames[i] for i in indices])

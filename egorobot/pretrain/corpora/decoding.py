"""Opening video files: which decoders there are, and what each of them does."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.corpora.pyav_reader import PyAVReader
from egorobot.pretrain.corpora.torchcodec_reader import TorchCodecReader, check_torchcodec

DECODERS = ("pyav", "torchcodec")


class VideoReader(Protocol):
    """An open video file. Second 0 is its first frame.

    Attributes:
        seconds: how long it is, in s; None where the file does not say.
        frame_interval: from frame to frame, in s, on average.
    """

    seconds: float | None
    frame_interval: float

    def frames_at(self, times: Sequence[float], short_side: int) -> NDArray[np.uint8]:
        """Return the frames that are shown at `times`, uint8 (F, H, W, 3).

        Args:
            times: in s, ascending; they may lie before the first frame and behind the
                last, but no more than the interval between two frames.
            short_side: of the frames, in pixels; smaller videos are left as they are.

        Raises:
            BadClip: there are no such frames, or they cannot be decoded.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


def check_decoder(name: str) -> None:
    """Check that the decoder called `name` can be used.

    Raises:
        UserError: there is no such decoder, or it cannot be used here.
    """
    if name not in DECODERS:
        raise UserError(f"unknown decoder '{name}': choose one of {', '.join(DECODERS)}")
    if name == "torchcodec":
        check_torchcodec()


def open_video(path: Path, decoder: str = "pyav", threads: int = 1) -> VideoReader:
    """Return the video file `path`, open; close it by leaving its `with` block.

    Args:
        path: the file.
        decoder: "pyav", or "torchcodec", which does not notice all damage that PyAV does.
        threads: that decode.

    Raises:
        BadClip: it is no video that can be decoded.
    """
    return TorchCodecReader(path, threads) if decoder == "torchcodec" else PyAVReader(path, threads)

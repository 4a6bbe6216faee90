"""Reading single frames out of a video file with torchcodec, where that is installed."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.corpora.frames import ROUNDING, scaled_size
from egorobot.pretrain.samples import BadClip


def check_torchcodec() -> None:
    """Check that torchcodec can be used.

    Raises:
        UserError: it is not installed, or does not find FFmpeg.
    """
    try:
        importlib.import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError) as error:
        raise UserError(
            f"decoder=torchcodec cannot be used ({str(error).strip().splitlines()[0]}): install torchcodec and FFmpeg"
        ) from error


class TorchCodecReader:
    """An open video file, decoded by torchcodec; see `VideoReader`.

    Args:
        path: the file.
        threads: that decode.

    Raises:
        BadClip: it is no video that can be decoded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        self.threads = threads
        try:
            metadata = _decoder(path, threads).metadata
        except (RuntimeError, ValueError, OSError) as error:
            raise BadClip(f"{path} is no video that can be decoded: {_reason(error)}") from error
        if not (metadata.width and metadata.height and metadata.num_frames):
            raise BadClip(f"{path} has no frames")
        self._begin, self._end = metadata.begin_stream_seconds, metadata.end_stream_seconds
        self._width, self._height = metadata.width, metadata.height
        self.seconds: float | None = self._end - self._begin
        self.frame_interval = 1 / metadata.average_fps if metadata.average_fps else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Do nothing: torchcodec closes the file when its decoder is no longer used."""

    def frames_at(self, times: Sequence[float], short_side: int) -> NDArray[np.uint8]:
        """Return the frames that are shown at `times`; see `VideoReader`."""
        if times[0] < -self.frame_interval - ROUNDING or times[-1] > self._end - self._begin + self.frame_interval:
            raise BadClip(f"{self.path} has no frames from {times[0]:.2f} to {times[-1]:.2f} s")
        width, height = scaled_size(self._width, self._height, short_side)
        last = self._end - self.frame_interval / 2
        try:
            resize = importlib.import_module("torchcodec.transforms").Resize((height, width))
            seconds = [min(max(self._begin + time + ROUNDING, self._begin), last) for time in times]
            return _decoder(self.path, self.threads, [resize]).get_frames_played_at(seconds).data.numpy()
        except (RuntimeError, ValueError, IndexError) as error:
            raise BadClip(f"{self.path} cannot be decoded: {_reason(error)}") from error


def _decoder(path: Path, threads: int, transforms: Sequence[Any] = ()) -> Any:
    # Exact: a frame's time is looked up, instead of being taken from the average rate.
    options = {"dimension_order": "NHWC", "num_ffmpeg_threads": threads, "seek_mode": "exact"}
    return importlib.import_module("torchcodec.decoders").VideoDecoder(path, transforms=transforms, **options)


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

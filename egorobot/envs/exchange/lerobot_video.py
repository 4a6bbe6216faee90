"""The images of one camera in MP4 files: many episodes in each, every frame at its own time."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.protocols import CONTROL_RATE
from egorobot.errors import UserError

RATE = Fraction(CONTROL_RATE)  # 25/2: exact
CODEC = "libx264"
# lerobot 0.4.4, when it takes episodes out of a video, writes the others at the whole number
# below their rate, and so at wrong times: more than this share of a frame is noticed.
LATENESS = 0.25
GROUP = 2  # frames from one that stands for itself to the next: readers jump about, as in LeRobot's own videos


@dataclass(frozen=True)
class VideoSettings:
    """How images become video.

    Attributes:
        pix_fmt: `yuv444p`, colours at full resolution; or `yuv420p`, which every player knows.
        crf: 0 loses nothing but rounding on the way to YUV and back; 18 is hard to tell by eye.
    """

    pix_fmt: str = "yuv444p"
    crf: int = 0

    def check(self, images: NDArray[np.uint8]) -> None:
        """Check that frames like `images` (N, H, W, 3) can be written so.

        Raises:
            UserError: an unknown pixel format, a number out of range, or an odd size.
        """
        if self.pix_fmt not in ("yuv444p", "yuv420p") or not 0 <= self.crf <= 51:
            raise UserError(f"pix_fmt={self.pix_fmt}, crf={self.crf}: choose yuv444p or yuv420p, and 0 to 51")
        if self.pix_fmt == "yuv420p" and any(size % 2 for size in images.shape[1:3]):
            raise UserError(f"pix_fmt=yuv420p takes even sizes, not {images.shape[1]} pixels: choose yuv444p")

    def describe(self) -> dict[str, Any]:
        """Return what `meta/info.json` says of the codec."""
        return {"codec": "h264", "pix_fmt": self.pix_fmt}


class VideoFile:
    """An MP4 file being written.

    Args:
        path: file to write.
        size: height and width of a frame.
        settings: how images become video.

    Attributes:
        num_frames: frames written so far.
        num_bytes: their size.
    """

    def __init__(self, path: Path, size: tuple[int, int], settings: VideoSettings) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        options = {"crf": str(settings.crf), "g": str(GROUP), "bf": "0"}
        self._container = av.open(str(path), "w")
        self._stream = cast(Any, self._container.add_stream(CODEC, rate=RATE, options=options))
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = settings.pix_fmt
        self._stream.codec_context.thread_count = 1  # the same bytes on every machine
        self.num_frames = 0
        self.num_bytes = 0

    def append(self, images: NDArray[np.uint8]) -> None:
        """Write frames (N, H, W, 3)."""
        for image in images:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = self.num_frames, 1 / RATE
            self._mux(frame)
            self.num_frames += 1

    def close(self) -> None:
        """Finish the file."""
        self._mux(None)
        self._container.close()

    def _mux(self, frame: av.VideoFrame | None) -> None:
        packets = self._stream.encode(frame)
        self.num_bytes += sum(packet.size for packet in packets)
        self._container.mux(packets)


def read_frames(path: Path, start: float, count: int, rate: float) -> NDArray[np.uint8]:
    """Return frames of a video, (count, H, W, 3).

    Args:
        path: the file.
        start: time of the first, in s.
        count: how many.
        rate: frames a second.

    Raises:
        UserError: the file is missing, damaged, or does not have these frames at these times.
    """
    try:
        with av.open(str(path)) as container:
            timed = list(_decode(container, start - 0.5 / rate, count))
    except (av.error.FFmpegError, OSError, IndexError, ValueError) as error:
        raise UserError(f"{path} is missing, damaged, or no video: fetch the dataset again") from error
    if len(timed) < count:
        raise UserError(f"{path} has {len(timed)} frames from {start:.2f} s on, {count} are needed: fetch it again")
    late = [time - start - step / rate for step, (time, _) in enumerate(timed)]
    if (largest := max(map(abs, late))) > LATENESS / rate:
        raise UserError(
            f"{path} has a frame {1000 * largest:.0f} ms off its time: images would not go with actions, "
            "export or fetch the dataset again"
        )
    return np.stack([image for _, image in timed])


def _decode(container: Any, start: float, count: int) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Yield `count` frames from the time `start` on, each with its time."""
    stream = container.streams.video[0]
    container.seek(max(0, int(start / stream.time_base)), stream=stream)
    for frame in container.decode(stream):
        if frame.time is not None and frame.time >= start:
            yield frame.time, frame.to_ndarray(format="rgb24")
            count -= 1
        if count == 0:
            return

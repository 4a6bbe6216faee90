"""Reading single frames out of a video file with PyAV, without decoding more of it than that takes."""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from egorobot.pretrain.corpora.frames import ROUNDING, scaled_size
from egorobot.pretrain.samples import BadClip

# Without these, FFmpeg's decoders paint over what they cannot read.
STRICT = {"err_detect": "crccheck+explode"}
# Decoders that can be told, packet by packet, to leave out frames that no other is made from.
CAN_SKIP = ("h264", "hevc")
BACKWARD = (0.0, 1.0, 10.0)  # s before the first wanted frame, where a keyframe is looked for


class PyAVReader:
    """An open video file, decoded by FFmpeg's libraries through PyAV; see `VideoReader`.

    Args:
        path: the file.
        threads: that decode.

    Raises:
        BadClip: it is no video that can be decoded.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = path
        try:
            self._container = av.open(str(path), metadata_errors="ignore")  # a title is no reason to refuse
        except (av.FFmpegError, OSError, ValueError) as error:
            raise BadClip(f"{path} is no video: {_reason(error)}") from error
        stream = next(iter(self._container.streams.video), None)
        # A stream that is cut off in its header has no decoder: using it would end the process.
        if stream is None or stream.codec_context is None or not stream.time_base:
            self._container.close()
            raise BadClip(f"{path} has no video that can be decoded")
        stream.codec_context.thread_count = threads
        stream.codec_context.options = STRICT
        self._stream = stream
        self._time_base = float(stream.time_base)
        self._start = stream.start_time or 0
        self.seconds = self._duration()
        self.frame_interval = 1 / float(stream.average_rate) if stream.average_rate else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._container.close()

    def frames_at(self, times: Sequence[float], short_side: int) -> NDArray[np.uint8]:
        """Return the frames that are shown at `times`; see `VideoReader`."""
        try:
            packets = self._packets(times[0], times[-1])
            shown = self._shown(packets, times)
            images = self._decode(packets, set(shown), short_side)
            return np.stack([images[pts] for pts in shown])
        except (av.FFmpegError, OSError, ValueError, OverflowError) as error:
            raise BadClip(f"{self.path} cannot be decoded: {_reason(error)}") from error

    def _duration(self) -> float | None:
        if self._stream.duration is not None:
            return float(self._stream.duration) * self._time_base
        if self._container.duration is None:
            return None
        # Matroska's: when its last frame ends, counted like the frames' own times.
        return self._container.duration / av.time_base - self._start * self._time_base

    def _packets(self, first: float, last: float) -> list[Any]:
        """Return the undecoded frames from the keyframe before `first` on, to one after `last`."""
        packets: list[Any] = []
        starts = [max(self._start, self._pts(first - back)) for back in BACKWARD]
        for start in dict.fromkeys([*starts, self._start]):
            self._container.seek(start, stream=self._stream)
            packets = []
            for packet in self._container.demux(self._stream):
                if packet.size and packet.pts is None:
                    raise BadClip(f"{self.path} has frames without a time")
                if packet.size:
                    packets.append(packet)
                if packet.dts is not None and packet.dts > self._pts(last):
                    break
            # Files are searched by when frames are decoded, and a keyframe may be shown much later.
            if packets and packets[0].pts <= self._pts(first):
                break
        # Frames shown before the keyframe they follow need some that were not read.
        return [packet for packet in packets if packet.pts >= packets[0].pts]

    def _shown(self, packets: list[Any], times: Sequence[float]) -> list[int]:
        """Return the frame that is shown at each of `times`, named by its time in the file's own count."""
        known = sorted({packet.pts for packet in packets})
        if not known:
            raise BadClip(f"{self.path} has no frames")
        interval = max(self.frame_interval / self._time_base, packets[-1].duration or 0)
        shown = []
        for time in times:
            pts = self._pts(time)
            # A frame is shown for one interval; the last one may be for another.
            if pts < known[0] - interval or pts > known[-1] + 2 * interval:
                raise BadClip(f"{self.path} has no frame at {time:.2f} s: it ends at {self._second(known[-1]):.2f} s")
            shown.append(known[max(0, bisect_right(known, pts) - 1)])
        return shown

    def _decode(self, packets: list[Any], wanted: set[int], short_side: int) -> dict[int, NDArray[np.uint8]]:
        context, resize = self._stream.codec_context, VideoReformatter()
        can_skip, last = context.name in CAN_SKIP, max(wanted)
        images: dict[int, NDArray[np.uint8]] = {}
        for packet in [*packets, None]:  # None: what the decoder still holds
            if packet is not None and packet.is_corrupt and packet.pts <= last:
                raise BadClip(f"{self.path} is cut off or damaged at {self._second(packet.pts):.2f} s")
            if packet is not None and can_skip:
                context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            for frame in context.decode(packet):
                if frame.is_corrupt and frame.pts is not None and frame.pts <= last:
                    raise BadClip(f"{self.path} is damaged at {self._second(frame.pts):.2f} s")
                if frame.pts in wanted:
                    images[frame.pts] = _image(frame, short_side, resize)
            if len(images) == len(wanted):
                return images
        missing = min(wanted - images.keys())
        raise BadClip(f"{self.path} is damaged: its frame at {self._second(missing):.2f} s cannot be decoded")

    def _pts(self, time: float) -> int:
        """Return the file's own count for `time`, in s."""
        return self._start + int((time + ROUNDING) / self._time_base)

    def _second(self, pts: int) -> float:
        return (pts - self._start) * self._time_base


def _image(frame: Any, short_side: int, resize: VideoReformatter) -> NDArray[np.uint8]:
    width, height = scaled_size(frame.width, frame.height, short_side)
    rgb = resize.reformat(frame, width, height, "rgb24", interpolation=Interpolation.BILINEAR, threads=1)
    # Phones film as they are held, and note how the picture is to be turned.
    return np.rot90(rgb.to_ndarray(), round(frame.rotation / 90))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or " ".join(str(error).split())

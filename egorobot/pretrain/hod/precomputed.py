"""Outputs of the 100DOH hand-object detector (Shan et al. 2020), made elsewhere and kept as files."""

from pathlib import Path, PurePosixPath

import numpy as np

from egorobot.errors import UserError
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections
from egorobot.pretrain.hod.frame_lines import FrameFile, open_frames
from egorobot.pretrain.samples import BadClip

ROUNDING = 1e-3  # s: some write times in ms


class Precomputed:
    """Reads detections from `<folder>/<video_id>.jsonl`, one JSON object a line for one frame of the video.

    A line has `time` (in s, in the video), `width` and `height` (of the frame the detector
    saw, in pixels), `hands` and `objects`: rows as 100DOH's `hand_dets` and `obj_dets` have
    them, or null where that is None. A hand is `[x1, y1, x2, y2, score, state, offset
    magnitude, offset dx, offset dy, side]` in pixels, with state 0 to 4 for N, S, O, P, F,
    and side 0 for left, 1 for right. An object begins with `[x1, y1, x2, y2, score]`.
    Lines may be in any order.

    A frame of a clip takes the line that is nearest in time, if that is at most half a
    frame interval of the clip (and 1 ms for rounding) away; else nothing is detected in it.

    Args:
        folder: of the files; a video's name may have slashes.

    Raises:
        UserError: there is no such folder.
    """

    name = "precomputed"

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise UserError(f"no folder {folder} of detections: check where they are; it must hold <video_id>.jsonl")
        self.folder = folder

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return what the file of the clip's video says of each frame.

        Raises:
            BadClip: there is no file, its name would lie outside the folder, a line of it
                cannot be read, or one that the clip needs makes no sense.
        """
        frames = open_frames(self._file(clip.annotated.video_id))
        tolerance = 0.5 / clip.frame_rate + ROUNDING
        found = []
        for time in clip.times:
            number = _nearest(frames, clip.annotated.start + clip.first + float(time), tolerance)
            hands, objects = frames.detections(number) if number is not None else ([], [])
            found.append(FrameDetections(float(time), hands, objects))
        return found

    def _file(self, video_id: str) -> Path:
        name = PurePosixPath(f"{video_id}.jsonl")
        if name.is_absolute() or ".." in name.parts:
            raise BadClip(f"video {video_id}: its name leads out of {self.folder}")
        return self.folder / name


def _nearest(frames: FrameFile, time: float, tolerance: float) -> int | None:
    """Return which line is nearest to `time`, None where all are farther than `tolerance`, both in s."""
    after = int(np.searchsorted(frames.times, time))
    near = [i for i in (after - 1, after) if 0 <= i < len(frames.times) and abs(frames.times[i] - time) <= tolerance]
    return min(near, key=lambda i: abs(frames.times[i] - time), default=None)

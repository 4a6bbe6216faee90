"""Hands, object and contact of simulated clips, as the simulator had them."""

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import Box, FrameDetections, HandDetection, ObjectDetection
from egorobot.pretrain.samples import SIDES

SURE = 1.0  # score of the truth


class SimulatorTruth:
    """Tells what a clip's own ground truth tells: an upper bound for every other detector."""

    name = "simulator"

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return what is in view in each frame of `clip`; a hand's contact is "P" or "N".

        Raises:
            UserError: the clip has no ground truth.
        """
        if clip.tracks is None:
            raise UserError(
                f"clip {clip.annotated.clip_id} has no ground truth: "
                "detector=simulator needs a corpus with it (corpus=simulated_hands, or shards of it)"
            )
        tracks = clip.tracks
        return [
            FrameDetections(float(time), _hands(boxes, contact), _objects(thing))
            for time, boxes, contact, thing in zip(clip.times, tracks.hands, tracks.contact, tracks.object, strict=True)
        ]


def _hands(boxes: NDArray[np.float32], contact: NDArray[np.bool_]) -> list[HandDetection]:
    """Return the hands in view, of boxes (2, 4) and contact (2,)."""
    seen = zip(SIDES, map(_in_view, boxes), contact, strict=True)
    return [HandDetection(side, box, SURE, "P" if touches else "N") for side, box, touches in seen if box is not None]


def _objects(thing: NDArray[np.float32]) -> list[ObjectDetection]:
    box = _in_view(thing)
    return [] if box is None else [ObjectDetection(box, SURE)]


def _in_view(box: NDArray[np.float32]) -> Box | None:
    """Return the part of a box (4,) that lies in the image; None where there is none, or the box is NaN."""
    left, top, right, bottom = np.clip(box, 0, 1).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None  # false for NaN too

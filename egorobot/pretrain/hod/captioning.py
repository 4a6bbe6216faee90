"""One clip to one record: detections, tracks, events, caption, verdict."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.detections import FrameDetections
from egorobot.pretrain.hod.events import find_events
from egorobot.pretrain.hod.faithfulness import find_faults
from egorobot.pretrain.hod.narrations import UNNAMED, object_name, words_of
from egorobot.pretrain.hod.sentences import TEMPLATE, caption
from egorobot.pretrain.hod.tracking import to_tracks

# Verdicts.
NOTHING_SEEN = "nothing seen"
FAITHFUL = "faithful"
UNFAITHFUL = "unfaithful"
# Of a record, in order; texts but for the numbers.
FIELDS = (
    "clip_id", "dataset", "video_id", "start_second", "end_second", "narration", "object", "detector", "frame_rate",
    "tracks", "events", "rephraser", "caption", "verdict", "faults",
)  # fmt: skip
NUMBERS = ("start_second", "end_second", "frame_rate")


class Detector(Protocol):
    """Finds hands and objects in the frames of a clip.

    Attributes:
        name: what it is called in records.
    """

    name: str

    def detect(self, frames: NDArray[np.uint8], times: NDArray[np.float64]) -> list[FrameDetections]:
        """Return what is in each of `frames`, uint8 (F, H, W, 3), at `times` (F,), ascending, in s."""


@dataclass(frozen=True)
class Captioner:
    """Makes the record of a clip.

    Attributes:
        detector: finds hands and objects.
        frame_rate: of the frames it is given, in Hz.
        max_gap: longest time without a detection that is filled, in s.
    """

    detector: Detector
    frame_rate: float
    max_gap: float

    def record(self, clip: AnnotatedClip, frames: NDArray[np.uint8]) -> dict[str, Any]:
        """Return all that is known of `clip`, with its caption, as Parquet holds it.

        Args:
            clip: where it is, and its narrations.
            frames: uint8, (F, H, W, 3).
        """
        times = np.arange(len(frames)) / self.frame_rate
        tracks = to_tracks(self.detector.detect(frames, times), self.max_gap)
        narration = clip.narrations[0] if clip.narrations else ""
        noun = object_name(narration)
        events = find_events(tracks, self.frame_rate, noun)
        text = caption(events)
        faults = find_faults(text, events, [noun, UNNAMED], words_of(narration))
        return {
            "clip_id": clip.clip_id,
            "dataset": clip.dataset,
            "video_id": clip.video_id,
            "start_second": clip.start,
            "end_second": clip.end,
            "narration": narration,
            "object": noun,
            "detector": self.detector.name,
            "frame_rate": self.frame_rate,
            "tracks": json.dumps(np.round(tracks.to_array().astype(float), 4).tolist()),
            "events": json.dumps([asdict(event) for event in events]),
            "rephraser": TEMPLATE,
            "caption": text,
            "verdict": NOTHING_SEEN if not text else UNFAITHFUL if faults else FAITHFUL,
            "faults": json.dumps([asdict(fault) for fault in faults]),
        }

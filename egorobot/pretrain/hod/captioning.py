"""One clip to a draft: detections, tracks, events, and the template's caption of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections
from egorobot.pretrain.hod.events import Event, find_events
from egorobot.pretrain.hod.faithfulness import Fault, find_faults
from egorobot.pretrain.hod.narrations import UNNAMED, object_name, words_of
from egorobot.pretrain.hod.sentences import caption
from egorobot.pretrain.hod.tracking import to_tracks
from egorobot.pretrain.samples import HandObjectTracks


class Detector(Protocol):
    """Finds hands and objects in the frames of a clip.

    Attributes:
        name: what it is called in records.
    """

    name: str

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return what is in each frame of `clip`, at its times.

        Raises:
            BadClip: nothing can be told of this clip; the job goes on without it.
            UserError: nothing can be told of any clip.
        """


@dataclass(frozen=True)
class Draft:
    """What is known of a clip before a language model has seen it.

    Attributes:
        clip: which stretch of which video it is, and what people said of it.
        detector: what found the hands.
        frame_rate: of the tracks, in Hz.
        tracks: where hands and the object are.
        noun: what the object is called.
        events: what happens, in order of time.
        template: the sentence made of them; "" where nothing happens.
        first: when the first frame is, in s from the clip's start.
    """

    clip: AnnotatedClip
    detector: str
    frame_rate: float
    tracks: HandObjectTracks
    noun: str
    events: Sequence[Event]
    template: str
    first: float = 0.0

    @property
    def narration(self) -> str:
        """The first that people gave, "" without any."""
        return self.clip.narrations[0] if self.clip.narrations else ""

    def faults(self, text: str) -> list[Fault]:
        """Return what is wrong in a caption of this clip, none where it is faithful."""
        return find_faults(text, self.events, [self.noun, UNNAMED], words_of(self.narration))


@dataclass(frozen=True)
class Drafter:
    """Makes drafts.

    Attributes:
        detector: finds hands and objects.
        max_gap: longest time without a detection that is filled, in s.
    """

    detector: Detector
    max_gap: float

    def draft(self, clip: HodClip) -> Draft:
        """Return what is known of `clip`.

        Raises:
            BadClip: the detector can tell nothing of it.
        """
        tracks = to_tracks(self.detector.detect(clip), self.max_gap)
        narrations = clip.annotated.narrations
        noun = object_name(narrations[0]) if narrations else UNNAMED
        events = find_events(tracks, clip.frame_rate, noun)
        return Draft(
            clip.annotated, self.detector.name, clip.frame_rate, tracks, noun, events, caption(events), clip.first
        )

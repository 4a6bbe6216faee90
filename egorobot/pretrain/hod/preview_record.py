"""What previews show of a record: its fields, read once, with something sensible where one is missing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.events import Event
from egorobot.pretrain.samples import HandObjectTracks

UNKNOWN = "no verdict"
OBJECT = "object"  # what an object without a name is called
SHOWN_SECONDS = 0.3  # least time that an event is shown: taking and releasing take none
# What the record tells of its own making, and what it is called on the page.
DETAILS = {
    "dataset": "data set", "detector": "detector", "rephraser": "rephraser", "model": "model",
    "prompt_version": "prompt",
}  # fmt: skip


@dataclass(frozen=True)
class Attempt:
    """A caption that was made, and what was wrong with it: kinds of faults and their reasons."""

    caption: str
    faults: list[tuple[str, str]]


@dataclass(frozen=True)
class PreviewRecord:
    """What is shown of a clip.

    Attributes:
        clip_id: its name.
        span: from when to when it is in its video, in s.
        seconds: how long its frames last.
        narration: what people said of it.
        noun: what the object is called.
        caption: the text that was made.
        verdict: on that text.
        faults: what is wrong with it, kinds and reasons.
        attempts: captions that were made on the way.
        events: in order of time.
        tracks: boxes, None where there are none.
        frame_rate: of the tracks, in Hz.
        details: how the record came about, by name.
    """

    clip_id: str
    span: tuple[float, float]
    seconds: float
    narration: str
    noun: str
    caption: str
    verdict: str
    faults: list[tuple[str, str]]
    attempts: list[Attempt]
    events: list[Event]
    tracks: HandObjectTracks | None
    frame_rate: float
    details: dict[str, str]

    @classmethod
    def of(cls, record: dict[str, Any], clip: HodClip) -> "PreviewRecord":
        """Return what is shown of the `record` of `clip`; every field may be missing or None."""
        annotated = clip.annotated
        start, end = (record.get(name) for name in ("start_second", "end_second"))
        tracks = _read_json(record, "tracks")
        return cls(
            clip_id=clean(record.get("clip_id") or annotated.clip_id),
            span=(annotated.start if start is None else start, annotated.end if end is None else end),
            seconds=len(clip.frames) / clip.frame_rate,
            narration=clean(record.get("narration") or " / ".join(annotated.narrations)),
            noun=clean(record.get("object") or OBJECT),
            caption=clean(record.get("caption")),
            verdict=clean(record.get("verdict")) or UNKNOWN,
            faults=_read_faults(_read_json(record, "faults")),
            attempts=[
                Attempt(clean(attempt.get("caption")), _read_faults(attempt.get("faults") or []))
                for attempt in _read_json(record, "attempts")
            ],
            events=[_read_event(values) for values in _read_json(record, "events")],
            tracks=HandObjectTracks.from_array(np.array(tracks, np.float32)) if tracks else None,
            frame_rate=record.get("frame_rate") or clip.frame_rate,
            details={word: clean(record[name]) for name, word in DETAILS.items() if record.get(name)},
        )

    def row(self, time: float) -> int | None:
        """Return which row of the tracks is at `time`, in s from the first frame; None where there is none."""
        number = round(time * self.frame_rate)
        return number if self.tracks is not None and number < len(self.tracks.hands) else None

    def events_at(self, time: float, side: str) -> Iterator[Event]:
        """Yield what the hand of a side does at `time`, in s from the first frame."""
        slack = 1e-6  # times are sums of steps that binary fractions do not hold
        for event in self.events:
            if event.side == side and event.start - slack <= time <= max(event.end, event.start + SHOWN_SECONDS):
                yield event


def event_words(event: Event) -> str:
    """Return an event in a word or two, such as "carry cup"."""
    return clean(f"{event.kind} {event.noun}")


def clean(value: Any) -> str:
    """Return a value as one line of text that can be drawn and written as UTF-8; "" for None."""
    text = "" if value is None else str(value)
    line = " ".join(text.encode("utf-8", "replace").decode("utf-8").split())
    return "".join(letter for letter in line if letter.isprintable())


def _read_json(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    return (json.loads(value) if isinstance(value, str) and value else value) or []


def _read_faults(faults: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(clean(fault.get("kind")), clean(fault.get("reason"))) for fault in faults]


def _read_event(values: dict[str, Any]) -> Event:
    known = {field.name for field in fields(Event)}
    return Event(**{name: value for name, value in values.items() if name in known})

"""Timed events in tracks of hands and an object: what moved, which way and when, and what touched what.

Places and moves are those in the image. A camera that moves adds its own motion to them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.turns import cosine, split_at_turns
from egorobot.pretrain.samples import SIDES, HandObjectTracks

MIN_MOVE = 0.04  # of the image's side; less is no move
MINOR = 0.5  # of the larger part of a move, from which the smaller part is worth a word
ALIGNED = 0.7  # cosine from which a move leads to an object, or away from it
DIRECTIONS = (("to the left", "to the right"), ("up", "down"))  # along the image's axes
ROWS = ("upper", "middle", "lower")
COLUMNS = ("left", "centre", "right")
BOTH = "both"  # the side of an event between the hands

Point = tuple[float, float]  # from left and from top, in [0, 1]


@dataclass(frozen=True)
class Event:
    """Something that a hand does.

    Attributes:
        kind: "reach" for the object, "withdraw" from it or "move" while free; "take" it,
            "carry" it or "hold" it still, "release" it; and of both hands "approach" and
            "part".
        side: "left", "right" or "both".
        start: in s from the clip's first frame.
        end: the same.
        noun: the object's name, "" where none takes part.
        origin: where the hand is at the start; for "carry", where the object is.
        target: the same at the end.
    """

    kind: str
    side: str
    start: float
    end: float
    noun: str = ""
    origin: Point = (0.5, 0.5)
    target: Point = (0.5, 0.5)

    @property
    def move(self) -> Point:
        """How far to the right and down, in sides of the image."""
        return self.target[0] - self.origin[0], self.target[1] - self.origin[1]

    def directions(self, minor: float = MINOR) -> list[str]:
        """Return the way of the move in words, its larger part first; none for no move.

        Args:
            minor: share of the larger part from which the smaller one counts.
        """
        parts = [abs(part) for part in self.move]
        if max(parts) < MIN_MOVE:
            return []
        axes = sorted(range(2), key=lambda axis: -parts[axis])
        return [DIRECTIONS[axis][int(self.move[axis] > 0)] for axis in axes if parts[axis] >= minor * max(parts)]


def place_words(place: Point) -> str:
    """Return where in the image a point is, in thirds.

    Example:
        >>> place_words((0.1, 0.2)), place_words((0.5, 0.5))
        ('upper left', 'centre')
    """
    column, row = (min(max(int(3 * value), 0), 2) for value in place)
    return "centre" if row == column == 1 else f"{ROWS[row]} {COLUMNS[column]}"


def find_events(tracks: HandObjectTracks, frame_rate: float, noun: str) -> list[Event]:
    """Return what happens in `tracks`, in order of time.

    Args:
        tracks: gaps filled where they can be; a hand that is not in view does nothing.
        frame_rate: of the tracks, in Hz.
        noun: what the object is called.
    """
    centres = [_centres(tracks.hands[:, i]) for i in range(len(SIDES))]
    thing = _centres(tracks.object)
    events = [
        replace(event, noun=noun if event.noun else "")
        for i, side in enumerate(SIDES)
        for event in _told_once(_of_hand(side, centres[i], thing, tracks.contact[:, i], frame_rate))
    ]
    events += _between(centres, frame_rate)
    return sorted(events, key=lambda event: (event.start, event.end))


def _centres(boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the middles (F, 2) of boxes (F, 4), NaN where there is none."""
    return (boxes[:, :2] + boxes[:, 2:]).astype(np.float64) / 2


def _of_hand(
    side: str, hand: NDArray[np.float64], thing: NDArray[np.float64], contact: NDArray[np.bool_], rate: float
) -> Iterator[Event]:
    seen = ~np.isnan(hand[:, 0])
    for first, last, touching in _runs(contact, seen):
        if touching:
            yield from _with_object(side, hand, thing, (first, last), contact, rate)
            continue
        for part in split_at_turns(hand, (first, last), rate, MIN_MOVE):
            if (event := _free(side, hand, thing, part, rate)) is not None:
                yield event


def _told_once(events: Iterable[Event]) -> Iterator[Event]:
    """Yield events of a hand, neighbours of the same kind and way as one."""
    before = None
    for event in events:
        if before is not None:
            both = replace(before, end=event.end, target=event.target)
            if event.kind == before.kind and before.directions() == event.directions() == both.directions():
                event = both
            else:
                yield before
        before = event
    if before is not None:
        yield before


def _runs(contact: NDArray[np.bool_], seen: NDArray[np.bool_]) -> Iterator[tuple[int, int, bool]]:
    """Yield first and last frame, and whether there is contact, of stretches in which the hand is seen.

    Neighbouring stretches share the frame between them, in which contact begins or ends.
    """
    start = None
    for frame in range(len(seen)):
        if not seen[frame]:
            start = None
        elif start is None:
            start = frame
        if start is not None:
            ends = frame + 1 == len(seen) or not seen[frame + 1]
            if not ends and contact[frame + 1] != contact[frame]:
                border = frame + 1 if contact[frame + 1] else frame
                yield start, border, bool(contact[frame])
                start = border
            elif ends:
                yield start, frame, bool(contact[frame])


def _free(
    side: str, hand: NDArray[np.float64], thing: NDArray[np.float64], frames: tuple[int, int], rate: float
) -> Event | None:
    """Return how a hand that touches nothing moves, None if it does not."""
    first, last = frames
    event = Event("move", side, first / rate, last / rate, "", _point(hand[first]), _point(hand[last]))
    if not event.directions():
        return None
    move = hand[last] - hand[first]
    if cosine(move, thing[last] - hand[first]) >= ALIGNED:
        return replace(event, kind="reach", noun="object")
    if cosine(move, hand[last] - thing[first]) >= ALIGNED:
        return replace(event, kind="withdraw", noun="object")
    return event


def _with_object(
    side: str,
    hand: NDArray[np.float64],
    thing: NDArray[np.float64],
    frames: tuple[int, int],
    contact: NDArray[np.bool_],
    rate: float,
) -> Iterator[Event]:
    """Yield what a hand does from taking an object to letting go of it, as far as it is seen."""
    first, last = frames
    at_start, at_end = (
        Event("", side, frame / rate, frame / rate, "object", _point(hand[frame]), _point(hand[frame]))
        for frame in (first, last)
    )
    if first > 0 and not contact[first - 1] and not np.isnan(hand[first - 1, 0]):  # else it came into view holding it
        yield replace(at_start, kind="take")
    path = hand if np.isnan(thing[first : last + 1]).any() else thing
    parts = split_at_turns(path, frames, rate, MIN_MOVE)
    carries = [_carry(side, hand, thing, part, rate) for part in parts]
    moves = [event for event in carries if event.directions()]
    yield from moves or [replace(carries[0], kind="hold", end=carries[-1].end, target=carries[-1].target)]
    if last + 1 < len(contact) and not contact[last + 1] and not np.isnan(hand[last + 1, 0]):
        yield replace(at_end, kind="release")


def _carry(
    side: str, hand: NDArray[np.float64], thing: NDArray[np.float64], frames: tuple[int, int], rate: float
) -> Event:
    """Return where an object goes in a hand: where the hand goes, if the object is not seen at either end."""
    first, last = frames
    moved = hand if np.isnan(thing[[first, last]]).any() else thing
    return Event("carry", side, first / rate, last / rate, "object", _point(moved[first]), _point(moved[last]))


def _between(centres: list[NDArray[np.float64]], rate: float) -> Iterator[Event]:
    """Yield whether the two hands come nearer to each other or part."""
    frames = np.flatnonzero(~np.isnan(centres[0][:, 0]) & ~np.isnan(centres[1][:, 0]))
    if len(frames) < 2:
        return
    first, last = int(frames[0]), int(frames[-1])
    before, after = (float(np.linalg.norm(centres[0][i] - centres[1][i])) for i in (first, last))
    if abs(after - before) >= 2 * MIN_MOVE:
        yield Event("approach" if after < before else "part", BOTH, first / rate, last / rate)


def _point(place: NDArray[np.float64]) -> Point:
    return float(place[0]), float(place[1])

"""Which detection of each frame belongs to which track: the choice that is sure and moves little, over all frames."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from egorobot.pretrain.hod.detections import HandDetection, ObjectDetection

MAX_SPEED = 2.0  # sides of the image a second; what is faster is something else
JUMP = 1.1  # cost of being something else, in detections: one that leads there and back costs more than it adds
BIRTH = 0.95  # cost of a track, in detections, so that a single wrong side does not begin one where it need not
WRONG_SIDE = 0.45  # worth of a hand that is said to be the other one
MAX_WRONG = 2  # hands in a row that may be said to be the other one
MAX_CANDIDATES = 4  # of a frame, the surest ones
MAX_HYPOTHESES = 32  # that are kept from frame to frame

Detection = HandDetection | ObjectDetection


@dataclass(frozen=True)
class _Hypothesis:
    """A choice up to some frame.

    Attributes:
        worth: sum over its detections of score, less what moves cost.
        last: of each track, frame and number of its last detection, None if it has not begun.
        wrong: of each track, how many detections in a row are said to be the other hand.
        chosen: of each track, the number of its detection in this frame, None for none.
        before: the same up to the frame before.
    """

    worth: float
    last: tuple[tuple[int, int] | None, ...]
    wrong: tuple[int, ...]
    chosen: tuple[int | None, ...] = ()
    before: "_Hypothesis | None" = None


def associate(
    frames: Sequence[Sequence[Detection]], times: Sequence[float], names: Sequence[str]
) -> list[list[Detection | None]]:
    """Return the detections of each track, one for each frame, None where it has none.

    All choices are followed from frame to frame at once, the best `MAX_HYPOTHESES` of them
    (multiple hypothesis tracking, Reid 1979). No detection is in two tracks.

    Args:
        frames: what was found in each.
        times: of the frames, in s, ascending.
        names: of the tracks: sides of hands. A hand of another side may be in a track for
            a moment; objects belong to any.
    """
    kept = [sorted(found, key=lambda one: -one.score)[:MAX_CANDIDATES] for found in frames]
    hypotheses = [_Hypothesis(0.0, (None,) * len(names), (0,) * len(names))]
    for frame in range(len(kept)):
        best: dict[tuple[object, ...], _Hypothesis] = {}
        for hypothesis in hypotheses:
            for chosen in _choices(len(kept[frame]), len(names)):
                longer = _extend(hypothesis, chosen, frame, kept, times, names)
                if longer is not None:
                    key = (longer.last, longer.wrong)
                    if key not in best or longer.worth > best[key].worth:
                        best[key] = longer
        hypotheses = sorted(best.values(), key=lambda one: -one.worth)[:MAX_HYPOTHESES]
    tracks: list[list[Detection | None]] = [[] for _ in names]
    step: _Hypothesis | None = hypotheses[0]
    while step is not None and step.before is not None:
        found = kept[len(kept) - 1 - len(tracks[0])]
        for track, number in zip(tracks, step.chosen, strict=True):
            track.append(None if number is None else found[number])
        step = step.before
    return [track[::-1] for track in tracks]


def _choices(count: int, tracks: int) -> Iterator[tuple[int | None, ...]]:
    """Yield the ways to give `count` detections to `tracks`, one at most to each."""
    if not tracks:
        yield ()
        return
    for others in _choices(count, tracks - 1):
        yield (*others, None)
        for number in range(count):
            if number not in others:
                yield (*others, number)


def _extend(
    before: _Hypothesis,
    chosen: tuple[int | None, ...],
    frame: int,
    frames: Sequence[Sequence[Detection]],
    times: Sequence[float],
    names: Sequence[str],
) -> _Hypothesis | None:
    """Return `before` with what is `chosen` in `frame`, None if that is not allowed."""
    worth, last, wrong = before.worth, list(before.last), list(before.wrong)
    for track, number in enumerate(chosen):
        if number is None:
            continue
        detection = frames[frame][number]
        is_wrong = isinstance(detection, HandDetection) and detection.side != names[track]
        wrong[track] = wrong[track] + 1 if is_wrong else 0
        if wrong[track] > MAX_WRONG:
            return None
        seen, cost = last[track], BIRTH
        if seen is not None:
            cost = _move_cost(frames[seen[0]][seen[1]], detection, times[frame] - times[seen[0]])
        worth += detection.score * ((WRONG_SIDE if is_wrong else 1.0) - cost)
        last[track] = frame, number
    return _Hypothesis(worth, tuple(last), tuple(wrong), chosen, before)


def _move_cost(before: Detection, after: Detection, duration: float) -> float:
    """Return what it costs that one is where the other was `duration` (s) ago, from 0 to `JUMP`."""
    distance = math.dist(_middle(before), _middle(after))
    return min(JUMP, (distance / max(MAX_SPEED * duration, 1e-9)) ** 2)


def _middle(detection: Detection) -> tuple[float, float]:
    left, top, right, bottom = detection.box
    return (left + right) / 2, (top + bottom) / 2

"""What a clip shows, in words: a narration and captions of hand and object.

Every word comes from the simulator's ground truth; nothing here is drawn that could be
wrong: chance only chooses among ways to say the same.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hands.motion import MANIPULATE, REACH, Motion

COLUMNS = ("far left", "left", "centre", "right", "far right")
ROWS = ("top", "upper", "middle", "lower", "bottom")
# Camera axes: right, up, backward.
DIRECTIONS = (("to the left", "to the right"), ("down", "up"), ("away from the body", "towards the body"))
MIN_MOVE = 0.02  # m; less is no move


@dataclass(frozen=True)
class SeenObject:
    """Something in view: its name, its state in words ("" when it has none) and its (u, v) in the image."""

    noun: str
    state: str
    place: NDArray[np.float64]


@dataclass
class Track:
    """Ground truth of a clip, frame by frame.

    Attributes:
        hand: where the hand is in the image, (F, 2): from left and from top, in [0, 1].
        handle: the same of the thing it works, (F, 2).
        contact: whether it holds it, (F,).
        hand_in_camera: the hand's position in the camera's axes at the last frame, right,
            up and backward, (F, 3) in m.
        hidden: whether something stands before the handle at the last frame.
        opening: how far open the fixture is, from 0 to 1, (F,); empty for the kettle.
        others: other things in view at the last frame.
    """

    hand: NDArray[np.float64]
    handle: NDArray[np.float64]
    contact: NDArray[np.bool_]
    hand_in_camera: NDArray[np.float64]
    hidden: bool
    opening: NDArray[np.float64]
    others: list[SeenObject] = field(default_factory=list)


def place_words(place: NDArray[np.float64]) -> str:
    """Return where in the image (u, v) is, in fifths: "upper far left".

    Example:
        >>> place_words(np.array([0.05, 0.3]))
        'upper far left'
    """
    column, row = (min(max(int(5 * value), 0), 4) for value in place)
    return f"{ROWS[row]} {COLUMNS[column]}"


def direction_words(displacement: NDArray[np.float64]) -> str:
    """Return which way `displacement` (right, up, backward; m) goes, the larger parts first; "" for no move.

    Example:
        >>> direction_words(np.array([-0.2, 0.01, 0.15]))
        'to the left and towards the body'
    """
    largest = np.abs(displacement).max()
    if largest < MIN_MOVE:
        return ""
    axes = [axis for axis in np.argsort(-np.abs(displacement)) if abs(displacement[axis]) > 0.4 * largest]
    return " and ".join(DIRECTIONS[axis][int(displacement[axis] > 0)] for axis in axes)


def make_captions(motion: Motion, track: Track, rng: np.random.Generator) -> list[str]:
    """Return the captions of a clip: its narration, then two captions of hand and object."""
    hand = _hand_sentence(motion, track, rng)
    return [narration(motion, rng), hand, f"{hand} {_objects_sentence(motion, track, rng)}"]


def narration(motion: Motion, rng: np.random.Generator) -> str:
    """Return what happens in the manner of Ego4D's narrators: "#C C opens the microwave"."""
    thing = motion.fixture.name if motion.fixture else "kettle"
    if motion.phase == REACH:
        return f"#C C {_pick(rng, ('reaches for', 'moves a hand to'))} the {thing}"
    if motion.phase != MANIPULATE:
        return f"#C C {_pick(rng, ('lets go of', 'releases'))} the {thing}"
    if motion.fixture:
        verb = _pick(rng, motion.fixture.verbs[0 if motion.verb == "open" else 1])
        return f"#C C {verb} the {thing}"
    verbs = {"lift": ("lifts", "picks up"), "put down": ("puts down", "places"), "push": ("pushes", "moves")}
    return f"#C C {_pick(rng, verbs[motion.verb])} the {thing}"


def _hand_sentence(motion: Motion, track: Track, rng: np.random.Generator) -> str:
    way = direction_words(track.hand_in_camera[-1] - track.hand_in_camera[0])
    start, end = place_words(track.hand[0]), place_words(track.hand[-1])
    hand, noun = f"the {motion.side} hand", motion.noun
    if motion.phase == REACH:
        moves = f"reaches {way}" if way else "reaches"
        touch = "and touches it" if track.contact[-1] else "without touching it yet"
        return f"{hand} {moves} from the {start} for the {noun} at the {place_words(track.handle[-1])} {touch}."
    if motion.phase != MANIPULATE:
        moves = f"moves {way}" if way else "stays"
        return f"{hand} lets go of the {noun} at the {place_words(track.handle[-1])} and {moves} to the {end}."
    takes = "lays its palm on" if motion.verb == "push" else _pick(rng, ("grasps", "holds", "takes"))
    if motion.fixture and motion.fixture.grip == "point":
        takes = "touches"
    sentence = f"{hand} {takes} the {noun} at the {start} and {_move_verb(motion)} it"
    sentence += f" {way}" if way else " in its place"
    return f"{sentence}, ending at the {end}."


def _move_verb(motion: Motion) -> str:
    if motion.fixture is None:
        return {"lift": "lifts", "put down": "lowers", "push": "pushes"}[motion.verb]
    if motion.fixture.grip == "pinch":
        return "turns"
    if motion.fixture.grip == "point":
        return "flips"
    if motion.fixture.joint == "slide_cabinet":
        return "slides"
    return "pulls" if motion.verb == "open" else "pushes"


def _objects_sentence(motion: Motion, track: Track, rng: np.random.Generator) -> str:
    parts = []
    if motion.fixture:
        begin, end = (opening_words(motion.fixture.states, value) for value in track.opening[[0, -1]])
        change = f"stays {end}" if begin == end else f"goes from {begin} to {end}"
        parts.append(f"the {motion.fixture.name} {change}")
    else:
        parts.append(f"the kettle ends at the {place_words(track.handle[-1])}")
    if track.others:
        for i in rng.permutation(len(track.others))[:2]:
            other = track.others[i]
            state = f" {other.state}" if other.state else ""
            parts.append(f"the {other.noun} is{state} at the {place_words(other.place)}")
    return ", ".join(parts) + "."


def opening_words(states: tuple[str, str, str], opening: float) -> str:
    """Return the word for an `opening` from 0 (closed) to 1 (open)."""
    return states[0 if opening < 0.2 else 1 if opening < 0.65 else 2]


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]

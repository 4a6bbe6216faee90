"""What a clip shows, in words: a narration and captions of hand and object.

Every word comes from the simulator's ground truth; nothing here is drawn that could be
wrong: chance only chooses among ways to say the same. A narration names the thing and
what was done in general: which hand did it, which way and in which order is left to the
captions of hand and object, as in real narrations.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hands.fixtures import Fixture

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


@dataclass(frozen=True)
class Story:
    """Ground truth of a clip, frame by frame.

    Attributes:
        side: the hand that works, "right" or "left".
        verb: see `Motion.verb`.
        fixture: what it works, None for the kettle.
        noun: the same in words.
        hand: where the hand is in the image, (F, 2): from left and from top, in [0, 1].
        handle: the same of the thing it works, (F, 2).
        contact: whether it holds it, (F,).
        hand_in_camera: the hand's position in the camera's axes at mid-clip, right, up
            and backward, (F, 3) in m.
        handle_in_camera: the same of the handle.
        distance: of the hand from the handle, (F,) in m.
        height: of the handle above the floor, (F,) in m.
        opening: how far open the fixture is, from 0 to 1, (F,); empty for the kettle.
        others: other things in view at the last frame.
    """

    side: str
    verb: str
    fixture: Fixture | None
    noun: str
    hand: NDArray[np.float64]
    handle: NDArray[np.float64]
    contact: NDArray[np.bool_]
    hand_in_camera: NDArray[np.float64]
    handle_in_camera: NDArray[np.float64]
    distance: NDArray[np.float64]
    height: NDArray[np.float64]
    opening: NDArray[np.float64]
    others: list[SeenObject] = field(default_factory=list)

    def reversed(self, others: list[SeenObject]) -> "Story":
        """Return the story of the clip played backwards; `others` are in view at its last frame."""
        return replace(
            self,
            hand=self.hand[::-1],
            handle=self.handle[::-1],
            contact=self.contact[::-1],
            hand_in_camera=self.hand_in_camera[::-1],
            handle_in_camera=self.handle_in_camera[::-1],
            distance=self.distance[::-1],
            height=self.height[::-1],
            opening=self.opening[::-1],
            others=others,
        )


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
    axes = [axis for axis in np.argsort(-np.abs(displacement)) if abs(displacement[axis]) > 0.5 * largest]
    return " and ".join(DIRECTIONS[axis][int(displacement[axis] > 0)] for axis in axes[:2])


def narration(story: Story, rng: np.random.Generator) -> str:
    """Return what happens in the manner of Ego4D's narrators: "#C C handles the microwave"."""
    thing = story.fixture.name if story.fixture else "kettle"
    verbs = ("handles", "moves") if story.verb != "reach" else ("moves a hand at", "gestures at")
    return f"#C C {_pick(rng, verbs)} the {thing}"


def hod_captions(story: Story, rng: np.random.Generator) -> list[str]:
    """Return three captions of hand-object dynamics: what the hand does, what comes of it, and where things are."""
    dynamics, change = hand_sentence(story), _change(story)
    start, end = place_words(story.hand[0]), place_words(story.hand[-1])
    where = f"it starts at the {start} and ends at the {end}"
    things = ", ".join([change, *_others(story, rng)])
    return [f"{dynamics}.", f"{dynamics}; {change}.", f"{dynamics}; {where}; {things}."]


def hand_sentence(story: Story) -> str:
    """Return which hand does what to which thing, which way and in which order."""
    hand, noun = f"the {story.side} hand", f"the {story.noun}"
    moving = story.hand_in_camera if story.verb == "reach" else story.handle_in_camera
    way = direction_words(moving[-1] - moving[0])
    way = f" {way}" if way else ""
    if story.verb == "reach":
        nearer = story.distance[-1] < story.distance[0]
        return f"{hand} reaches{way} for {noun}" if nearer else f"{hand} draws back{way} from {noun}"
    verb, manner = _move_words(story)
    takes, lets_go = not story.contact[0], not story.contact[-1]
    if takes:
        moves = f"takes {noun} and {verb} it{manner}{way}"
    elif lets_go:
        moves = f"{verb} {noun}{manner}{way}"
    else:
        moves = f"holds {noun} and {verb} it{manner}{way}"
    return f"{hand} {moves}" + (", then lets go of it" if lets_go else "")


def _move_words(story: Story) -> tuple[str, str]:
    """Return the verb of the move, and where it leads: ("pulls", " open")."""
    fixture = story.fixture
    if fixture is None:
        if story.verb == "push":
            return "pushes", ""
        return ("lifts" if story.height[-1] > story.height[0] else "lowers"), ""
    opens = bool(story.opening[-1] > story.opening[0])
    if fixture.grip == "pinch":
        return "turns", " on" if opens else " off"
    if fixture.grip == "point":
        return "flips", " on" if opens else " off"
    if fixture.joint == "slide_cabinet":
        return "slides", " open" if opens else " shut"
    return ("pulls", " open") if opens else ("pushes", " shut")


def _change(story: Story) -> str:
    """Return how the thing's state changes; of the kettle, where it ends."""
    if not story.fixture:
        return f"the kettle ends at the {place_words(story.handle[-1])}"
    begin, end = (opening_words(story.fixture.states, value) for value in story.opening[[0, -1]])
    return f"the {story.fixture.name} " + (f"stays {end}" if begin == end else f"goes from {begin} to {end}")


def _others(story: Story, rng: np.random.Generator) -> list[str]:
    """Return what else is in view where."""
    chosen = [story.others[i] for i in rng.permutation(len(story.others))[:2]]
    return [f"the {o.noun} is{' ' + o.state if o.state else ''} at the {place_words(o.place)}" for o in chosen]


def opening_words(states: tuple[str, str, str], opening: float) -> str:
    """Return the word for an `opening` from 0 (closed) to 1 (open)."""
    return states[0 if opening < 0.2 else 1 if opening < 0.65 else 2]


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]

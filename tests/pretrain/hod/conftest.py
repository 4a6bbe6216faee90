"""Tracks made by hand, and those of rendered clips."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from egorobot.pretrain.samples import HandObjectTracks

SIZE = 0.1  # of a box
OPPOSITE = {"to the left": "to the right", "to the right": "to the left", "up": "down", "down": "up"}
Path = Sequence[tuple[float, float] | None]


def _boxes(path: Path) -> np.ndarray:
    """Boxes (F, 4) around the points of `path`, NaN for None."""
    centres = np.array([(np.nan, np.nan) if point is None else point for point in path], np.float32)
    return np.concatenate([centres - SIZE / 2, centres + SIZE / 2], axis=1)


@pytest.fixture(scope="session")
def make_tracks() -> Callable[..., HandObjectTracks]:
    """Tracks of middles of boxes: left hand, right hand, object; and whether the right hand touches it."""

    def make(left: Path, right: Path, thing: Path, contact: Sequence[int]) -> HandObjectTracks:
        touches = np.stack([np.zeros(len(contact), bool), np.array(contact, bool)], axis=1)
        return HandObjectTracks(np.stack([_boxes(left), _boxes(right)], axis=1), _boxes(thing), touches)

    return make


@pytest.fixture(scope="session")
def carrying(make_tracks: Callable[..., HandObjectTracks]) -> HandObjectTracks:
    """At 2 Hz: the right hand reaches left for a thing, carries it up, lets go and withdraws; the left goes down."""
    right = [(0.8, 0.6), (0.6, 0.6), (0.5, 0.6), (0.5, 0.4), (0.5, 0.2), (0.7, 0.2)]
    thing = [(0.5, 0.6)] * 3 + [(0.5, 0.4), (0.5, 0.2), (0.5, 0.2)]
    left = [(0.2, 0.5 + 0.05 * i) for i in range(6)]
    return make_tracks(left, right, thing, [0, 0, 1, 1, 1, 0])


@pytest.fixture(scope="session")
def spoil() -> Callable[[str, str, str], str]:
    """Plants an error of a kind in a template's caption about a thing; a caption with no room for one stays."""

    def spoil(kind: str, text: str, noun: str) -> str:
        if kind == "side":
            other = {"left": "right", "right": "left"}
            return re.sub(r"\b(left|right)(?= hand)", lambda match: other[match.group()], text)
        if kind == "direction":
            ways = rf"(?<!centre )(?<!left )(?<!right )\b(?:{'|'.join(OPPOSITE)})\b(?! {noun.split()[-1]})"
            return re.sub(ways, lambda match: OPPOSITE[match.group()], text, count=1)
        if kind == "object":
            return text.replace(f"the {noun}", "the spoon")
        if not text:
            return text
        first, *others = text.removesuffix(".").split("; ")
        subject, body = re.match(r"(the (?:left|right|two) hands? )(.*)", first).groups()  # type: ignore[union-attr]
        clauses = re.split(r", (?:then )?", body)
        if len(clauses) == 1:
            return text
        return "; ".join([subject + ", ".join([clauses[-1], *clauses[1:-1], clauses[0]]), *others]) + "."

    return spoil

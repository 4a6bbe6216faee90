"""Whether a caption says what was seen: sides, directions, order and objects, against the events of its tracks.

A caption is read clause by clause. Each clause claims that a hand did something, perhaps some
way; a claim must be an event of that hand, and a hand's claims must follow each other as its
events do. Nouns must be in the narration or the detections. What is not understood claims nothing.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from egorobot.pretrain.hod.events import BOTH, COLUMNS, ROWS, Event
from egorobot.pretrain.samples import SIDES

FAULTS = ("side", "direction", "order", "object", "action")
MINOR_CLAIM = 0.3  # share of a move's larger part from which its smaller one may be named

# Verbs by the events that they may stand for.
_VERBS: dict[tuple[str, ...], str] = {
    ("withdraw",): r"draws? back|pulls? back|withdraws?|retreats?|backs? (?:away|off)",
    ("release",): r"lets? (?:it )?go|releases?|drops?|puts? (?:it )?down|sets? (?:it )?down|leaves?",
    ("take",): r"takes?|grabs?|grasps?|grips?|picks?(?: (?:it|(?:the )?thing))?(?: up)?|seizes?",
    ("reach",): r"reach(?:es)?|stretch(?:es)?|extends?",
    ("hold", "carry"): r"holds?|keeps?|stead(?:y|ies)",
    ("approach",): r"comes? (?:nearer|closer|together)|approach(?:es)?|meets?",
    ("part",): r"moves? apart|parts?|separates?",
    ("carry",): (
        r"moves? (?:it|them|(?:(?:the|an?) )?thing)|carr(?:y|ies)|lifts?|raises?|lowers?|push(?:es)?|pulls?|slides?"
        r"|drags?|brings?|shifts?"
    ),
    ("carry", "move", "reach", "withdraw"): r"moves?|goes|swings?",
}
_VERB = re.compile("|".join(rf"(?P<v{i}>\b(?:{words})\b)" for i, words in enumerate(_VERBS.values())))
_IMPLIED = {"lift": "up", "raise": "up", "lower": "down"}  # directions in verbs
_SIDE = re.compile(r"\b(left|right) hand\b|\b(both|two|the) hands\b|\b(other) hand\b")
_PLACE = re.compile(rf"\b(?:(?:{'|'.join(ROWS)}) (?:{'|'.join(COLUMNS)})|centre|center)\b")
_WAY = re.compile(
    r"\b(?:(?P<left>(?:to the )?left(?:wards?)?)|(?P<right>(?:to the )?right(?:wards?)?)"
    r"|(?P<up>up(?:wards?)?)|(?P<down>down(?:wards?)?))\b"
)
_WAYS = {"left": "to the left", "right": "to the right", "up": "up", "down": "down"}
_CLAUSE = re.compile(
    r"[.;:,]|\bthen\b|\band\b(?= (?:then\b|" + "|".join(_VERBS.values()) + r"))|\bwhile\b|\bmeanwhile\b|\bas\b"
)
_NOUN = re.compile(r"\b(?:the|an?|his|her|its|their|this|that|another|some)\s+([a-z'-]+)")
_THING = "thing"  # stands for the name of an object
_NO_NOUNS = {_THING, *SIDES, *ROWS, *COLUMNS, "hand", "hands", "other", "two", "both", "each", "way", "side"} | {
    "camera", "body", "person", "wearer", "same", "top", "bottom", "center", "image", "frame", "view", "direction",
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """What is wrong in a caption.

    Attributes:
        kind: one of `FAULTS`; "action" is something that no hand did.
        reason: in words that a language model can act on.
    """

    kind: str
    reason: str


@dataclass(frozen=True)
class Claim:
    """What a clause says of a hand: one of `kinds` was done, each of `ways` was gone."""

    side: str
    kinds: tuple[str, ...]
    ways: tuple[str, ...]
    text: str

    def is_met_by(self, event: Event) -> bool:
        """Return whether `event` is what is claimed, whichever hand did it."""
        if event.kind not in self.kinds:
            return False
        seen = event.directions(MINOR_CLAIM)
        return all(way in seen for way in self.ways)


def find_faults(text: str, events: Sequence[Event], nouns: Iterable[str], allowed: Collection[str] = ()) -> list[Fault]:
    """Return what is wrong in the caption `text`, none where it is faithful.

    Args:
        text: the caption.
        events: what its tracks show, in order of time.
        nouns: names of the objects that take part.
        allowed: words that may be named besides, in lower case: those of the narration.
    """
    known = sorted({noun.lower() for noun in nouns if noun}, key=len, reverse=True)
    lowered = text.lower()
    faults = [
        Fault("object", f"there is no {noun} in what was seen") for noun in strange_nouns(lowered, known, allowed)
    ]
    claims = list(read_claims(lowered, known))
    for claim in claims:
        fault = _judge(claim, events)
        if fault is not None:
            faults.append(fault)
    if not faults:
        faults += [Fault("order", reason) for side in (*SIDES, BOTH) if (reason := _disorder(claims, events, side))]
    return faults


def _judge(claim: Claim, events: Sequence[Event]) -> Fault | None:
    own = [event for event in events if event.side == claim.side]
    if any(claim.is_met_by(event) for event in own):
        return None
    same_kind = [event for event in own if event.kind in claim.kinds]
    if any(claim.is_met_by(event) for event in events if event.side != claim.side):
        return Fault("side", f"'{claim.text}': it was not the {claim.side} hand")
    if same_kind:
        ways = " and ".join(same_kind[0].directions()) or "nowhere"
        return Fault("direction", f"'{claim.text}': it went {ways}")
    return Fault("action", f"'{claim.text}': the {claim.side} hand did no such thing")


def _disorder(claims: Sequence[Claim], events: Sequence[Event], side: str) -> str:
    """Return what is out of order in the claims about a hand, "" if nothing is."""
    own = [event for event in events if event.side == side]
    at = 0
    for claim in (claim for claim in claims if claim.side == side):
        found = next((i for i in range(at, len(own)) if claim.is_met_by(own[i])), None)
        if found is None:
            return f"'{claim.text}' came earlier"
        at = found
    return ""


def read_claims(text: str, nouns: Sequence[str]) -> Iterator[Claim]:
    """Yield what a caption claims, in its order.

    Args:
        text: in lower case.
        nouns: names of objects, longest first: words in them are no directions.
    """
    side = ""
    for clause in _CLAUSE.split(_hide(text, nouns)):
        if (hand := _SIDE.search(clause)) is not None:
            side = _side(hand, side)
        rest = _PLACE.sub("place", _SIDE.sub("hand", clause))
        verb = _VERB.search(rest)
        if not side or verb is None:
            continue
        kinds = list(_VERBS)[int(str(verb.lastgroup)[1:])]
        rest = rest[: verb.start()] + rest[verb.end() :]  # what is picked up is not moved up yet
        ways = [_WAYS[str(way.lastgroup)] for way in _WAY.finditer(rest)]
        ways += [way for stem, way in _IMPLIED.items() if verb.group().startswith(stem) and way not in ways]
        yield Claim(side, kinds, tuple(ways), clause.strip())


def _side(hand: re.Match[str], before: str) -> str:
    side, both, _ = hand.groups()
    if both:
        return BOTH
    return side or {"left": "right", "right": "left"}.get(before, before)


def strange_nouns(text: str, nouns: Sequence[str], allowed: Collection[str] = ()) -> list[str]:
    """Return what a caption names with an article and nobody saw; arguments as for `read_claims` and `find_faults`."""
    return sorted({*_NOUN.findall(_hide(text, nouns))} - _NO_NOUNS - {*allowed})


def _hide(text: str, nouns: Sequence[str]) -> str:
    """Return `text` with `_THING` in place of what `nouns` name."""
    for noun in nouns:
        text = re.sub(rf"\b{re.escape(noun)}\b", _THING, text)
    return text

"""Whether a caption says what was seen: sides, directions, places, order and objects, against the events of its tracks.

A caption is read claim by claim. A claim must be an event of its hand, and claims must follow
each other as their events do; what is denied must not be one. Nouns must be in the narration or
the detections. A sentence that claims nothing of what happened is no good, and neither is what
is not understood: a way, a place or a word that is in no claim and no list of plain words.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from egorobot.pretrain.hod.account import ANY, Account, Claim
from egorobot.pretrain.hod.claims import read_claims
from egorobot.pretrain.hod.clauses import DENIED, SAID, Place
from egorobot.pretrain.hod.events import BOTH, DIRECTIONS, MINOR, Event, place_words
from egorobot.pretrain.hod.kinds import BE_AT, STAY
from egorobot.pretrain.hod.strange_words import is_told_besides, strange_nouns, strange_words
from egorobot.pretrain.hod.turns import cosine
from egorobot.pretrain.hod.vocabulary import MOVING
from egorobot.pretrain.hod.wording import in_words

# Kinds: which hand, which way, where, in which order, with what; something that no hand did; nothing that is clear.
FAULTS = ("side", "direction", "place", "order", "object", "action", "vague")
MINOR_CLAIM = 0.3  # share of a move's larger part from which its smaller one may be named
PLACE_TOLERANCE = 0.07  # of the image's side that a place may lie outside the third that is named
TOWARD = 0.5  # cosine from which a move leads toward a place


@dataclass(frozen=True)
class Fault:
    """What is wrong in a caption.

    Attributes:
        kind: one of `FAULTS`.
        reason: in words that a language model can act on.
    """

    kind: str
    reason: str


def find_faults(text: str, events: Sequence[Event], nouns: Iterable[str], allowed: Collection[str] = ()) -> list[Fault]:
    """Return what is wrong in the caption `text`, none where it is faithful.

    Args:
        text: the caption.
        events: what its tracks show, in order of time.
        nouns: names of the objects that take part.
        allowed: words that may be named besides, in lower case: those of the narration.
    """
    names = [noun.lower() for noun in nouns if noun]
    known = sorted({*names}, key=len, reverse=True)
    lowered = text.lower()
    nouns_unseen = strange_nouns(lowered, known, allowed)
    faults = [Fault("object", f"there is no {noun} in what was seen") for noun in nouns_unseen]
    name = names[0] if names else "object"
    account = read_claims(lowered, known)
    claims = [replace(claim, text=in_words(claim.text, name)) for claim in account.claims]
    if events and not any(claim.stance == SAID for claim in claims):
        faults.append(Fault("vague", "nothing is said of which hand did what, and which way"))
    elif events:
        faults += [Fault("vague", f"'{in_words(one, name)}' says nothing of what a hand did") for one in account.empty]
        faults += _not_understood(account, name, allowed, " ".join(nouns_unseen).split())
    faults += [fault for claim in claims if (fault := _judge(claim, events)) is not None]
    if not faults and (reason := _disorder(claims, events)):
        faults.append(Fault("order", reason))
    return faults


def _not_understood(account: Account, name: str, allowed: Collection[str], told: Collection[str]) -> Iterator[Fault]:
    """Yield what a caption has besides its claims; words that are `told` are known to be wrong."""
    for clause in dict.fromkeys(account.unclear):
        yield Fault("vague", f"it is not clear what a hand did in '{in_words(clause, name)}'")
    for clause, claims in account.clauses:
        words = allowed if claims or is_told_besides(clause) else ()
        for word in dict.fromkeys(strange_words(clause, words)):
            if word not in told:
                yield Fault("object", f"'{word}' is nothing that was seen: leave it out")


def _judge(claim: Claim, events: Sequence[Event]) -> Fault | None:
    own = [event for event in events if claim.side in (event.side, ANY)]
    who = {ANY: "a hand", BOTH: "the two hands"}.get(claim.side, f"the {claim.side} hand")
    if STAY in claim.kinds:
        moved = any(event.kind in MOVING for event in own) and not any(event.kind == "hold" for event in own)
        return Fault("action", f"'{claim.text}': {who} moved") if moved and claim.side != ANY else None
    if BE_AT in claim.kinds:
        elsewhere = own and not any(_is_at(event, place) for event in own for place in claim.places)
        return Fault("place", f"'{claim.text}': {who} was not there") if elsewhere else None
    if claim.stance == DENIED and claim.side == ANY and claim.kinds == ("carry",) and not claim.ways:
        return Fault("action", f"'{claim.text}': it was moved") if _is_never_at_rest(events) else None
    if claim.stance == DENIED:
        stayed = claim.kinds == MOVING and any(event.kind == "hold" for event in own)
        is_so = any(is_met(claim, event, MINOR) for event in own) and not stayed
        return Fault("action", f"'{claim.text}': {who} did so") if is_so else None
    if any(is_met(claim, event) for event in own):
        return None
    if any(is_met(claim, event) for event in events if event.side != claim.side):
        return Fault("side", f"'{claim.text}': it was not {who}")
    same_kind = [event for event in own if event.kind in claim.kinds]
    same_way = [event for event in same_kind if _leads(event, claim.ways)]
    if same_way:
        start, end = place_words(same_way[0].origin), place_words(same_way[0].target)
        return Fault("place", f"'{claim.text}': it went from the {start} to the {end}")
    if same_kind:
        ways = " and ".join(same_kind[0].directions()) or "nowhere"
        return Fault("direction", f"'{claim.text}': it went {ways}")
    return Fault("action", f"'{claim.text}': {who} did no such thing")


def _is_never_at_rest(events: Sequence[Event]) -> bool:
    """Return whether a thing was carried, and not held still before or afterwards."""
    carried = [event for event in events if event.kind == "carry"]
    held = [event for event in events if event.kind == "hold"]
    return bool(carried) and not any(all(h.end <= c.start or h.start >= c.end for c in carried) for h in held)


def is_met(claim: Claim, event: Event, minor: float = MINOR_CLAIM) -> bool:
    """Return whether `event` is what is claimed, whichever hand did it; `minor` as `Event.directions` has it."""
    is_way = event.kind in claim.kinds and _leads(event, claim.ways, minor)
    return is_way and all(_is_at(event, place) for place in claim.places)


def _leads(event: Event, ways: Iterable[str], minor: float = MINOR_CLAIM) -> bool:
    seen, main = event.directions(minor), event.directions()
    seen += ["diagonally"] if len(seen) > 1 else []
    seen += ["vertically" if main[0] in DIRECTIONS[1] else "horizontally"] if len(main) == 1 else []
    return all(way in seen for way in ways)


def _is_at(event: Event, place: Place) -> bool:
    """Return whether an event begins, ends or is where it is said to."""
    if place.how == "from":
        return _is_in(event.origin, place)
    if place.how == "to":
        return _is_in(event.target, place)
    if place.how == "toward":
        centre = [
            (third + 0.5) / 3 if third < 3 else at
            for third, at in zip((place.column, place.row), event.origin, strict=True)
        ]
        return _is_in(event.target, place) or cosine(np.array(event.move), np.array(centre) - event.origin) >= TOWARD
    # A hand that reaches is not yet where its object is.
    return event.kind in ("reach", "withdraw") or _is_in(event.origin, place) or _is_in(event.target, place)


def _is_in(point: tuple[float, float], place: Place) -> bool:
    return all(
        third > 2 or third / 3 - PLACE_TOLERANCE <= at <= (third + 1) / 3 + PLACE_TOLERANCE
        for third, at in zip((place.column, place.row), point, strict=True)
    )


def _disorder(claims: Sequence[Claim], events: Sequence[Event]) -> str:
    """Return what is out of order, "" if all claims can be events in the order that is told.

    Each claim is taken for the earliest event that it can be; if that does not do, nothing does.
    """
    found: dict[int, int] = {}  # event of each claim
    states = {STAY, BE_AT}
    waiting = [n for n, claim in enumerate(claims) if claim.stance == SAID and not states & {*claim.kinds}]
    while waiting:
        ready = [n for n in waiting if not any(other in waiting for other in claims[n].after)]
        if not ready:  # said to be before each other
            return f"'{claims[waiting[0]].text}' is told in two orders"
        for number in ready:
            before = [found[other] for other in claims[number].after if other in found]
            event = next((i for i in range(len(events)) if _fits(claims[number], events, i, before)), None)
            if event is None:
                return f"'{claims[number].text}' came earlier"
            found[number] = event
            waiting.remove(number)
    return ""


def _fits(claim: Claim, events: Sequence[Event], number: int, before: Iterable[int]) -> bool:
    """Return whether a claim can be event `number`, given the events of what came before."""
    event = events[number]
    if claim.side not in (event.side, ANY) or not is_met(claim, event):
        return False
    # Of two hands, one may do something long; only what is over comes earlier.
    return all(
        number >= other
        if events[other].side == event.side
        else event.start >= events[other].start or event.end > events[other].start
        for other in before
    )

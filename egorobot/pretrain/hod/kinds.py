"""Which kinds of events a verb of a caption in `wording` stands for."""

import re
from collections.abc import Collection, Iterable

from egorobot.pretrain.hod.vocabulary import AT_REST, MOVING, TOUCHING, Verb
from egorobot.pretrain.hod.wording import HAND, PLACE, WAY

STAY = "stay"  # the kind of a claim that a hand goes nowhere; no event is called so
BE_AT = "be at"  # that of a claim that a hand is at a place; neither is one called so
BETWEEN = {"approach", "part"}  # kinds of both hands together
_ABOUT_THING = re.compile(r"\b(?:the thing|it|them|for)\b")
_NEARER = re.compile(r"\b(?:toward|towards|nearer|closer|to|near|for) (?:to )?the thing\b|\bfor (?:it|them)\b")
_FARTHER = re.compile(r"\b(?:away|back) from (?:the thing|it|them)\b")
_NEARER_HAND = re.compile(r"\b(?:toward|towards|nearer|closer|to|near) (?:to )?(?:hand_\w|each other|one another)\b")
_FARTHER_HAND = re.compile(r"\b(?:away )?from (?:hand_\w|each other|one another)\b")
_STILL = re.compile(
    r"\b(?:still|in place|motionless|stationary|in the same place|immobile|steady|its position|position)\b"
)
_NO_PLACE_TO_STAY = re.compile(r"^ (?:empty|free|visible|open|closed|shut|in view|out of)")
# What moves with a thing carries it.
WITH_THING = re.compile(
    rf"\bwith (?:the thing|it|them)\b(?! (?:\w+ing|still|{AT_REST})\b)|\bthe thing in (?:it|them)\b"
)
_WHERE_IT_IS = re.compile(r"^ *(?:$|there\b|where it (?:is|was)\b)")
ON_THING = re.compile(r"\b(?:on|at|around|in) the thing\b")
IN_HAND = re.compile(r"\b(?:in|within|inside|by|with) hand_([lrbosx])\b")


def led(kinds: Iterable[str]) -> tuple[str, ...]:
    """Return which of some kinds, or what else of their hand, can be what goes a way that is told."""
    kinds = set(kinds)
    return tuple(kind for kind in MOVING if kind in kinds) or (("carry",) if kinds & set(TOUCHING) else MOVING)


def kinds_of(verb: Verb, form: str, after: str, with_object: bool, moves_hand: bool) -> tuple[tuple[str, ...], bool]:
    """Return the kinds of events that a verb stands for, and whether it names another hand besides."""
    if verb.needs_object and not with_object:
        if WAY.search(after):  # "turns to the left"
            return MOVING, False
        return (TOUCHING if re.search(r"\b(?:the thing|it|them)\b", after) else ()), False
    if verb.sense in ("motion", "reach", "withdraw") and not moves_hand and WITH_THING.search(after):
        return ("carry",), False
    match verb.sense:
        case "motion":
            return _motion(after, with_object, moves_hand)
        case "reach" | "withdraw" if _is_between(after) and not (with_object or moves_hand):
            return _motion(after, with_object, moves_hand)
        case "reach":
            return (("reach",) if _ABOUT_THING.search(after) else ("reach", "move")), False
        case "withdraw":
            if with_object:
                return ("carry",), False
            return (("withdraw",) if _ABOUT_THING.search(after) else ("withdraw", "move")), False
        case "take":
            leads = form.startswith(("tak", "took")) and (WAY.search(after) or re.search(r"\b(?:from|to)_", after))
            return (("carry",) if leads else ("take",)), False
        case "hold":
            if not with_object:
                away = moves_hand and not ON_THING.search(after)  # "keeps the left hand free"
                return ((STAY,) if _STILL.search(after) else () if away else ("hold", "carry")), False
            return (("hold",) if _STILL.search(after) else ("hold", "carry")), False
        case "stay":
            if PLACE.search(after):
                return (BE_AT,), False
            return (() if _NO_PLACE_TO_STAY.search(after) else (STAY,)), False
        case "release":
            return ("release",), False
        case "place":
            return ("release", "carry"), False
        case "approach":
            return (("approach",) if HAND.search(after) else ("reach", "approach")), bool(HAND.search(after))
        case "meet":
            return (("reach",) if _NEARER.search(after) else ("approach",)), bool(HAND.search(after))
        case "part":
            return ("part",), bool(HAND.search(after))
    return TOUCHING, False  # whatever is worked, turned or touched is in the hand


def kinds_of_thing(verb: Verb, after: str) -> tuple[str, ...]:
    """Return the kinds of events that a verb stands for whose subject is a thing: "the door opens to the left"."""
    if verb.sense == "work" and WAY.search(after):
        return ("carry",)
    return ("hold", "carry") if verb.sense in ("hold", "stay") and IN_HAND.search(after) else ()


def is_at_rest(verb: str, after: str) -> bool:
    """Return whether a verb of staying says of a thing that nobody moves it, and not where or how it is."""
    still = _STILL.search(f"{verb}{after}") or re.search(rf"\b{AT_REST}\b", verb) or _WHERE_IT_IS.search(after)
    return bool(still) and not (IN_HAND.search(after) or PLACE.search(after))


def kinds_of_place(clause: str, ways: Collection[str], hows: Collection[str]) -> tuple[str, ...]:
    """Return what a clause without a verb says that a hand does: "left hand up", "both hands are on the cup"."""
    if ways or {*hows} - {"at"}:
        return MOVING
    if ON_THING.search(clause) or (IN_HAND.search(clause) and "the thing" in clause):
        return TOUCHING
    return (BE_AT,) if hows else ()


def _is_between(after: str) -> bool:
    return HAND.search(after) is not None and _ABOUT_THING.search(after) is None


def _motion(after: str, with_object: bool, moves_hand: bool) -> tuple[tuple[str, ...], bool]:
    if with_object:
        return ("carry",), False
    if re.search(r"\bhand_b\b.* (?:together|closer|nearer)\b", after):
        return ("approach",), True
    if re.search(r"\bhand_b\b.* apart\b", after):
        return ("part",), True
    if _FARTHER_HAND.search(after) and not moves_hand:
        return ("part",), True
    if _NEARER_HAND.search(after) and not moves_hand:
        return ("approach",), True
    if _FARTHER.search(after):
        return ("withdraw",), False
    if _NEARER.search(after):
        return ("reach",), False
    return MOVING, False

"""What each verb of a caption in `wording` says: of which hand, which kinds of events, which way and where."""

import re
from dataclasses import dataclass

from egorobot.pretrain.hod.vocabulary import IRREGULAR_PARTICIPLES, MOVING, TOUCHING, VERB, Verb, verb_of
from egorobot.pretrain.hod.wording import WAYS

STAY = "stay"  # the kind of a claim that a hand goes nowhere; no event is called so
PERSON = "person"  # the subject of a verb that names a person and no hand
UNSAID = ""  # the subject of a verb that has its subject from before
UNKNOWN = "?"  # the hand of which nothing is said: "the cup is lifted"

HAND = re.compile(r"\bhand_([lrbosx])\b")
NEGATION = re.compile(
    r"\b(?:not|never|without|hardly|barely|scarcely|no longer|neither|nor|no hand_\w|instead of|rather than"
    r"|fail(?:s|ed)? to|avoids?|stop(?:s|ped)?|ceases?(?: to)?)\b"
)
_ALTERNATIVE = re.compile(r"^\s*(?:or|nor)\b")
_POSSIBLE = re.compile(r"\b(?:may|might|could|would|should|must|will|can)(?: \w+)?$")
_PURPOSE = re.compile(r"\bto$")
_DONE = re.compile(r"\b(?:us(?:e|es|ed|ing) .*|(?:begins?|began|starts?|started|continues?|continued|proceeds?) )to$")
_NOUN = re.compile(r"\b(?:the|an?|his|her|its|their|another|within|of|no)$")  # before what is no verb
_PASSIVE = re.compile(r"\b(?:is|are|was|were|be|been|being|gets|got)(?: (?:\w+ly|then|now|also|still|first|next))*$")
_NO_SUBJECT = re.compile(r"\b(?:of|from|to|toward|towards|than|near|under|above|below|beside|behind) $")
_WITH = re.compile(r"\b(?:with|using|by|in|via) hand_([lrbosx])\b")
_WITH_BEFORE = re.compile(r"\b(?:with|using|by|in|via) $")
_LAST_HAND = re.compile(r"\bhand_([lrbosx])(?: (?:\w+ly|then|also|still|now|is|are|has|does|just|not))*$")
_PERSON = re.compile(r"\b(?:c|he|she|they|person|wearer|someone|user|operator|actor|man|woman|chef|lady|i|we|you)\b")
_THING_LAST = re.compile(r"\bthe thing(?: (?:\w+ly|then|also|still|now|itself|is|has))*$")
_ADVERBS = r"(?: (?:\w+ly|w_\w+|back|over|further|out|on|off))*"
_OBJECT = re.compile(
    rf"^{_ADVERBS} (?:it|them|one|this|that"
    r"|(?:the|an?|his|her|its|their|two|three|some) (?!little|bit|short|small|few|way|same)\w+)\b"
)
_HAND_OBJECT = re.compile(rf"^{_ADVERBS} (?:only )?hand_([lrbosx])\b")
_ABOUT_THING = re.compile(r"\b(?:the thing|it|them|for)\b")
_NEARER = re.compile(r"\b(?:toward|towards|nearer|closer|to|near|for) (?:to )?the thing\b|\bfor (?:it|them)\b")
_FARTHER = re.compile(r"\b(?:away|back) from (?:the thing|it|them)\b")
_NEARER_HAND = re.compile(r"\b(?:toward|towards|nearer|closer|to|near) (?:to )?(?:hand_\w|each other|one another)\b")
_FARTHER_HAND = re.compile(r"\b(?:away )?from (?:hand_\w|each other|one another)\b")
_STILL = re.compile(
    r"\b(?:still|in place|motionless|stationary|in the same place|immobile|steady|its position|position)\b"
)
_NO_PLACE_TO_STAY = re.compile(r"^ (?:empty|free|visible|open|closed|shut|in view|out of|at_)")
_PLACE = re.compile(r"\b(from|to|toward|at)_(\d)(\d)\b")
_WAY = re.compile(r"\bw_\w+\b")
_OF_HANDS = ("motion", "reach", "withdraw", "hold", "stay")  # what a person does with a hand itself
_LEADING = ("motion", "reach", "withdraw", "take", "approach")  # senses with a way


@dataclass(frozen=True)
class Place:
    """Where something is said to begin ("from"), to end ("to"), to lead ("toward") or to be ("at").

    Attributes:
        how: one of these.
        row: third of the image from the top, 0 to 2, 9 for any.
        column: the same from the left.
    """

    how: str
    row: int
    column: int


@dataclass(frozen=True)
class Reading:
    """What a verb says.

    Attributes:
        subject: the letter of a token `hand_?`, `PERSON`, `UNKNOWN` or `UNSAID`.
        kinds: of events that it may stand for; none where it claims nothing.
        ways: as `Event.directions` puts them.
        places: where it happens.
        is_gerund: whether it is a form in -ing.
        names_other: whether what happens is between the hand and another one.
        is_denied: whether it is said not to be so.
    """

    subject: str
    kinds: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    is_gerund: bool = False
    names_other: bool = False
    is_denied: bool = False


def read_verbs(clause: str) -> list[Reading]:
    """Return what the verbs of a clause say, in order."""
    verbs = [match for match in VERB.finditer(clause) if not _NOUN.search(clause[: match.start()].rstrip())]
    readings: list[Reading] = []
    for number, match in enumerate(verbs):
        before = clause[verbs[number - 1].end() if number else 0 : match.start()]
        last = number + 1 == len(verbs)
        after = clause[match.end() : len(clause) if last else verbs[number + 1].start()].rstrip()
        reading = _read(before, match, after, number == 0)
        denied = NEGATION.search(before) or (readings and readings[-1].is_denied and _ALTERNATIVE.match(before))
        helps = not after.strip() and not last and verbs[number + 1].group().endswith("ing")  # "keeps moving"
        if denied or helps or _is_no_deed(before.rstrip()):
            reading = Reading(reading.subject, is_gerund=reading.is_gerund, is_denied=bool(denied))
        readings.append(reading)
    return readings


def read_ways(clause: str) -> tuple[str, ...]:
    """Return the ways that words name, in order."""
    return tuple(dict.fromkeys(WAYS[token] for token in _WAY.findall(clause)))


def read_places(clause: str) -> tuple[Place, ...]:
    """Return the places that words name, in order."""
    return tuple(Place(how, int(row), int(column)) for how, row, column in _PLACE.findall(clause))


def _is_no_deed(before: str) -> bool:
    """Return whether the verb after these words tells what may be or what something is for."""
    return bool(_POSSIBLE.search(before) or (_PURPOSE.search(before) and not _DONE.search(before)))


def _read(before: str, match: re.Match[str], after: str, is_first: bool) -> Reading:
    verb, form = verb_of(match), match.group().split()[0]
    is_gerund = form.endswith("ing") and form not in ("bring", "swing")
    is_passive = not is_gerund and verb.sense != "stay" and _is_passive(before, form, after)
    subject = _subject(before, after, is_first, is_passive)
    hand_object = _HAND_OBJECT.search(after)
    moves_hand = False  # "she raises her left hand", "the left hand is raised"
    if hand_object is not None and subject in (PERSON, UNSAID) and verb.sense in _OF_HANDS:
        subject, moves_hand = hand_object[1], True
    elif is_passive:
        moves_hand = subject != UNKNOWN and _WITH.search(before + after) is None
    of_thing = is_first and not is_passive and bool(_THING_LAST.search(before.rstrip()))  # "the cup moves up"
    of_thing = of_thing and (subject == UNKNOWN or HAND.search(before) is None)
    with_object = not moves_hand and (is_passive or of_thing or bool(_OBJECT.search(after)))
    if of_thing and verb.sense != "motion":
        return Reading(subject, is_gerund=is_gerund)
    kinds, between = _kinds(verb, form, after, with_object, moves_hand)
    if subject == PERSON and not with_object and verb.sense in ("motion", "stay"):  # who walks, or stands
        kinds = ()
    ways = read_ways(after) if set(kinds) & set(MOVING) and verb.sense in _LEADING else ()
    if verb.way and verb.way not in ways and kinds:
        ways = (*ways, verb.way)
    return Reading(subject, kinds, ways, read_places(after), is_gerund, between)


def _is_passive(before: str, form: str, after: str) -> bool:
    if _PASSIVE.search(before.rstrip()):
        return True
    participle = form.endswith("ed") or form in IRREGULAR_PARTICIPLES
    return participle and bool(re.search(r"\bby hand_\w", after)) and not _LAST_HAND.search(before.rstrip())


def _subject(before: str, after: str, is_first: bool, is_passive: bool) -> str:
    """Return which hand does it, as `Reading.subject`."""
    tool = _WITH.search(after)
    if is_passive and tool is not None:
        return tool[1]
    if not is_first:
        last = _LAST_HAND.search(before.rstrip())
        return last[1] if last else tool[1] if tool else UNSAID
    hands = [hand for hand in HAND.finditer(before) if not _NO_SUBJECT.search(before[: hand.start()])]
    plain = [hand for hand in hands if not _WITH_BEFORE.search(before[: hand.start()])]
    if hands:
        return str((plain or hands)[0][1])
    if tool is not None and not re.match(rf".*hand_{tool[1]} \w+ing\b", after):
        return tool[1]
    if is_passive or _THING_LAST.search(before.rstrip()):
        return UNKNOWN
    return PERSON if _PERSON.search(before) else UNSAID


def _kinds(verb: Verb, form: str, after: str, with_object: bool, moves_hand: bool) -> tuple[tuple[str, ...], bool]:
    """Return the kinds of events that a verb stands for, and whether it names another hand besides."""
    if verb.needs_object and not with_object:
        return (), False
    match verb.sense:
        case "motion":
            return _motion(after, with_object, moves_hand)
        case "reach":
            return (("reach",) if _ABOUT_THING.search(after) else ("reach", "move")), False
        case "withdraw":
            if with_object:
                return ("carry",), False
            return (("withdraw",) if _ABOUT_THING.search(after) else ("withdraw", "move")), False
        case "take":
            leads = form.startswith(("tak", "took")) and (_WAY.search(after) or re.search(r"\b(?:from|to)_", after))
            return (("carry",) if leads else ("take",)), False
        case "hold":
            if not with_object:
                return ((STAY,) if _STILL.search(after) else () if moves_hand else ("hold", "carry")), False
            return (("hold",) if _STILL.search(after) else ("hold", "carry")), False
        case "stay":
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

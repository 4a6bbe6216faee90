"""What each verb of a caption in `wording` says: of which hand, which kinds of events, which way and where."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from egorobot.pretrain.hod.events import DIRECTIONS
from egorobot.pretrain.hod.kinds import BE_AT, BETWEEN, IN_HAND, STAY, is_at_rest, kinds_of, kinds_of_thing, led
from egorobot.pretrain.hod.vocabulary import IRREGULAR_PARTICIPLES, VERB, Verb, verb_of
from egorobot.pretrain.hod.wording import HAND, PLACE, WAY, WAYS

SAID, DENIED, POSSIBLE = "said", "denied", "possible"  # stances: is so, is not so, may be so or is meant to be so
PERSON = "person"  # the subject of a verb that names a person and no hand
ANYONE = "*"  # any hand there is: "the cup does not move"
UNSAID = ""  # the subject of a verb that has its subject from before
UNKNOWN = "?"  # the hand of which nothing is said: "the cup is lifted"

NEGATION = re.compile(
    r"\b(?:not|never|without|hardly|barely|scarcely|no longer|neither|nor|no hand_\w|instead of|rather than"
    r"|fail(?:s|ed)? to|avoids?)\b"
)
_INSTEAD = re.compile(r"\b(?:instead of|rather than|not|never)\b")
_STOPS = re.compile(r"\b(?:stop(?:s|ped)?|ceases?(?: to)?)\b")
# Which moment is meant is not told: what is denied of one may be so at another, and what stops has been so.
_FOR_A_TIME = re.compile(r"\b(?:any ?more|any longer|no longer|further|yet|until|at first|stop(?:s|ped)?|ceases?)\b")
_ALTERNATIVE = re.compile(r"^\s*(?:or|nor)\b")
_POSSIBLE = re.compile(r"\b(?:may|might|could|would|should|must|will|can)(?: \w+)?$")
_PURPOSE = re.compile(r"\bto$")
_DONE = re.compile(r"\b(?:us(?:e|es|ed|ing) .*|(?:begins?|began|starts?|started|continues?|continued|proceeds?) )to$")
_NOUN = re.compile(r"\b(?:the|an?|his|her|its|their|another|within|of|no)$")  # before what is no verb
_PASSIVE = re.compile(r"\b(?:is|are|was|were|be|been|being|gets|got)(?: (?:\w+ly|then|now|also|still|first|next))*$")
_NO_SUBJECT = re.compile(r"\b(?:of|from|to|toward|towards|than|near|under|above|below|beside|behind) $")
_WITH = re.compile(r"\b(?:with|using|by|in|via) hand_([lrbosx])\b")
_TOGETHER = re.compile(r"\b(?:with|alongside) $")
# Of another hand it is told only where it is: no event says so, nor otherwise.
_NEAR = r"(?:above|over|below|under|beneath|beside|near|nearby|next to|close to|behind)\b"
BESIDE = re.compile(rf"(?:\b{_NEAR}|\b(?:past|away from|towards?|(?<!out )of)) hand_[lrbosx]\b|\bhand_[lrbosx] {_NEAR}")
_WITH_BEFORE = re.compile(r"\b(?:with|using|by|in|via) $")
_LAST_HAND = re.compile(r"\bhand_([lrbosx])(?: (?:\w+ly|then|also|still|now|is|are|has|does|just|not))*$")
_PERSON = re.compile(r"\b(?:c|he|she|they|person|wearer|someone|user|operator|actor|man|woman|chef|lady|i|we|you)\b")
_THING_LAST = re.compile(r"\bthe thing(?: (?:\w+ly|then|also|still|now|itself|is|has|does|did|not|never))*$")
_ADVERBS = r"(?: (?:\w+ly|w_\w+|back|over|further|out|on|off))*"
_OBJECT = re.compile(
    rf"^{_ADVERBS} (?:it|them|one|this|that"
    r"|(?:the|an?|his|her|its|their|two|three|some) (?!little|bit|short|small|few|way|same)\w+)\b"
)
_HAND_OBJECT = re.compile(rf"^{_ADVERBS} (?:only )?hand_([lrbosx])\b")
_OPPOSITES = [set(pair) for pair in DIRECTIONS]
_OF_HANDS = ("motion", "reach", "withdraw", "hold", "stay")  # what a person does with a hand itself


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
        subject: the letter of a token `hand_?`, `PERSON`, `UNKNOWN`, `ANYONE` or `UNSAID`.
        kinds: of events that it may stand for; none where it claims nothing.
        ways: as `Event.directions` puts them, or "horizontally", "vertically" or "diagonally".
        places: where it happens.
        is_gerund: whether it is a form in -ing.
        names_other: whether what happens is between the hand and another one.
        stance: `SAID`, `DENIED` or `POSSIBLE`.
        is_unclear: whether it tells something of a hand, a way or a place, and not what was done.
    """

    subject: str
    kinds: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    is_gerund: bool = False
    names_other: bool = False
    stance: str = SAID
    is_unclear: bool = False


def read_verbs(clause: str) -> list[Reading]:
    """Return what the verbs of a clause say, in order."""
    verbs = [match for match in VERB.finditer(clause) if not _NOUN.search(clause[: match.start()].rstrip())]
    readings: list[Reading] = []
    for number, match in enumerate(verbs):
        before = clause[verbs[number - 1].end() if number else 0 : match.start()]
        last = number + 1 == len(verbs)
        after = clause[match.end() : len(clause) if last else verbs[number + 1].start()].rstrip()
        # "with the left hand moving down": a hand before the next verb is its subject.
        own = after if last else _LAST_HAND.sub("", after)
        reading = _read(before, match, after, number == 0)
        reading = _with_other_hands(reading, f"{before if number == 0 else ''}{match.group()}{own}")
        denied = (
            NEGATION.search(before)
            or _STOPS.search(before)
            or (readings and readings[-1].stance == DENIED and _ALTERNATIVE.match(before))
        )
        helps = not after.strip() and not last and verbs[number + 1].group().endswith("ing")  # "keeps moving"
        if helps:
            reading = Reading(reading.subject, is_gerund=reading.is_gerund, stance=DENIED if denied else SAID)
        elif denied:
            reading = _denied(reading, verb_of(match), before, after)
        elif _is_no_deed(before.rstrip()):
            told = bool(reading.ways or reading.places)  # of what is but meant, these must be those that were seen
            reading = replace(reading, kinds=reading.kinds if told else (), stance=POSSIBLE, is_unclear=False)
        readings.append(reading)
    return readings


def read_ways(clause: str) -> tuple[str, ...]:
    """Return the ways that words name, in order."""
    return tuple(dict.fromkeys(WAYS[token] for token in WAY.findall(clause)))


def read_places(clause: str) -> tuple[Place, ...]:
    """Return the places that words name, in order."""
    return tuple(Place(how, int(row), int(column)) for how, row, column in PLACE.findall(clause))


def in_turn(ways: Sequence[str]) -> list[tuple[str, ...]]:
    """Return ways that follow each other: opposite ones are not gone at once."""
    turns: list[tuple[str, ...]] = [()]
    for way in ways:
        if any({way, other} in _OPPOSITES for other in turns[-1]):
            turns.append(())
        turns[-1] = (*turns[-1], way)
    return turns


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
    if of_thing and verb.sense == "stay" and is_at_rest(match.group(), after):
        return Reading(ANYONE, ("carry",), is_gerund=is_gerund, stance=DENIED)
    with_object = not moves_hand and (is_passive or of_thing or bool(_OBJECT.search(after)))
    if of_thing and verb.sense != "motion":
        kinds, between = kinds_of_thing(verb, after), False
        subject = in_hand[1] if (in_hand := IN_HAND.search(after)) else subject
    else:
        kinds, between = kinds_of(verb, form, after, with_object, moves_hand)
    if subject == PERSON and not with_object and verb.sense in ("motion", "stay"):  # who walks, or stands
        kinds = ()
    tokens = _INSTEAD.split(after)[0]
    tokens = before + tokens if is_first else tokens  # "from the left, ..."
    ways, places = read_ways(tokens), read_places(tokens)
    if kinds and verb.sense == "stay":
        ways = ()
    elif kinds:
        if verb.sense == "place":  # it is at the end that it is there
            places = tuple(replace(place, how="to") if place.how == "at" else place for place in places)
        if verb.sense == "release":  # what is let go of falls
            ways = tuple(way for way in ways if way != "down")
        kinds = led(kinds) if ways and not set(kinds) <= BETWEEN else kinds
        ways = (*ways, verb.way) if verb.way and verb.way not in ways else ways
    unclear = not kinds and bool(ways or places or (verb.needs_object and HAND.fullmatch(f"hand_{subject}")))
    return Reading(subject, kinds, ways, places, is_gerund, between, is_unclear=unclear)


def _with_other_hands(reading: Reading, words: str) -> Reading:
    """Return what is said where other hands than the subject are named: what two do together is said of both."""
    others = BESIDE.sub("", words)
    leads = [others[: hand.start()] for hand in HAND.finditer(others) if hand[1] not in (reading.subject, "s", "x")]
    if not leads or reading.subject == "b" or reading.names_other:
        return reading
    if HAND.fullmatch(f"hand_{reading.subject}") and all(_TOGETHER.search(lead) for lead in leads):
        return replace(reading, subject="b")
    return replace(reading, is_unclear=True)


def _denied(reading: Reading, verb: Verb, before: str, after: str) -> Reading:
    """Return what is denied, with no kinds where tracks do not tell it."""
    kinds = tuple(kind for kind in reading.kinds if verb.sense != "place" or kind == "release")
    for_a_time = _FOR_A_TIME.search(before + after) or ("without" in before and "release" in kinds)
    if for_a_time or verb.sense == "work" or {STAY, BE_AT} & {*kinds} or reading.stance == DENIED:
        kinds = ()
    subject = ANYONE if reading.subject == UNKNOWN else reading.subject
    return replace(reading, subject=subject, kinds=kinds, stance=DENIED, is_unclear=False)


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

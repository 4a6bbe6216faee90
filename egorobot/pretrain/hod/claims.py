"""What a caption claims: which hand did what, which way, from where to where, and what came before what."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from egorobot.pretrain.hod.clauses import (
    HAND,
    NEGATION,
    PERSON,
    UNKNOWN,
    UNSAID,
    Place,
    Reading,
    read_places,
    read_verbs,
    read_ways,
)
from egorobot.pretrain.hod.events import BOTH, DIRECTIONS
from egorobot.pretrain.hod.vocabulary import MOVING
from egorobot.pretrain.hod.wording import plain
from egorobot.pretrain.samples import SIDES

ANY = "any"  # the side of a claim that names no hand

# How a clause stands to those of its sentence.
_NEXT, _SAME, _EARLIER, _LATER, _FLASHBACK = "next", "same", "earlier", "later", "flashback"
_RELATIONS = {
    **dict.fromkeys(("and then", "then", "next", "afterwards", "finally", "before then"), _NEXT),
    **dict.fromkeys(("while", "whereas", "meanwhile", "simultaneously", "at the same time", "as", "when"), _SAME),
    **dict.fromkeys(("as soon as", "once", "upon", "after", "following", "having"), _EARLIER),
    **dict.fromkeys(("before", "prior to", "until"), _LATER),
    **dict.fromkeys(("earlier", "previously", "beforehand"), _FLASHBACK),
}
_NEUTRAL = ("but", "and", "which", "who", "so that", "thereby", "thus")
_WORDS = "|".join(sorted((*_RELATIONS, *_NEUTRAL), key=len, reverse=True)).replace(
    "as|", "as(?! (?:well|if|though)\\b)|"
)
_BORDER = re.compile(rf"([,:;()—–]|\b(?:{_WORDS})\b)")
_SENTENCE = re.compile(r"[.!?]+(?:\s|$)")
_PAUSE = re.compile(r"^ (?:that|this|which|(?:the thing|an? |some |\w+ )*(?:pause|moment|while|seconds?))\b")
_BEFORE_WHICH = re.compile(r"\bhand_([lrbosx])[ ,]*$")
_NEW_START = re.compile(r",?(?:(?:and|but),|;|:|then)")  # after which a subordinate clause stands before its main one
_LETTERS = {"l": "left", "r": "right", "b": BOTH, "x": ANY}
_OTHER = {"left": "right", "right": "left"}
_BETWEEN = {"approach", "part"}  # kinds of both hands together
_OPPOSITES = [set(pair) for pair in DIRECTIONS]


@dataclass(frozen=True)
class Claim:
    """What is said of a hand: one of `kinds` was done, each of `ways` was gone, at `places`.

    Attributes:
        side: "left", "right", "both", or `ANY`.
        kinds: of events, or `clauses.STAY`.
        ways: as `Event.directions` puts them.
        places: where.
        text: the words, for a reason.
        after: numbers of the claims that are said to have come before.
    """

    side: str
    kinds: tuple[str, ...]
    ways: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    text: str = ""
    after: tuple[int, ...] = ()


def read_claims(text: str, nouns: Sequence[str]) -> tuple[list[Claim], list[str]]:
    """Return what a caption claims, in its order, and those of its sentences that claim nothing.

    What is not understood claims nothing.

    Args:
        text: in lower case.
        nouns: names of objects that were seen, longest first.
    """
    reader, empty = _Reader(), []
    for sentence in _SENTENCE.split(plain(text, nouns)):
        before = len(reader.claims)
        reader.read(sentence)
        if len(reader.claims) == before and sentence.strip():
            empty.append(sentence.strip())
    return reader.claims, empty


class _Reader:
    """Reads sentence by sentence; what was said before tells who "it" and "the other hand" are."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.side = ANY  # the hand that was named last
        self.latest: int | None = None  # the claim that the story goes on from
        self.of_side: dict[str, int] = {}  # the same of each hand

    def read(self, sentence: str) -> None:
        """Add what a sentence claims."""
        self.said_side = ANY  # the hand that this sentence has named
        self.main: int | None = None  # the claim that subordinate clauses stand to
        self.ahead: list[tuple[int, str]] = []  # claims before it that wait for it, and their relations
        self.nameless: list[int] = []  # claims before the hand that they are of
        self.before = ("", False)  # relation of the clause before, and whether it was a gerund
        self.first = len(self.claims)
        relation, link = "", ""
        parts = _BORDER.split(sentence)
        for i, part in enumerate(parts):
            if i % 2:
                if part in ("which", "who") and (hand := _BEFORE_WHICH.search("".join(parts[:i]))):
                    self.side = self.said_side = self._named(hand[1])
                relation = _RELATIONS.get(part, "") if part in _RELATIONS or parts[i - 1].strip() else relation
                link += part
            elif part.strip():
                if relation in (_EARLIER, _LATER) and _NEW_START.match(link):
                    self.main = None
                link = ""
                self._read_clause(part, "" if _PAUSE.search(part) else relation)
                relation = ""

    def _read_clause(self, clause: str, relation: str) -> None:
        readings = read_verbs(clause)
        if not readings:
            self._go_on(clause, relation)
        side = self.side
        for number, reading in enumerate(readings):
            if number == 0 and not relation and reading.is_gerund and self.before[1]:
                relation = self.before[0]  # "after taking it and lifting it"
            side, known = self._side_of(reading, side, number == 0, relation)
            if reading.kinds:
                self._claim(reading, side, clause, relation if number == 0 or reading.is_gerund else "", known)
            self.before = relation, reading.is_gerund

    def _side_of(self, reading: Reading, side: str, is_first: bool, relation: str) -> tuple[str, bool]:
        """Return the hand that a verb is of, and whether that is known before the sentence goes on."""
        if reading.subject in (PERSON, UNKNOWN):
            return self.said_side, True
        if reading.subject == UNSAID:
            waits = self.said_side == ANY and len(self.claims) == self.first
            waits = waits and (reading.is_gerund or relation in (_EARLIER, _LATER, _SAME))
            return (side, not waits) if is_first or side != ANY else (self.said_side, True)
        self.side = self.said_side = self._named(reading.subject)
        for number in self.nameless:
            # What each of two hands does is told in two claims; here is but one.
            self.claims[number] = replace(self.claims[number], side=ANY if self.side == BOTH else self.side)
            if (number, _LATER) not in self.ahead:
                self.latest = self.of_side[self.side] = number
        self.nameless = []
        return self.side, True

    def _named(self, letter: str) -> str:
        if letter == "o":
            return _OTHER.get(self.side, ANY)
        if letter in "xs" and self.side in SIDES:
            return self.side
        return _LETTERS.get(letter, ANY)

    def _claim(self, reading: Reading, side: str, text: str, relation: str, known: bool) -> None:
        """Add what a verb claims: of each hand what is said of both."""
        kinds = reading.kinds
        if kinds == MOVING and side == ANY and reading.subject == UNSAID and known:  # "time goes on"
            return
        if _BETWEEN & {*kinds}:
            if side == BOTH or reading.names_other:
                side, kinds = BOTH, tuple(kind for kind in kinds if kind in _BETWEEN)
            elif not (kinds := tuple(kind for kind in kinds if kind not in _BETWEEN)):
                return
        for one in SIDES if side == BOTH and not _BETWEEN & {*kinds} else (side,):
            turns = _in_turn(reading.ways)
            for turn, ways in enumerate(turns):
                last = turn + 1 == len(turns)
                places = tuple(p for p in reading.places if (turn == 0 if p.how == "from" else last))
                self._add(Claim(one, kinds, ways, places, text.strip()), relation, known)

    def _add(self, claim: Claim, relation: str, known: bool) -> None:
        """Add a claim, and what it comes after."""
        number, side = len(self.claims), claim.side
        after: set[int | None] = set()
        reference = self.latest if relation == _FLASHBACK else self.main
        if reference is not None and relation in (_EARLIER, _FLASHBACK):
            main = self.claims[reference]
            self.claims[reference] = replace(main, after=(*main.after, number))
            self.claims.append(claim)
            return
        is_aside = reference is not None and relation == _SAME and self.claims[reference].side == side
        waits = reference is None and relation == _LATER
        if not is_aside and not waits:
            after = {self.of_side.get(side), self.latest if relation in (_NEXT, _LATER) else None}
            after |= {ahead for ahead, how in self.ahead if how == _EARLIER}
            for ahead, how in self.ahead:
                if how == _LATER:
                    self.claims[ahead] = replace(self.claims[ahead], after=(*self.claims[ahead].after, number))
            self.ahead = []
        if self.main is None and relation in (_EARLIER, _LATER):
            self.ahead.append((number, relation))
        elif not is_aside:
            self.main = number
        if not is_aside and not waits:
            self.latest = self.of_side[side] = number
        self.claims.append(replace(claim, after=tuple(sorted(n for n in after if n is not None))))
        if not known:
            self.nameless.append(number)

    def _go_on(self, clause: str, relation: str) -> None:
        """Read a clause without a verb: more of the claim before it, or the hand that comes next."""
        if NEGATION.search(clause):
            return
        ways, places, hand = read_ways(clause), read_places(clause), HAND.search(clause)
        before = self.claims[-1] if len(self.claims) > self.first else None
        if hand is not None:
            if before is not None and before.side == ANY and re.match(r" ?(?:by|with|using) ", clause):
                self.claims[-1] = replace(before, side=self._named(hand[1]))
            self.side = self.said_side = self._named(hand[1])
        if before is None or not (ways or places) or not {*before.kinds} & {*MOVING}:
            return
        if hand is None and relation != _NEXT:
            self.claims[-1] = replace(before, ways=(*before.ways, *ways), places=(*before.places, *places))
            if len(turns := _in_turn(self.claims[-1].ways)) > 1:  # "to the right and back to the left"
                self.claims[-1] = before
                self._add(replace(before, ways=turns[-1], places=places, after=()), _NEXT, True)
        elif hand is None or before.kinds == MOVING:
            side = before.side if hand is None else self.side
            self._add(replace(before, side=side, ways=ways, places=places, after=()), relation, True)


def _in_turn(ways: Sequence[str]) -> list[tuple[str, ...]]:
    """Return ways that follow each other: opposite ones are not gone at once."""
    turns: list[tuple[str, ...]] = [()]
    for way in ways:
        if any({way, other} in _OPPOSITES for other in turns[-1]):
            turns.append(())
        turns[-1] = (*turns[-1], way)
    return turns

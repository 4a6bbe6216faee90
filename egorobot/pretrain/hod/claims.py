"""What a caption claims: which hand did what, which way, from where to where, and what came before what."""

import re
from collections.abc import Sequence
from dataclasses import replace

from egorobot.pretrain.hod.account import ANY, Account, Claim
from egorobot.pretrain.hod.clauses import (
    ANYONE,
    BESIDE,
    DENIED,
    NEGATION,
    PERSON,
    SAID,
    UNKNOWN,
    UNSAID,
    Reading,
    in_turn,
    read_places,
    read_verbs,
    read_ways,
)
from egorobot.pretrain.hod.events import BOTH
from egorobot.pretrain.hod.kinds import BE_AT, BETWEEN, STAY, WITH_THING, kinds_of_place, led
from egorobot.pretrain.hod.relations import (
    BEFORE_WHICH,
    BORDER,
    EARLIER,
    FLASHBACK,
    LATER,
    NEW_START,
    NEXT,
    PAUSE,
    RELATIONS,
    SAME,
    SENTENCE,
)
from egorobot.pretrain.hod.vocabulary import MOVING
from egorobot.pretrain.hod.wording import HAND, plain
from egorobot.pretrain.samples import SIDES

_LETTERS = {"l": "left", "r": "right", "b": BOTH, "x": ANY}
_OTHER = {"left": "right", "right": "left"}


def read_claims(text: str, nouns: Sequence[str]) -> Account:
    """Return what a caption claims, and what it has besides.

    Args:
        text: in lower case.
        nouns: names of objects that were seen, longest first.
    """
    reader, empty = _Reader(), []
    for sentence in SENTENCE.split(plain(text, nouns)):
        before = len(reader.claims)
        reader.read(sentence)
        if sentence.strip() and not any(claim.stance == SAID for claim in reader.claims[before:]):
            empty.append(sentence.strip())
    return Account(reader.claims, empty, reader.unclear, reader.clauses)


class _Reader:
    """Reads sentence by sentence; what was said before tells who "it" and "the other hand" are."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.unclear: list[str] = []
        self.clauses: list[tuple[str, bool]] = []
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
        self.lead = Reading(UNSAID)  # ways and places before any claim: "to the left, ..."
        self.idle = ""  # a clause that names one more hand, of which nothing is said yet
        relation, link = "", ""
        parts = BORDER.split(sentence)
        for i, part in enumerate(parts):
            if i % 2:
                if part in ("which", "who") and (hand := BEFORE_WHICH.search("".join(parts[:i]))):
                    self.side = self.said_side = self._named(hand[1])
                relation = RELATIONS.get(part, "") if part in RELATIONS or parts[i - 1].strip() else relation
                link += part
            elif part.strip():
                if relation in (EARLIER, LATER) and NEW_START.match(link):
                    self.main = None
                link = ""
                before = tuple(self.claims)
                self._read_clause(part, "" if PAUSE.search(part) else relation)
                self.clauses.append((part, tuple(self.claims) != before))
                relation = ""
        if self.lead.ways or self.lead.places or self.idle:
            self.unclear.append(self.idle or sentence.strip())

    def _read_clause(self, clause: str, relation: str) -> None:
        readings = read_verbs(clause)
        if not readings:
            self._go_on(clause, relation)
        side = self.side
        for number, reading in enumerate(readings):
            if number == 0 and not relation and reading.is_gerund and self.before[1]:
                relation = self.before[0]  # "after taking it and lifting it"
            side, known = self._side_of(reading, side, number == 0, relation)
            if reading.is_unclear:
                self.unclear.append(clause.strip())
            if reading.kinds:
                self._claim(reading, side, clause, relation if number == 0 or reading.is_gerund else "", known)
            self.before = relation, reading.is_gerund

    def _side_of(self, reading: Reading, side: str, is_first: bool, relation: str) -> tuple[str, bool]:
        """Return the hand that a verb is of, and whether that is known before the sentence goes on."""
        if not HAND.fullmatch(f"hand_{reading.subject}"):
            self.idle = ""
        if reading.subject == ANYONE:
            return ANY, True
        if reading.subject in (PERSON, UNKNOWN):
            return self.said_side, True
        if reading.subject == UNSAID:
            waits = self.said_side == ANY and len(self.claims) == self.first
            waits = waits and (reading.is_gerund or relation in (EARLIER, LATER, SAME))
            return (side, not waits) if is_first or side != ANY else (self.said_side, True)
        self.side = self.said_side = self._named(reading.subject)
        for number in self.nameless:
            # What each of two hands does is told in two claims; here is but one.
            self.claims[number] = replace(self.claims[number], side=ANY if self.side == BOTH else self.side)
            if self.claims[number].stance == SAID and (number, LATER) not in self.ahead:
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
        ways, places = (*self.lead.ways, *reading.ways), (*self.lead.places, *reading.places)
        kinds = led(reading.kinds) if self.lead.ways else reading.kinds
        if kinds == MOVING and side == ANY and reading.subject == UNSAID and known and not (ways or places):
            return  # "time goes on"
        self.lead = Reading(UNSAID)
        if BETWEEN & {*kinds}:
            if side == BOTH or reading.names_other:
                if reading.ways or reading.places:  # of a hand that comes or goes
                    self._claim(replace(reading, kinds=MOVING), ANY if side == BOTH else side, text, relation, known)
                side, kinds, ways, places = BOTH, tuple(kind for kind in kinds if kind in BETWEEN), (), ()
            elif not (kinds := tuple(kind for kind in kinds if kind not in BETWEEN)):
                self.unclear.append(text.strip())
                return
        for one in SIDES if side == BOTH and not BETWEEN & {*kinds} else (side,):
            turns = in_turn(ways)
            for turn, at_once in enumerate(turns):
                last = turn + 1 == len(turns)
                there = tuple(p for p in places if (turn == 0 if p.how == "from" else last))
                self._add(Claim(one, kinds, at_once, there, text.strip(), (), reading.stance), relation, known)

    def _add(self, claim: Claim, relation: str, known: bool) -> None:
        """Add a claim, and what it comes after."""
        number, side = len(self.claims), claim.side
        after: set[int | None] = set()
        if claim.stance != SAID:
            self.claims.append(claim)
            if not known:
                self.nameless.append(number)
            return
        reference = self.latest if relation == FLASHBACK else self.main
        if reference is not None and relation in (EARLIER, FLASHBACK):
            main = self.claims[reference]
            self.claims[reference] = replace(main, after=(*main.after, number))
            self.claims.append(claim)
            return
        is_aside = reference is not None and relation == SAME and self.claims[reference].side == side
        waits = reference is None and relation == LATER
        if not is_aside and not waits:
            after = {self.of_side.get(side), self.latest if relation in (NEXT, LATER) else None}
            after |= {ahead for ahead, how in self.ahead if how == EARLIER}
            for ahead, how in self.ahead:
                if how == LATER:
                    self.claims[ahead] = replace(self.claims[ahead], after=(*self.claims[ahead].after, number))
            self.ahead = []
        if self.main is None and relation in (EARLIER, LATER):
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
        told, hand = Reading(UNSAID, (), read_ways(clause), read_places(clause)), HAND.search(clause)
        before = self.claims[-1] if len(self.claims) > self.first else None
        if NEGATION.search(clause):
            self._deny(told, hand, before)
            return
        if hand is not None:
            if before is not None and before.side == ANY and re.match(r" ?(?:by|with|using) ", clause):
                self.claims[-1] = replace(before, side=self._named(hand[1]))
            elif before is not None and not BESIDE.search(clause):
                self.idle = clause.strip()
            acts_too = before is None and self.said_side in SIDES and re.match(r" ?(?:\w+ )?with ", clause)
            self.side = self.said_side = BOTH if acts_too else self._named(hand[1])
        elif before is not None and {*before.kinds} <= {*MOVING} and WITH_THING.search(clause):
            self.claims[-1] = before = replace(before, kinds=("carry",))
        if hand is not None or self.idle:
            if kinds := kinds_of_place(clause, told.ways, [place.how for place in told.places]):
                self.idle = ""
                self._claim(replace(told, kinds=kinds), self.side, clause, relation, True)
        elif told.ways or told.places:
            if before is None:
                self.lead = replace(told, ways=(*self.lead.ways, *told.ways), places=(*self.lead.places, *told.places))
            else:
                self._extend(before, told, relation)

    def _deny(self, told: Reading, hand: re.Match[str] | None, before: Claim | None) -> None:
        """Add that a claim is not so of another hand, way or place: "up, but not to the left"."""
        if before is not None and (told.ways or told.places or hand) and not {STAY, BE_AT} & {*before.kinds}:
            side = self._named(hand[1]) if hand else before.side
            kinds = led(before.kinds) if told.ways else before.kinds
            denied = replace(before, side=side, kinds=kinds, ways=told.ways, places=told.places, stance=DENIED)
            self._add(denied, "", True)

    def _extend(self, before: Claim, told: Reading, relation: str) -> None:
        """Add ways and places to the claim before, or what they tell of its hand besides."""
        leads = bool(told.ways) or any(place.how != "at" for place in told.places)
        more = replace(before, ways=told.ways, places=told.places, after=())
        said_side = self.said_side if self.said_side in SIDES else ANY
        of_one = replace(more, side=said_side if before.side == BOTH else before.side)
        if {*before.kinds} & {*MOVING} and relation != NEXT:
            whole = replace(before, ways=(*before.ways, *told.ways), places=(*before.places, *told.places))
            if len(turns := in_turn(whole.ways)) > 1:  # "to the right and back to the left"
                self._add(replace(more, ways=turns[-1]), NEXT, True)
            else:
                self.claims[-1] = whole
        elif leads:
            self._add(replace(of_one, kinds=led(before.kinds)), relation, True)
        elif {*before.kinds} & {STAY, *BETWEEN}:
            self._add(replace(of_one, kinds=(BE_AT,)), relation, True)
        else:
            self.claims[-1] = replace(before, places=(*before.places, *told.places))

"""Captions in a plainer wording: hands, objects, places and ways as tokens, for reading claims from them.

`the thing` is an object that was seen; `hand_l`, `hand_r`, `hand_b` are the left hand, the right
hand and both; `hand_o`, `hand_s` and `hand_x` the other, the same and any hand; `w_left`, `w_right`,
`w_up` and `w_down` are ways, and so are `w_horizontally`, `w_vertically` and `w_diagonally`;
`from_21`, `to_21`, `toward_21` and `at_21` are places by row and column of the image's thirds, 9
for any.
"""

import re
from collections.abc import Sequence

from egorobot.pretrain.hod.events import COLUMNS, ROWS
from egorobot.pretrain.hod.lexicon import (
    DETERMINERS,
    FUNCTION_WORDS,
    MODIFIERS,
    NOUNS_OF_NOTHING,
    ORDINALS,
    PERSONS,
    PLAIN_WORDS,
    is_adverb,
)
from egorobot.pretrain.hod.vocabulary import AT_REST, IRREGULAR_PARTICIPLES, VERB
from egorobot.pretrain.samples import SIDES

WAYS = {
    "w_left": "to the left", "w_right": "to the right", "w_up": "up", "w_down": "down",
    **{f"w_{way}": way for way in ("horizontally", "vertically", "diagonally")},
}  # fmt: skip


def _compiled(*rules: tuple[str, str]) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(pattern), token) for pattern, token in rules]


_HAND = r"(?:hand|palm|fist|arm|forearm|fingers)"
_OWN = r"\b(?:(?:the|an?|his|her|its|their|my|your|one|both|\w+'s) )?(?:(?:person|wearer|user)'s )?"
_ADJECTIVE = r"(?:,? ?(?:gloved|bare|open|closed|free|empty|outstretched),? )?"
_HANDS = _compiled(
    (rf"{_OWN}left{_ADJECTIVE} ?(?:{_HAND} )?and (?:{_OWN})?right {_HAND}s?\b(?! \w+s\b)", "hand_b"),
    (rf"{_OWN}right{_ADJECTIVE} ?(?:{_HAND} )?and (?:{_OWN})?left {_HAND}s?\b(?! \w+s\b)", "hand_b"),
    (rf"{_OWN}left[ -]?{_ADJECTIVE}{_HAND}\b(?! side)", "hand_l"),
    (rf"{_OWN}right[ -]?{_ADJECTIVE}{_HAND}\b(?! side)", "hand_r"),
    (
        r"\b(?:(?:the|his|her|their|its) )?(?:both|two|each)(?: (?:of )?(?:the|his|her|their|its))?(?: two)? hands?\b",
        "hand_b",
    ),
    (rf"{_OWN}(?:two )?hands\b", "hand_b"),
    (rf"{_OWN}(?:other|opposite) (?:hand|one)\b", "hand_o"),
    *((rf"{_OWN}hand on the {side}(?= (?:\w+ly )?(?:{VERB.pattern}))", f"hand_{side[0]}") for side in SIDES),
    (rf"{_OWN}same hand\b", "hand_s"),
    (rf"{_OWN}(?:free |empty )?hand\b(?! side)", "hand_x"),
)
_ONLY_SIDE = re.compile(  # "the left moves down", "with the right"
    r"(?<!to )(?<!on )(?<!at )(?<!from )(?<!of )(?<!into )(?<!in )(?<!toward )(?<!towards )"
    r"\b(?:the|her|his|its|their) (left|right|other)(?: one)?"
    rf"(?= (?:(?:then|also|still|\w+ly|is|does|one) )*(?:{VERB.pattern}))"
)
_WITH_SIDE = re.compile(
    r"\b(with|using) (?:the|her|his|its|their) (left|right|other)(?: one)?(?=[,.; ]|$)(?! (?:side|edge))"
)

_ROW = {"upper": 0, "top": 0, "middle": 1, "mid": 1, "centre": 1, "center": 1, "central": 1, "lower": 2, "bottom": 2}
_COLUMN = {"left": 0, "centre": 1, "center": 1, "middle": 1, "right": 2}
_VIEW = r"(?:image|frame|view|screen|scene|picture|video|field of view)"
_PART = r"(?:side|edge|part|half|third|area|region|corner|portion|position|section)"
_OF_VIEW = rf"(?:[ -]{_PART})?(?: of (?:the|his|her|its|their) {_VIEW})"
_PREPOSITION = (
    r"(?P<how>(?:away )?from|starting (?:at|in|from)|toward|towards|in the direction of|to|into|onto|until"
    r"|ending (?:at|in)|at|in|on|near|around|by)"
)
_ROWS, _COLUMNS = "|".join(_ROW), "|".join(_COLUMN)
_PLACE = re.compile(
    rf"\b{_PREPOSITION} (?:the |its |his |her )?(?:far |very )?(?:"
    rf"(?P<row>{_ROWS})[ -](?P<column>{_COLUMNS})(?:{_OF_VIEW}|[ -]{_PART})?"
    rf"|(?P<centre>centre|center|middle)(?:{_OF_VIEW})?"
    rf"|(?P<only_row>{_ROWS}){_OF_VIEW}|(?P<only_column>left|right)(?:{_OF_VIEW}|[ -](?:hand )?{_PART}))"
    r"(?! of\b)(?= |[,.;:!?)]|$)"
)
_HOW = {
    **dict.fromkeys(("toward", "towards", "in the direction of"), "toward"),
    **dict.fromkeys(("to", "into", "onto", "until", "ending at", "ending in"), "to"),
    **dict.fromkeys(("from", "away from", "starting at", "starting in", "starting from"), "from"),
}  # what else there is says where something is
_ENDS_PLACE = rf"(?=$|[,.;:!?)]| (?:{'|'.join(sorted(FUNCTION_WORDS - {'of'}))}|\w+ly|\w+_\w+)\b)"
_PLAIN_WAYS = _compiled(
    (r"\bfrom (?:the )?left to (?:the )?right\b|\bleft[ -]to[ -]right\b", "w_right"),
    (r"\bfrom (?:the )?right to (?:the )?left\b|\bright[ -]to[ -]left\b", "w_left"),
    (r"\bfrom (?:the )?top to (?:the )?bottom\b", "w_down"),
    (r"\bfrom (?:the )?bottom (?:to (?:the )?top|up)\b", "w_up"),
    *(
        (rf"\b{how} the (?:far |very )?{word}{_ENDS_PLACE}", f"{token}_{place}")
        for word, place in (("left", "90"), ("right", "92"), ("top", "09"), ("bottom", "29"))
        for how, token in (("from", "from"), ("(?:on|at|near)", "at"))
    ),
    (r"\b(?:on|at|in|from|by) (?:the|its|his|her) (?:left|right)\b", "there"),
    (r"\bto (?:the|its|his|her) (?:left|right) of\b", "beside"),
    (r"\bback and forth\b|\bfrom side to side\b", "forth"),  # a word that is known to no list: no event tells it
    *(
        (rf"\b(?:in|along) an? (?:\w+ )?{way} (?:line|direction|path|motion|movement)\b|\b{way}ly\b", f"w_{way}ly")
        for way in ("horizontal", "vertical", "diagonal")
    ),
    (rf"\b(?:left|right)[ -](?:hand )?{_PART}s?\b", "there"),
    (r"\b(?:the )?(?:distance|gap|space) between hand_b (?:\w+ )?(?:increas|grow|widen|open)\w+", "hand_b move apart"),
    (
        r"\b(?:the )?(?:distance|gap|space) between hand_b (?:\w+ )?(?:decreas|shrink|narrow|clos|lessen)\w+",
        "hand_b move closer",
    ),
    (r"\b(?:left|right) of\b", "beside"),
    (  # "with the left hand idle", ", the left hand still."
        rf"((?:^|[,.;:]|\b(?:with|while|and)) ?)(hand_[lrbosx])"
        rf"(?= (?:\w+ly )?(?:{AT_REST}\b|still *(?:[,.;:)]|$)))",
        r"\1\2 is",
    ),
    (r"\b(hand_[lrbosx]),? (?:on|in|around|with) (?=(?:the thing|it|them)\b)", r"\1 touching "),
    (r"\b(?:to|toward|towards) (?:the|its|his|her) (?=left\b|right\b)", ""),
    (r"\b(?:to|toward|towards) the (?:very )?top\b", "w_up"),
    (r"\b(?:to|toward|towards) the (?:very )?bottom\b", "w_down"),
    (r"\b(?:up|upper)[ -](?:and[ -](?:to[ -]the[ -])?)?left(?:wards?)?\b(?! (?:it|them|the|a|an)\b)", "w_up w_left"),
    (r"\b(?:up|upper)[ -](?:and[ -](?:to[ -]the[ -])?)?right(?:wards?)?\b", "w_up w_right"),
    (
        r"\b(?:down|lower)[ -](?:and[ -](?:to[ -]the[ -])?)?left(?:wards?)?\b(?! (?:it|them|the|a|an)\b)",
        "w_down w_left",
    ),
    (r"\b(?:down|lower)[ -](?:and[ -](?:to[ -]the[ -])?)?right(?:wards?)?\b", "w_down w_right"),
    (r"\bleft(?:wards?)?\b(?! (?:it|them|the|a|an)\b)", "w_left"),
    (r"\bright(?:wards?)?\b", "w_right"),
    (r"\bup(?:wards?)?\b|\bhigher\b", "w_up"),
    (r"\bdown(?:wards?)?\b", "w_down"),
)
_JUST = re.compile(  # "right above it", unlike "moves right above it"
    r"(\b\w+ |^)(?<!the )right"
    r"(?= (?:away|next|above|below|before|after|behind|beside|on|there|now|at|by|in|over|under)\b)"
)
_MODIFIER = rf"(?!(?:{'|'.join(sorted(FUNCTION_WORDS))}|hands?|\w+ly)\b)[a-z'-]+ "
_WHOLE_THING = re.compile(rf"\b(?:{DETERMINERS}|both|all) ((?:{_MODIFIER}){{0,4}}?)thing\b")
HAND = re.compile(r"\bhand_([lrbosx])\b")
WAY = re.compile(r"\bw_\w+\b")
PLACE = re.compile(r"\b(from|to|toward|at)_(\d)(\d)\b")
TOKEN = re.compile(r"\b(?:hand_[lrbosx]|w_[a-z]+|(?:from|toward|to|at)_\d\d)\b")
_HAND_WORDS = {"l": "the left hand", "r": "the right hand", "b": "both hands", "o": "the other hand",
               "s": "the same hand", "x": "the hand"}  # fmt: skip
_ANY_THING = re.compile(r"\b(?:the |an? |this |that |these |those )?(?:object|item|thing)s?\b")


def plain(text: str, nouns: Sequence[str]) -> str:
    """Return a caption with tokens for what can be checked.

    Args:
        text: in lower case.
        nouns: names of objects, longest first.
    """
    text = with_hands_and_things(text, nouns)
    text = re.sub(r"n't\b|\bcannot\b", " not", text)
    text = re.sub(r"\bnot (?=(?:only|just|merely|simply)\b)", "", text)  # it is so, and more than that
    text = _PLACE.sub(_place_token, text)
    text = _ONLY_SIDE.sub(lambda match: f"hand_{match[1][0]}", text)
    text = _JUST.sub(lambda match: match[0] if VERB.fullmatch(match[1].strip()) else f"{match[1]}just", text)
    for pattern, token in _PLAIN_WAYS:
        text = pattern.sub(token, text)
    return re.sub(r" +", " ", text).strip()


def with_hands_and_things(text: str, nouns: Sequence[str]) -> str:
    """Return a caption with tokens for hands, and with "the thing" for what was seen.

    Args:
        text: in lower case.
        nouns: names of objects, longest first.
    """
    return _with_hands(_with_things(text, nouns))


def in_words(text: str, noun: str) -> str:
    """Return a plain wording without tokens, as a person would put it; `noun` is what the thing is called."""
    text = text.replace("the thing", f"the {noun}")
    return TOKEN.sub(_words_of_token, text)


def _words_of_token(match: re.Match[str]) -> str:
    head, tail = match[0].split("_")
    if head == "hand":
        return _HAND_WORDS[tail]
    if head == "w":
        return tail
    row, column = ([*names, ""][min(int(digit), 3)] for names, digit in zip((ROWS, COLUMNS), tail, strict=True))
    return f"{head} the {'centre' if tail == '11' else f'{row} {column}'.strip()}"


def _with_things(text: str, nouns: Sequence[str]) -> str:
    """Return `text` with "the thing" for what `nouns` name, with or without adjectives, one or more."""
    text = re.sub(r"[’`]", "'", text)
    for noun in nouns:
        text = re.sub(rf"\b{_one_or_more(noun)}\b", "thing", text)
    for noun in nouns:  # "the door" of a left cabinet door, but not "the right door"
        head = noun.split(" of ")[0].split()[-1]
        # What tells a way or a hand names nothing, even where a name ends in it.
        if head != noun and head not in FUNCTION_WORDS | NOUNS_OF_NOTHING | {*SIDES} and not is_adverb(head):
            others = ({*MODIFIERS, *ORDINALS} - {"same", "two"}) - {*noun.split()}
            before = "".join(rf"(?<!\b{word} )" for word in sorted(others))
            text = re.sub(rf"{before}\b{_one_or_more(head)}\b", "thing", text)
    text = _ANY_THING.sub("thing", text)
    parts = {word for noun in nouns for word in noun.split()}
    text = _WHOLE_THING.sub(
        lambda match: "the thing" if all(word in parts or _is_plain(word) for word in match[1].split()) else match[0],
        text,
    )
    return re.sub(r"(?<!the )\bthing\b", "the thing", text)


def _is_plain(word: str) -> bool:
    """Return whether a word before the name of a thing makes no other thing of it: "the person's lifted red cup"."""
    participle = VERB.fullmatch(word) and (word.endswith(("ed", "ing")) or word in IRREGULAR_PARTICIPLES)
    return bool(participle) or word in PLAIN_WORDS | MODIFIERS or word.removesuffix("'s") in PERSONS


def _one_or_more(noun: str) -> str:
    """Return a pattern of a noun and its plural."""
    escaped = re.escape(noun)
    if re.search(r"(?:[^f]fe?)$", noun):
        stem = re.escape(re.sub(r"fe?$", "", noun))
        return rf"(?:{escaped}s?|{stem}ves)"
    if re.search(r"[^aeiou]y$", noun):
        return rf"(?:{escaped}|{escaped[:-1]}ies)"
    return rf"{escaped}(?:e?s)?"


def _with_hands(text: str) -> str:
    for pattern, token in _HANDS:
        text = pattern.sub(token, text)
    text = re.sub(r"\bhand_l and hand_r\b(?! \w+s\b)|\bhand_r and hand_l\b(?! \w+s\b)", "hand_b", text)
    return _WITH_SIDE.sub(lambda match: f"{match[1]} hand_{match[2][0]}", text)


def _place_token(match: re.Match[str]) -> str:
    how = _HOW.get(match["how"], "at")
    if match["centre"]:
        return f"{how}_11"
    row, column = match["row"] or match["only_row"], match["column"] or match["only_column"]
    return f"{how}_{9 if row is None else _ROW[row]}{9 if column is None else _COLUMN[column]}"

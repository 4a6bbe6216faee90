"""What a narration names."""

import re

from egorobot.pretrain.hod.lexicon import FUNCTION_WORDS, PARTICLES, PERSONS, is_adverb
from egorobot.pretrain.hod.vocabulary import VERB

UNNAMED = "object"  # what is held when nobody says what it is
MAX_WORDS = 4  # of a name
_ARTICLE = re.compile(r"(?<!hand of )(?<!hands of )\b(?:the|an?|his|her|its)\s+(?=([a-z][a-z' -]*))")
_ENDS = (FUNCTION_WORDS | PARTICLES) - {"can"}  # a can is a thing more often than not
_BEGINNINGS = {"back", "down", "first", "in", "inside", "next", "off", "on", "out", "outside", "over", "under", "up"}
_STATES = {"left", "right", "open", "shut", "closed", "upright", "straight", "flat", "clean", "upside", "well"}
_PLACES = {"top", "bottom", "upper", "lower", "middle", "far", "very", "front"}
_NO_OBJECTS = {
    "hand", "hands", "left", "right", "side", "way", "other", "others", "one", "ones", "two", "three", "four", "both",
    "some", "same", "last", "rest", "few", "lot", "bit", "couple", "little", "second", "third", "each", "all", "many",
    "several", "first", "next", "time", "times", "while", "middle", "centre",
    "center", "arm", "arms", "palm", "palms", "fist", "fists", "finger", "fingers", *PERSONS,
}  # fmt: skip


def object_name(narration: str) -> str:
    """Return what the thing is called that a narration is about: the first that it names with an article.

    Example:
        >>> object_name("#C C opens the left cabinet door with his hand")
        'left cabinet door'
        >>> object_name("#C C puts the cup down")
        'cup'
    """
    for match in _ARTICLE.finditer(narration.lower()):
        words = _name(match[1].split())
        if words and len(words) <= MAX_WORDS and words[-1] not in _NO_OBJECTS and not _is_of_person(words):
            return " ".join(words)
    return UNNAMED


def _name(words: list[str]) -> list[str]:
    """Return those of the words after an article that are a name.

    What ends a name may begin one: "the back cover", "the up button".
    """
    ends = (i for i, word in enumerate(words) if _ends(word) and (i > 0 or not _begins(word)))
    name = words[: next(ends, len(words))]
    # "slides the drawer left", but not "turns to the top left"
    while len(name) > 1 and name[-1] in _STATES and name[-2] not in _PLACES:
        name = name[:-1]
    return [] if len(name) == 1 and _begins(name[0]) else name


def _begins(word: str) -> bool:
    return word in _BEGINNINGS or is_adverb(word)  # "the early bird"


def _ends(word: str) -> bool:
    return word in _ENDS or is_adverb(word) or not word[0].isalpha()


def _is_of_person(words: list[str]) -> bool:
    """Return whether words tell what somebody does: "the man takes"."""
    return words[0] in PERSONS and any(word.endswith("s") and VERB.fullmatch(word) for word in words[1:])


def words_of(narration: str) -> list[str]:
    """Return the words of a narration, in lower case: what a caption may name without being told twice."""
    return re.findall(r"[a-z][a-z'-]+", narration.lower())

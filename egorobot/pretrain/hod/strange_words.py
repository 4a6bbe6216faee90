"""Words of a caption that nobody saw the meaning of: things, deeds and whatever else is in no list of plain words."""

import re
from collections.abc import Collection, Iterator, Sequence

from egorobot.pretrain.hod.lexicon import (
    ARTICLES,
    DETERMINERS,
    FUNCTION_WORDS,
    MODIFIERS,
    NOUNS_OF_NOTHING,
    PERSONS,
    PLAIN_WORDS,
    is_adverb,
)
from egorobot.pretrain.hod.vocabulary import VERB
from egorobot.pretrain.hod.wording import TOKEN, with_hands_and_things

_KNOWN = FUNCTION_WORDS | NOUNS_OF_NOTHING | MODIFIERS | PERSONS | PLAIN_WORDS
_NOTHING = re.compile(  # "in one smooth motion", "her gloved left hand"
    rf"\b(?:{DETERMINERS}) (?:(?!(?:{'|'.join(sorted(FUNCTION_WORDS))})\b)[a-z'-]+ ){{0,2}}"
    rf"(?:{'|'.join(sorted(NOUNS_OF_NOTHING))}|hand_\w)\b"
)
_WORD = re.compile(r"[^\W_][\w'-]*")
_ARTICLE = re.compile(rf"(?:{DETERMINERS})")
_ADJUNCT = re.compile(  # "from the shelf", "the plate"
    rf"(?:{'|'.join(sorted(FUNCTION_WORDS))}| )*\b(?:{DETERMINERS})"
    r"(?: (?!(?:is|are|was|were|has|have)\b)[a-z'-]+){1,3}"
)
_DEED = re.compile(  # of the hand before, or of the person
    rf"(?:(?:the )?(?:camera )?(?:{'|'.join(sorted(PERSONS))}) )?(?:(?:then|also|\w+ly) )*"
    r"(?!(?:is|was|has|this)\b)[a-z'-]+(?:s|ing)\b"
)


def strange_nouns(text: str, nouns: Sequence[str], allowed: Collection[str] = ()) -> list[str]:
    """Return what a caption names with an article, a possessive or a number, and nobody saw.

    Args:
        text: in lower case.
        nouns: names of objects that were seen, longest first.
        allowed: words that may be named besides.
    """
    return sorted({phrase for phrase in _phrases(with_hands_and_things(text, nouns)) if _is_strange(phrase, allowed)})


def strange_words(clause: str, allowed: Collection[str] = ()) -> list[str]:
    """Return words of a clause, in the wording of `wording.plain`, that say something nobody saw.

    Args:
        clause: the clause.
        allowed: words that may be said besides, in any form.
    """
    stems = {_stem(word) for word in allowed}
    words = _WORD.findall(_NOTHING.sub(" ", VERB.sub(" ", clause)))
    return [word for word in words if not (_is_plain(word) or TOKEN.fullmatch(word) or _stem(word) in stems)]


def is_told_besides(clause: str) -> bool:
    """Return whether a clause that claims nothing goes on with what is told: where, with what, or what the hand does.

    It has no subject of its own, and asks for nothing: words of a narration may stand in it.
    """
    clause = clause.strip()
    return "_" not in clause and bool(_ADJUNCT.fullmatch(clause) or _DEED.match(clause))


def _is_plain(word: str) -> bool:
    word = word.removesuffix("'s")
    return word in _KNOWN or is_adverb(word) or bool(_ARTICLE.fullmatch(word))


def _stem(word: str) -> str:
    """Return what forms of a regular noun or verb have in common, roughly."""
    stem = re.sub(r"(?<=\w\w\w)(?:ing|ed|es|s)$", "", word.removesuffix("'s"))
    return re.sub(r"(.)\1$", r"\1", stem).removesuffix("e")


def _phrases(text: str) -> Iterator[str]:
    """Yield the words that belong to each article: adjectives, then a noun."""
    for match in re.finditer(rf"\b({DETERMINERS}) (?=([a-z' -]+))", text):
        words: list[str] = []
        for word in match[2].split():
            if word in FUNCTION_WORDS or "_" in word or word.endswith("ly"):
                break
            if words and word not in NOUNS_OF_NOTHING and (VERB.fullmatch(word) or word.endswith("ing")):
                break
            words.append(word)
            if word in NOUNS_OF_NOTHING:
                break
        # "This moves" and "the lifting of it" name no thing; "the handle" and "the sink" do.
        is_deed = len(words) == 1 and VERB.fullmatch(words[0])
        if words and not (is_deed and (match[1] not in ARTICLES or words[0].endswith("ing"))):
            yield " ".join(words)


def _is_strange(phrase: str, allowed: Collection[str]) -> bool:
    noun = phrase.split()[-1]
    return noun not in NOUNS_OF_NOTHING | MODIFIERS and not {noun, noun.removesuffix("s")} & {*allowed}

"""How the clauses of a sentence stand to each other, by the words between them."""

import re

NEXT, SAME, EARLIER, LATER, FLASHBACK = "next", "same", "earlier", "later", "flashback"
_BEFORE_THAT = ("before that", "before this", "prior to that", "prior to this")
RELATIONS = {
    **dict.fromkeys(("and then", "then", "next", "afterwards", "finally", "before then"), NEXT),
    **dict.fromkeys(("while", "whereas", "meanwhile", "simultaneously", "at the same time", "as", "when"), SAME),
    **dict.fromkeys(("as soon as", "once", "upon", "after", "following", "having"), EARLIER),
    **dict.fromkeys(("before", "prior to", "until"), LATER),
    **dict.fromkeys(("earlier", "previously", "beforehand", *_BEFORE_THAT), FLASHBACK),
}
_NEUTRAL = ("but", "and", "which", "who", "so that", "thereby", "thus")
_WORDS = "|".join(sorted((*RELATIONS, *_NEUTRAL), key=len, reverse=True))
_WORDS = _WORDS.replace("as|", r"as(?! (?:well|if|though)\b)|").replace("next|", r"next(?! to\b)|")
BORDER = re.compile(rf"([,:;()—–]|\b(?:{_WORDS})\b)")
SENTENCE = re.compile(r"[.!?]+(?:\s|$)")
PAUSE = re.compile(r"^ (?:that|this|which|(?:the thing|an? |some |\w+ )*(?:pause|moment|while|seconds?))\b")
BEFORE_WHICH = re.compile(r"\bhand_([lrbosx])[ ,]*$")
NEW_START = re.compile(r",?(?:(?:and|but),|;|:|then)")  # after which a subordinate clause stands before its main one

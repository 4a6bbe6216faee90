"""What a narration names."""

import re

UNNAMED = "object"  # what is held when nobody says what it is
MAX_WORDS = 4  # of a name
_END = "in|on|at|to|into|onto|of|off|and|or|with|while|by|for|from|over|under|inside|during|using|near"
_NAME = re.compile(rf"\b(?:the|an?|his|her|its)\s+([a-z][a-z' -]*?)(?=\s+(?:{_END})\b|[^a-z' -]|$)")
_NO_OBJECTS = ("hand", "hands", "left", "right", "side", "way", "man", "woman", "person", "chef", "lady")


def object_name(narration: str) -> str:
    """Return what the thing is called that a narration is about: the first that it names with an article.

    Example:
        >>> object_name("#C C opens the left cabinet door with his hand")
        'left cabinet door'
    """
    for match in _NAME.finditer(narration.lower()):
        words = match.group(1).split()
        if len(words) <= MAX_WORDS and words[-1] not in _NO_OBJECTS:
            return " ".join(words)
    return UNNAMED


def words_of(narration: str) -> list[str]:
    """Return the words of a narration, in lower case: what a caption may name without being told twice."""
    return re.findall(r"[a-z][a-z'-]+", narration.lower())

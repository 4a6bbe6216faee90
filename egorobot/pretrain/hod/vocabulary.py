"""Verbs that captions use of hands, in all their forms, and what each may stand for."""

import re
from dataclasses import dataclass

MOVING = ("carry", "move", "reach", "withdraw")  # events that lead somewhere
TOUCHING = ("take", "hold", "carry")  # events with an object in the hand


@dataclass(frozen=True)
class Verb:
    """What a verb means.

    Attributes:
        sense: "motion" of a hand, or of an object where one is named; "reach", "withdraw",
            "take", "hold", "grip", "release", "place", "work" an object, "stay" where it is;
            "approach" something; and of both hands "meet" and "part".
        way: the direction that is in the verb, "" if none is.
        needs_object: whether it means this only of an object.
    """

    sense: str
    way: str = ""
    needs_object: bool = False


def _forms(*lemmas: str) -> str:
    """Return a pattern of regular verbs in all their forms."""
    patterns = []
    for lemma in lemmas:
        if lemma.endswith("e"):
            patterns.append(rf"{lemma[:-1]}(?:e|es|ed|ing)")
        elif lemma.endswith("y") and lemma[-2] not in "aeo":
            patterns.append(rf"{lemma[:-1]}(?:y|ies|ied|ying)")
        else:
            doubled = f"{lemma[-1]}?" if lemma.endswith(("b", "g", "p", "r")) else ""
            patterns.append(rf"{lemma}(?:e?s|{doubled}ed|{doubled}ing)?")
    return "|".join(patterns)


_IT = r"(?: (?:it|them|one|this|that|the thing))?"
_COME = r"(?:come|comes|came|coming|move|moves|moved|moving|draw|draws|drew|drawing|get|gets|got|getting|bring|brings)"
_DRAW = r"(?:draw|draws|drew|drawn|drawing|pull|pulls|pulled|pulling)"
_PUT = r"(?:put|puts|putting|set|sets|setting|lay|lays|laid|laying)"

AT_REST = r"(?:motionless|stationary|idle|immobile|inactive|unmoving|at rest)"
_STILL = r"still(?! (?!during)(?:\w+ing|\w+ed|held|kept|taken|on|in)\b)"  # and not "still moving"
_LEAVE = r"(?:leave|leaves|leaving)(?! (?:the|its) (?:view|frame|image|scene|picture|screen))"

# What comes first is tried first.
_PATTERNS: tuple[tuple[Verb, str], ...] = (
    (Verb("part"), r"(?:\w+) (?:\w+ly )?apart|\w+ away from (?:each other|one another)"),
    (Verb("meet"), rf"{_COME} (?:\w+ly )?(?:nearer|closer|together)"),
    (Verb("withdraw"), rf"{_DRAW} (?:back|away)|{_forms('withdraw', 'retreat', 'retract', 'recede')}"),
    (Verb("withdraw"), r"withdrew|withdrawn"),
    (Verb("withdraw"), r"(?:backs|backed|backing) (?:away|off)|back (?:away|off)"),
    (Verb("release"), rf"(?:let|lets|letting){_IT} go|(?:drop|drops|dropped|dropping)(?= (?:it|them|the|a|an)\b)"),
    (Verb("release"), rf"{_forms('release')}|{_PUT}{_IT} (?:w_down|aside|away)|{_LEAVE}"),
    (Verb("release"), r"left(?= (?:it|them|the thing)\b)"),
    (Verb("place", needs_object=True), rf"{_PUT}|{_forms('deposit')}|places|placed|placing"),
    (Verb("place", needs_object=True), r"(?<!\bin )(?<!\bsame )place"),
    (Verb("take"), rf"(?:take|takes|took|taken|taking)(?: hold)?|{_forms('grab', 'grasp', 'seize')}"),
    (Verb("take"), rf"{_forms('pick')}{_IT}(?: w_up)?|{_forms('snatch')}"),
    (Verb("grip", needs_object=True), r"(?:make|makes|made|making) (?:\w+ )?contact with"),
    (Verb("grip", needs_object=True), _forms("grip", "clutch", "clasp", "touch")),
    (Verb("hold"), rf"hold|holds|held|holding|keep|keeps|kept|keeping|{_forms('steady', 'anchor')}"),
    (Verb("hold"), _forms("stabilize", "stabilise", "brace")),
    (Verb("hold", needs_object=True), _forms("support", "maintain")),
    (Verb("stay"), _forms("stay", "remain", "rest", "linger")),
    (Verb("stay"), rf"(?:is|are|was|were)(?: held| kept)?(?: \w+ly)? (?:{_STILL}|{AT_REST})"),
    (Verb("stay"), r"(?:does|do|did) nothing(?! (?:but|else|except|more|other)\b)"),
    (Verb("reach"), _forms("reach", "stretch", "extend")),
    (Verb("approach"), _forms("approach")),
    (Verb("meet"), rf"meet|meets|met|meeting|{_forms('converge', 'join')}"),
    (Verb("part"), _forms("part", "separate", "diverge", "spread")),
    (Verb("motion", "up"), rf"{_forms('lift', 'raise', 'hoist', 'elevate', 'ascend')}|rise|rises|rose|risen|rising"),
    (Verb("motion", "down"), rf"lowers|lowered|lowering|lower(?= (?:it|them|the|hand_\w)\b)|{_forms('descend')}"),
    (Verb("motion", "down"), r"sink|sinks|sank|sinking|drop|drops|dropped|dropping|fall|falls|fell|falling"),
    (Verb("motion"), _forms("move", "push", "pull", "drag", "carry", "shift", "transport", "transfer")),
    (Verb("motion"), _forms("guide", "tug", "shove", "nudge", "steer", "haul", "yank", "convey", "return", "relocate")),
    (Verb("motion"), _forms("glide", "drift", "travel", "head", "sweep", "advance") + "|swept"),
    (Verb("motion"), r"slide|slides|slid|sliding|bring|brings|brought|bringing|swing|swings|swung|swinging"),
    (Verb("motion"), r"go|goes|went|gone|going|come|comes|came|coming|drawn?|draws|drew|drawing"),
    (Verb("work", needs_object=True), _forms("turn", "rotate", "twist", "flip", "press", "handle", "operate")),
    (Verb("work", needs_object=True), r"opens|opened|opening|closes|closed|closing|shuts|shutting"),
    (Verb("work", needs_object=True), _forms("manipulate", "adjust")),
)  # fmt: skip

VERB = re.compile(r"(?<!-)\b(?:" + "|".join(f"(?P<v{i}>{words})" for i, (_, words) in enumerate(_PATTERNS)) + r")\b")
IRREGULAR_PARTICIPLES = (
    "held", "kept", "taken", "drawn", "brought", "slid", "put", "set", "laid", "swung", "let", "left",
)  # fmt: skip


def verb_of(match: re.Match[str]) -> Verb:
    """Return which verb `VERB` matched."""
    return _PATTERNS[int(str(match.lastgroup)[1:])][0]

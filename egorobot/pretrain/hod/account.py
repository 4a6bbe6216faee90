"""What was read in a caption: its claims, and what it has besides."""

from dataclasses import dataclass

from egorobot.pretrain.hod.clauses import SAID, Place

ANY = "any"  # the side of a claim that names no hand


@dataclass(frozen=True)
class Claim:
    """What is said of a hand: one of `kinds` was done, each of `ways` was gone, at `places`.

    Attributes:
        side: "left", "right", "both", or `ANY`.
        kinds: of events, or `kinds.STAY` or `kinds.BE_AT`.
        ways: as `clauses.Reading` has them.
        places: where.
        text: the words, for a reason.
        after: numbers of the claims that are said to have come before.
        stance: `clauses.SAID`, or `clauses.DENIED` or `clauses.POSSIBLE`, which come before and after nothing.
    """

    side: str
    kinds: tuple[str, ...]
    ways: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()
    text: str = ""
    after: tuple[int, ...] = ()
    stance: str = SAID


@dataclass(frozen=True)
class Account:
    """What was read in a caption, and what was not.

    Attributes:
        claims: what it claims, in its order.
        empty: its sentences that claim nothing.
        unclear: its clauses that tell something of a hand, a way or a place that is in no claim.
        clauses: all its clauses, in the wording of `wording.plain`, and whether they claim anything.
    """

    claims: list[Claim]
    empty: list[str]
    unclear: list[str]
    clauses: list[tuple[str, bool]]

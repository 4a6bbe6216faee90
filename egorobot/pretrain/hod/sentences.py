"""Captions from events, without a language model: the baseline, and what a caption falls back to."""

from collections.abc import Sequence
from itertools import groupby

from egorobot.pretrain.hod.events import BOTH, Event, place_words

TEMPLATE = "template"  # what these captions are called in records


def caption(events: Sequence[Event]) -> str:
    """Return what `events` say, a clause for each, hand by hand: the one that touches something first.

    Returns:
        One sentence; "" where nothing happens.
    """
    busy = {event.side for event in events if event.kind in ("take", "carry", "hold", "release")}
    ordered = sorted(events, key=lambda event: (event.side == BOTH, event.side not in busy, event.side))
    parts = [_hand_clauses(side, list(group)) for side, group in groupby(ordered, key=lambda event: event.side)]
    return "; ".join(parts) + "." if parts else ""


def _hand_clauses(side: str, events: Sequence[Event]) -> str:
    clauses: list[str] = []
    named, told = "", ""
    for event in events:
        if (full := _clause(event, f"the {event.noun}")) != told:  # out of view in between, it did the same again
            clauses.append(_clause(event, "it") if event.noun and event.noun == named else full)
        named, told = event.noun, full
    subject = "the two hands" if side == BOTH else f"the {side} hand"
    if len(clauses) > 1:
        clauses = [*clauses[:-1], f"then {clauses[-1]}"]
    return f"{subject} " + ", ".join(clauses)


def _clause(event: Event, thing: str) -> str:
    way = " and ".join(event.directions())
    way = f" {way}" if way else ""
    match event.kind:
        case "reach":
            return f"reaches{way} for {thing}"
        case "withdraw":
            return f"draws back{way} from {thing}"
        case "move":
            return f"moves{way}"
        case "take":
            return f"takes {thing}"
        case "carry":
            start, end = place_words(event.origin), place_words(event.target)
            where = f" from the {start} to the {end}" if start != end else ""
            return f"moves {thing}{way}{where}"
        case "hold":
            return f"holds {thing} still"
        case "release":
            return f"lets go of {thing}"
        case "approach":
            return "come nearer to each other"
    return "move apart"

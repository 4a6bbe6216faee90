"""The page of previews, as HTML: a card a clip. All that comes from data is escaped."""

import importlib.resources
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

from egorobot.pretrain.hod.events import BOTH, Event
from egorobot.pretrain.hod.preview_frames import BAND, SIDE_COLOURS, Colour, verdict_colour
from egorobot.pretrain.hod.preview_record import PreviewRecord, event_words
from egorobot.pretrain.hod.rephrasing import UNFAITHFUL
from egorobot.pretrain.samples import SIDES

TEMPLATE_FILE = "preview.html"
WITH_OBJECT = ("take", "carry", "hold", "release")  # kinds of events whose bars are full
ALL = "all"  # of the filter
CONTROLS_SHARE = 0.09  # of a video's width, the height left free below it: players lay their controls over the picture


@dataclass(frozen=True)
class Card:
    """What the page shows of a clip.

    Attributes:
        shown: the words.
        video: name of the MP4, beside the page.
        poster: name of the JPEG.
        size: width and height of both, in pixels.
    """

    shown: PreviewRecord
    video: str
    poster: str
    size: tuple[int, int]


def page(cards: Sequence[Card]) -> str:
    """Return the whole page."""
    text = (importlib.resources.files("egorobot.pretrain.hod") / TEMPLATE_FILE).read_text(encoding="utf-8")
    colours = {side: _hex(colour) for side, colour in SIDE_COLOURS.items()}
    return Template(text).substitute(
        colours,
        band=_hex(BAND),
        unfaithful=_hex(verdict_colour(UNFAITHFUL)),
        filters=_filters(Counter(card.shown.verdict for card in cards)),
        cards="\n".join(_card(card, number, len(cards)) for number, card in enumerate(cards, start=1)),
    )


def _hex(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)


def _filters(verdicts: Counter[str]) -> str:
    """Return a button for all clips and one for each verdict, the most frequent first, with their numbers."""
    total = verdicts.total()
    buttons = [f'<button data-verdict="" aria-pressed="true">{ALL} <b>{total}</b></button>']
    for verdict, count in verdicts.most_common():
        buttons.append(
            f'<button data-verdict="{escape(verdict)}" aria-pressed="false" style="--verdict: '
            f'{_hex(verdict_colour(verdict))}"><i></i>{escape(verdict)} <b>{count}</b> '
            f"<small>{count / total:.0%}</small></button>"
        )
    return "\n".join(buttons)


def _card(card: Card, number: int, total: int) -> str:
    shown, (width, height) = card.shown, card.size
    caption = escape(shown.caption) or "<em>no caption</em>"
    start, end = shown.span
    details = [f"{word}: {text}" for word, text in shown.details.items()]
    return f"""<article data-verdict="{escape(shown.verdict)}" style="--verdict: {_hex(verdict_colour(shown.verdict))}">
<div class="screen" style="--ratio: {width / (height + CONTROLS_SHARE * width):.4f}">
<video src="{card.video}" poster="{card.poster}" controls loop muted playsinline preload="none"></video>
</div>
<div class="words">
<header><span class="verdict">{escape(shown.verdict)}</span><span class="number">{number} of {total}</span></header>
<p class="caption">{caption}</p>
{_faults(shown.faults)}
<p class="narration"><span>narration</span> {escape(shown.narration) or "-"}</p>
{_timeline(shown)}
{_attempts(shown)}
<footer><code>{escape(shown.clip_id)}</code> {start:.2f} to {end:.2f} s<br>{escape(" · ".join(details))}</footer>
</div>
</article>"""


def _faults(faults: Sequence[tuple[str, str]]) -> str:
    items = "".join(f"<li><b>{escape(kind)}</b> {escape(reason)}</li>" for kind, reason in faults)
    return f'<ul class="faults">{items}</ul>' if items else ""


def _attempts(shown: PreviewRecord) -> str:
    """Return the captions on the way to the last one; nothing where the first was good."""
    if len(shown.attempts) < 2 and not any(attempt.faults for attempt in shown.attempts):
        return ""
    items = "".join(f"<li>{escape(attempt.caption)}{_faults(attempt.faults)}</li>" for attempt in shown.attempts)
    return f"<details open><summary>attempts: {len(shown.attempts)}</summary><ol>{items}</ol></details>"


def _timeline(shown: PreviewRecord) -> str:
    """Return what each hand does as bars over time, with a line for the time of the video."""
    rows = [*SIDES, *([BOTH] if any(event.side == BOTH for event in shown.events) else [])]
    lines = []
    for side in rows:
        bars = "".join(_bar(event, shown.seconds) for event in shown.events if event.side == side)
        lines.append(f'<span class="side {side}">{side}</span><div class="row {side}">{bars}</div>')
    return f"""<div class="timeline" data-seconds="{shown.seconds:.3f}">
{"".join(lines)}
<span></span><div class="axis"><span>0 s</span><span>{shown.seconds:.1f} s</span></div>
<div class="track"><div class="playhead"></div></div>
</div>"""


def _bar(event: Event, seconds: float) -> str:
    words = event_words(event)
    ways = " and ".join(event.directions())
    tip = f"{event.side}: {words}{' ' if ways else ''}{ways}, {event.start:.1f} to {event.end:.1f} s"
    left, width = (100 * min(max(part / seconds, 0), 1) for part in (event.start, event.end - event.start))
    instant = event.end <= event.start
    kind = "mark" if instant else "bar full" if event.kind in WITH_OBJECT else "bar"
    return (
        f'<div class="{kind}" title="{escape(tip)}" style="left: {left:.2f}%; width: {width:.2f}%">'
        f"{'' if instant else escape(words)}</div>"
    )

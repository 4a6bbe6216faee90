"""Frames of a clip with what its record says: boxes drawn into them, words in a band below."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.events import BOTH
from egorobot.pretrain.hod.preview_record import PreviewRecord, event_words
from egorobot.pretrain.hod.rephrasing import FAITHFUL, UNFAITHFUL
from egorobot.pretrain.samples import SIDES

Colour = tuple[int, int, int]
Frame = NDArray[np.uint8]  # (H, W, 3)

# Blue, orange, teal and pink stay apart for people who see few colours; green and red are the verdicts'.
SIDE_COLOURS: dict[str, Colour] = {"left": (70, 170, 255), "right": (255, 160, 30), BOTH: (45, 200, 185)}
OBJECT_COLOUR: Colour = (255, 95, 200)
VERDICT_COLOURS: dict[str, Colour] = {FAITHFUL: (70, 190, 110), UNFAITHFUL: (235, 85, 80)}
OTHER_VERDICT: Colour = (150, 150, 158)
BLACK: Colour = (0, 0, 0)
BAND: Colour = (24, 25, 29)
WHITE: Colour = (240, 240, 242)
GREY: Colour = (165, 166, 175)
IDLE: Colour = (85, 86, 94)  # of a hand that does nothing

MIN_WIDTH = 512  # pixels; smaller frames are enlarged, so that words can be read
TEXT_SHARE = 32  # of the width, the height of text
BOX_SHARE = 170  # of the width, the lines of boxes
MAX_LINES = 5  # of a text in the band; what is longer is cut
MAX_LETTERS = 1000  # of a text, before it is measured
DOTS = "..."


def verdict_colour(verdict: str) -> Colour:
    """Return green, red, or grey for a verdict that is neither good nor bad."""
    return VERDICT_COLOURS.get(verdict, OTHER_VERDICT)


@dataclass(frozen=True)
class _Box:
    """A box (4,) in [0, 1], NaN for none, with its name; a strong one is of a hand that touches something."""

    place: NDArray[np.float32]
    label: str
    colour: Colour
    strong: bool

    def pixels(self, width: int, height: int) -> tuple[int, int, int, int] | None:
        """Return its first and last columns and rows in a picture, None where it covers nothing of it."""
        if np.isnan(self.place).any():
            return None
        ends = np.clip(self.place, 0, 1) * [width, height, width, height]
        left, top, right, bottom = ends.round().astype(int).tolist()
        return (left, top, right - 1, bottom - 1) if left < right and top < bottom else None


class PreviewFrames:
    """The frames of a clip, each drawn when it is asked for.

    Args:
        shown: what is drawn.
        clip: its frames, one at least.

    Attributes:
        picture: width and height of the picture, above the band, even numbers of pixels.
        size: width and height of what is drawn, even numbers of pixels.
    """

    def __init__(self, shown: PreviewRecord, clip: HodClip) -> None:
        self.shown = shown
        self.clip = clip
        height, width = clip.frames.shape[1:3]
        scale = max(1.0, MIN_WIDTH / width)
        self.picture = _even(scale * width), _even(scale * height)
        self.font = _font(max(12, self.picture[0] // TEXT_SHARE))
        self.line = round(1.35 * self.font.size)
        self.margin = self.line // 2
        self.band = self._draw_band()
        self.size = self.picture[0], self.picture[1] + self.band.height

    def __len__(self) -> int:
        return len(self.clip.frames)

    def __iter__(self) -> Iterator[Frame]:
        """Yield all frames in order, for as long as they are wanted."""
        return (self[number] for number in range(len(self)))

    def __getitem__(self, number: int) -> Frame:
        """Return frame `number`, uint8 (H, W, 3)."""
        time = float(self.clip.times[number])
        image = Image.new("RGB", self.size, BAND)
        image.paste(Image.fromarray(self.clip.frames[number]).resize(self.picture, Image.Resampling.BICUBIC))
        image.paste(self.band, (0, self.picture[1]))
        draw = ImageDraw.Draw(image)
        self._draw_tracks(draw, time)
        self._draw_now(draw, time)
        return np.asarray(image)

    def _draw_tracks(self, draw: ImageDraw.ImageDraw, time: float) -> None:
        row, tracks = self.shown.row(time), self.shown.tracks
        if row is None or tracks is None:
            return
        boxes = [_Box(tracks.object[row], self.shown.noun, OBJECT_COLOUR, False)]
        for i, side in enumerate(SIDES):
            touches = bool(tracks.contact[row, i])
            label = f"{side}: contact" if touches else side
            boxes.append(_Box(tracks.hands[row, i], label, SIDE_COLOURS[side], touches))
        placed = [(box, pixels) for box in boxes if (pixels := box.pixels(*self.picture)) is not None]
        for box, pixels in placed:
            self._draw_outline(draw, box, pixels)
        for box, pixels in placed:  # after all boxes, whose lines would cross them
            self._draw_label(draw, box, pixels)

    def _draw_outline(self, draw: ImageDraw.ImageDraw, box: "_Box", pixels: tuple[int, int, int, int]) -> None:
        left, top, right, bottom = pixels
        line = max(2, self.picture[0] // BOX_SHARE) * (2 if box.strong else 1)
        # A dark rim, for colours are hard to see on bright pictures.
        rim = (left - 1, top - 1, right + 1, min(bottom + 1, self.picture[1] - 1))
        draw.rectangle(rim, outline=BLACK, width=line + 2)
        draw.rectangle(pixels, outline=box.colour, width=line)

    def _draw_label(self, draw: ImageDraw.ImageDraw, box: "_Box", pixels: tuple[int, int, int, int]) -> None:
        left, top, _, _ = pixels
        text = _cut(box.label, self.font, self.picture[0] // 2)
        wide = round(self.font.getlength(text)) + self.margin
        x = min(left, self.picture[0] - wide)
        y = top - self.line if top >= self.line else top  # above the box where there is room
        draw.rectangle((x, y, x + wide, y + self.line), fill=box.colour if box.strong else BLACK)
        middle = (x + wide / 2, y + self.line / 2)
        draw.text(middle, text, font=self.font, fill=BLACK if box.strong else box.colour, anchor="mm")

    def _draw_now(self, draw: ImageDraw.ImageDraw, time: float) -> None:
        """Write the time, and what each hand does now, each at a place of its own: words that jump cannot be read."""
        width, top = self.picture
        y = top + self.margin
        draw.text((self.margin, y), f"{time:.1f} of {self.shown.seconds:.1f} s", font=self.font, fill=GREY)
        places = {BOTH: (width // 3, y), "left": (self.margin, y + self.line), "right": (width // 2, y + self.line)}
        for side, place in places.items():
            words = ", ".join(map(event_words, self.shown.events_at(time, side)))
            text = _cut(f"{side}: {words}", self.font, width // 2 - self.margin) if words else side
            draw.text(place, text, font=self.font, fill=SIDE_COLOURS[side] if words else IDLE)

    def _draw_band(self) -> Image.Image:
        """Return the band with all that does not change with time."""
        width = self.picture[0]
        caption = _wrap(self.shown.caption or "(no caption)", self.font, width - 2 * self.margin)
        narration = _wrap(f"narration: {self.shown.narration or '-'}", self.font, width - 2 * self.margin)
        rows = 2 + len(caption) + len(narration)  # the first two are of the time
        image = Image.new("RGB", (width, _even(rows * self.line + 4 * self.margin)), BAND)
        draw = ImageDraw.Draw(image)
        verdict = _cut(self.shown.verdict, self.font, width // 3)
        wide = round(self.font.getlength(verdict)) + 2 * self.margin
        x, y = width - self.margin - wide, self.margin
        draw.rounded_rectangle(
            (x, y, x + wide, y + self.line), radius=self.line // 3, fill=verdict_colour(self.shown.verdict)
        )
        draw.text((x + wide / 2, y + self.line / 2), verdict, font=self.font, fill=BLACK, anchor="mm")
        y += 2 * self.line + self.margin
        for lines, colour in ((caption, WHITE), (narration, GREY)):
            for text in lines:
                draw.text((self.margin, y), text, font=self.font, fill=colour)
                y += self.line
            y += self.margin // 2
        return image


def _even(length: float) -> int:
    return max(2, 2 * round(length / 2))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)  # as with every Pillow that has FreeType: its wheels do
    return font


def _cut(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Return as much of `text` as `width` pixels hold, with dots where some is missing."""
    text = text[:MAX_LETTERS]
    if font.getlength(text) <= width:
        return text
    fits = bisect_right(range(len(text)), float(width), key=lambda letters: font.getlength(text[:letters] + DOTS))
    return text[: max(0, fits - 1)].rstrip() + DOTS


def _wrap(text: str, font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Return `text` in lines of at most `width` pixels, broken between words, within those that are too long."""
    lines = [""]
    for word in text[:MAX_LETTERS].split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    if len(lines) > MAX_LINES or len(text) > MAX_LETTERS:
        lines = lines[:MAX_LINES]
        lines[-1] = _cut(lines[-1] + DOTS, font, width)
    return lines

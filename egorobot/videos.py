"""Rollouts as H.264 MP4: frames, captions drawn into them, grids."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import imageio.v2 as imageio
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from egorobot.envs.protocols import CONTROL_RATE
from egorobot.files import atomic_path

Frame = NDArray[np.uint8]  # (H, W, 3)

WHITE, GREEN, RED = (255, 255, 255), (90, 220, 110), (255, 110, 100)
BORDER = 3  # pixels


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)


def draw_caption(frame: Frame, text: str, outcome: bool | None = None) -> Frame:
    """Return a copy of `frame` (H, W, 3) with a line of text and, at the end, a border.

    Args:
        frame: the image, at least 64 pixels wide.
        text: drawn at the top, on a dark band, in a size that fits the width.
        outcome: None while the episode runs; True draws a green border and `success`,
            False a red one and `failure`.
    """
    image = Image.fromarray(frame)
    draw = ImageDraw.Draw(image, "RGBA")
    size = max(8, image.width // 16)
    while size > 6 and draw.textlength(text, font=_font(size)) > image.width - 8:
        size -= 1
    draw.rectangle((0, 0, image.width, size + 6), fill=(0, 0, 0, 150))
    draw.text((4, 2), text, font=_font(size), fill=WHITE)
    if outcome is not None:
        colour, word = (GREEN, "success") if outcome else (RED, "failure")
        draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=colour, width=BORDER)
        draw.text((BORDER + 4, image.height - size - BORDER - 6), word, font=_font(size), fill=colour, stroke_width=1,
                  stroke_fill=(0, 0, 0))  # fmt: skip
    return np.asarray(image)


def grid(episodes: Sequence[Iterable[Frame]]) -> Iterator[Frame]:
    """Yield frames with all `episodes` in a grid that is about as wide as it is high.

    An episode that is over shows its last frame; cells left over are black. Frames are
    taken as they are needed, so that memory does not grow with the episodes' length.

    Args:
        episodes: frames (H, W, 3) of each, all of one size.
    """
    columns = int(np.ceil(np.sqrt(len(episodes))))
    rows = -(-len(episodes) // columns)
    canvas = np.zeros((0, 0, 3), np.uint8)
    for cells in zip_longest(*episodes):
        height, width, _ = next(cell.shape for cell in cells if cell is not None)
        if canvas.size == 0:
            canvas = np.zeros((rows * height, columns * width, 3), np.uint8)
        for i, cell in enumerate(cells):
            if cell is not None:
                y, x = (i // columns) * height, (i % columns) * width
                canvas[y : y + height, x : x + width] = cell
        yield canvas.copy()


def write_video(path: str | Path, frames: Iterable[Frame], fps: float = CONTROL_RATE, hold: float = 1.0) -> None:
    """Write `frames` (H, W, 3), of even height and width, as H.264 MP4, atomically.

    Args:
        path: file to write, ending in `.mp4`.
        frames: the images.
        fps: frames a second.
        hold: how long the last frame stays, in s.
    """
    # Even sizes, so that yuv420p, which every player knows, holds the frames as they are.
    options: dict[str, Any] = {"fps": fps, "codec": "libx264", "quality": 8, "macro_block_size": 2}
    with atomic_path(path) as temporary, closing(imageio.get_writer(temporary, "FFMPEG", **options)) as open_writer:
        writer: Any = open_writer
        for frame in frames:
            writer.append_data(frame)
        for _ in range(round(hold * fps)):
            writer.append_data(frame)

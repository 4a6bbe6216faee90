"""Previews of captions: a video a clip with boxes and words, and a page to leaf through them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

from egorobot.files import atomic_path, write_text
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.preview_frames import PreviewFrames
from egorobot.pretrain.hod.preview_page import Card, page
from egorobot.pretrain.hod.preview_record import PreviewRecord
from egorobot.videos import write_video

PREVIEW_FOLDER = "preview"
PAGE_FILE = "index.html"
HOLD = 0.5  # s that a video rests on its last frame before it begins again
POSTER_QUALITY = 85  # of a JPEG, in [0, 100]


def write_previews(folder: Path, clips: Iterable[tuple[dict[str, Any], HodClip]]) -> Path:
    """Write a video and a picture of each clip, and a page that shows them, which needs no network.

    Clips are taken one at a time, so that memory does not grow with their frames.

    Args:
        folder: where to; the page is written last, and one that is there is removed first, for
            its words would not be those of the new videos.
        clips: records, with the fields of `records.FIELDS` or some of them, and the clips
            that they are of, of one frame at least.

    Returns:
        The page.
    """
    file = folder / PAGE_FILE
    file.unlink(missing_ok=True)
    cards = [_write_clip(folder, number, *pair) for number, pair in enumerate(clips, start=1)]
    write_text(file, page(cards))
    return file


def _write_clip(folder: Path, number: int, record: dict[str, Any], clip: HodClip) -> Card:
    """Write the files of a clip, which have numbers for names: what a clip is called may be no name for a file."""
    shown = PreviewRecord.of(record, clip)
    frames = PreviewFrames(shown, clip)
    card = Card(shown, f"clip-{number:05}.mp4", f"clip-{number:05}.jpg", frames.size)
    write_video(folder / card.video, frames, clip.frame_rate, HOLD)
    with atomic_path(folder / card.poster) as temporary:
        Image.fromarray(frames[len(frames) // 2]).save(temporary, quality=POSTER_QUALITY)
    return card

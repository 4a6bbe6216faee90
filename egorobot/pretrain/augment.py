"""Changes to a clip that leave its captions true, and its fit to the model's input."""

import math
import re
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from egorobot.pretrain.samples import ClipSample, FittedClip

ASPECT_RATIO = 4 / 3  # of a crop, at most, either way
CROP_TRIES = 10  # crops drawn before the largest centred one is taken
_SIDES = re.compile(r"\b(left|right)(ward|wards|most)?\b", re.IGNORECASE)
_TURNS = re.compile(r"\b(counter-?|anti-?)?clockwise\b", re.IGNORECASE)


@dataclass(frozen=True)
class Augmentation:
    """What is changed in the clips of a corpus.

    Attributes:
        flip: share of clips that are mirrored, captions with them, in [0, 1]. A mirrored
            kitchen tells left from right in one still frame, so it is 0 for simulated hands.
        crop: smallest and largest part of a frame's area that is shown, in (0, 1]; None is
            the largest centred square.
        colour: largest relative change of brightness and contrast, in [0, 1].
        hod_ratio: share of clips that are seen with a caption of hand-object dynamics,
            where a clip has a narration as well, in [0, 1].
    """

    flip: float = 0.0
    crop: tuple[float, float] | None = None
    colour: float = 0.15
    hod_ratio: float = 0.5

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: a number is out of its range.
        """
        for name in ("flip", "colour", "hod_ratio"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} is not in [0, 1]")
        match self.crop:
            case None:
                pass
            case (low, high) if 0 < low <= high <= 1:
                pass
            case _:
                raise ValueError(f"crop={self.crop} is not a smallest and a largest share of the area, in (0, 1]")

    @property
    def moves_pixels(self) -> bool:
        """Whether clips are seen otherwise than with other colours."""
        return bool(self.flip) or self.crop is not None


class Seen(NamedTuple):
    """A clip as training sees it.

    Attributes:
        sample: its tracks, and frames of the high-rate stream's size.
        slow: frames of the low-rate stream, uint8 (T, H, W, 3), where they have another size.
        caption: what is said of it.
    """

    sample: ClipSample
    slow: NDArray[np.uint8] | None
    caption: str


def augment(
    clip: ClipSample | FittedClip,
    augmentation: Augmentation,
    sizes: tuple[int, int],
    rng: np.random.Generator,
    caption_rng: np.random.Generator,
) -> Seen:
    """Return a clip as training sees it.

    Args:
        clip: as it was read; it has the right sizes only where `augmentation` does not move pixels.
        augmentation: what may change.
        sizes: sides of the low-rate and of the high-rate stream's frames, in pixels.
        rng: source of randomness.
        caption_rng: the same, of the choice of a caption.
    """
    sample, slow = clip if isinstance(clip, FittedClip) else _fitted(clip, augmentation, sizes, rng)
    caption = draw_caption(sample, augmentation.hod_ratio, caption_rng)
    if augmentation.colour:
        colours = Colours.draw(rng, augmentation.colour)
        slow = None if slow is None else colours.change(slow)
        sample = sample.with_frames(colours.change(sample.frames_fast))
    return Seen(sample, slow, caption)


def _fitted(
    sample: ClipSample, augmentation: Augmentation, sizes: tuple[int, int], rng: np.random.Generator
) -> FittedClip:
    """Return `sample`, mirrored and cropped as drawn, in the sizes that a model takes."""
    if augmentation.flip and rng.random() < augmentation.flip:
        sample = mirror(sample)
    height, width = sample.frames_fast.shape[1:3]
    if augmentation.crop is None:
        region = _centre_square(height, width)
    else:
        region = crop_box(height, width, augmentation.crop, rng)
    sample = crop(sample, region, sizes[0])
    slow = sample.frames_slow if sizes[0] != sizes[1] else None
    return FittedClip(sample.with_frames(resize(sample.frames_fast, sizes[1])), slow)


def crop(sample: ClipSample, region: tuple[int, int, int, int], size: int) -> ClipSample:
    """Return the `region` (top, left, height, width in pixels) of `sample`, resized to `size` pixels square."""
    top, left, height, width = region
    rows, columns = sample.frames_fast.shape[1:3]
    if (height, width) == (rows, columns) == (size, size):
        return sample
    sides = left / columns, top / rows, (left + width) / columns, (top + height) / rows
    frames = resize(sample.frames_fast[:, top : top + height, left : left + width], size)
    return replace(sample, frames_fast=frames, tracks=sample.tracks and sample.tracks.cropped(*sides))


def draw_caption(sample: ClipSample, hod_ratio: float, rng: np.random.Generator) -> str:
    """Return a caption of `sample`: of hand-object dynamics with probability `hod_ratio`, else a narration.

    A clip that has only one of the two gives that; within a kind all are as likely.
    """
    use_hod = rng.random() < hod_ratio
    captions = (sample.hod if use_hod else sample.narrations) or sample.captions
    return captions[int(rng.integers(len(captions)))]


def swap_sides(caption: str) -> str:
    """Return `caption` with left and right exchanged, and the two ways to turn, case kept.

    Example:
        >>> swap_sides("The right hand pulls it to the left, leftwards.")
        'The left hand pulls it to the right, rightwards.'
        >>> swap_sides("Turns the leftmost knob clockwise.")
        'Turns the rightmost knob counterclockwise.'
    """

    def other(match: re.Match[str]) -> str:
        word = match.group(1)
        swapped = "right" if word.lower() == "left" else "left"
        swapped = swapped.upper() if word.isupper() else swapped.capitalize() if word[0].isupper() else swapped
        return swapped + (match.group(2) or "")

    def other_turn(match: re.Match[str]) -> str:
        turned = "clockwise" if match.group(1) else "counterclockwise"
        return turned.capitalize() if match.group()[0].isupper() else turned

    return _TURNS.sub(other_turn, _SIDES.sub(other, caption))


def mirror(sample: ClipSample) -> ClipSample:
    """Return `sample` mirrored left to right: frames, the sides in its captions, and its tracks."""
    return replace(
        sample,
        frames_fast=sample.frames_fast[..., ::-1, :],
        narrations=[swap_sides(caption) for caption in sample.narrations],
        hod=[swap_sides(caption) for caption in sample.hod],
        tracks=sample.tracks and sample.tracks.mirrored(),
    )


def crop_box(height: int, width: int, area: tuple[float, float], rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Return the top, left, height and width of a random crop, all in pixels.

    Args:
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        area: smallest and largest share of the frame's area.
        rng: source of randomness.
    """
    for _ in range(CROP_TRIES):
        share, aspect = rng.uniform(*area), math.exp(rng.uniform(-1, 1) * math.log(ASPECT_RATIO))
        crop_height = round(math.sqrt(height * width * share / aspect))
        crop_width = round(math.sqrt(height * width * share * aspect))
        if 0 < crop_height <= height and 0 < crop_width <= width:
            top, left = rng.integers(height - crop_height + 1), rng.integers(width - crop_width + 1)
            return int(top), int(left), crop_height, crop_width
    return _centre_square(height, width)


def _centre_square(height: int, width: int) -> tuple[int, int, int, int]:
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def fit(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return the largest centred square of frames (F, H, W, 3), resized to (F, size, size, 3)."""
    top, left, height, width = _centre_square(*frames.shape[1:3])
    return resize(frames[:, top : top + height, left : left + width], size)


def resize(frames: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return frames (F, H, W, 3) resized to (F, size, size, 3), whatever their aspect ratio."""
    if frames.shape[1:3] == (size, size):
        return frames
    pixels = torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2)  # (F, 3, H, W), channels last
    pixels = F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False)
    return pixels.permute(0, 2, 3, 1).contiguous().numpy()


@dataclass(frozen=True)
class Colours:
    """A change of contrast and of each channel's brightness.

    Attributes:
        gain: of the channels, (3,).
        offset: added to all of them, in grey levels.
    """

    gain: NDArray[np.float32]
    offset: float

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float) -> "Colours":
        """Return a change drawn from `rng`, whose largest relative one is `strength`, in [0, 1]."""
        gain = 1 + strength * rng.uniform(-1, 1, 3)
        return cls(gain.astype(np.float32), 128 * strength * rng.uniform(-1, 1))

    def change(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return frames (..., 3), of two dimensions or more, changed the same way in all of them."""
        # Whole rows at a time: the three channels of a pixel alone are too few for vector instructions.
        rows = frames.reshape(*frames.shape[:-2], -1).astype(np.float32)
        rows *= np.tile(self.gain, frames.shape[-2])
        rows += np.float32(self.offset)
        np.clip(np.rint(rows, out=rows), 0, 255, out=rows)
        return rows.astype(np.uint8).reshape(frames.shape)

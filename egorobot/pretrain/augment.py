"""Changes to a clip that leave its captions true."""

import re

import numpy as np
from numpy.typing import NDArray

_SIDES = re.compile(r"\b(left|right)(ward|wards)?\b", re.IGNORECASE)


def swap_sides(caption: str) -> str:
    """Return `caption` with left and right exchanged, case kept.

    Example:
        >>> swap_sides("The right hand pulls it to the left, leftwards.")
        'The left hand pulls it to the right, rightwards.'
    """

    def other(match: re.Match[str]) -> str:
        word = match.group(1)
        swapped = "right" if word.lower() == "left" else "left"
        swapped = swapped.upper() if word.isupper() else swapped.capitalize() if word[0].isupper() else swapped
        return swapped + (match.group(2) or "")

    return _SIDES.sub(other, caption)


def mirror(frames: NDArray[np.uint8], caption: str) -> tuple[NDArray[np.uint8], str]:
    """Return frames (..., H, W, 3) mirrored left to right, and their caption with its sides exchanged."""
    return frames[..., ::-1, :], swap_sides(caption)


def jitter_colours(frames: NDArray[np.uint8], rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    """Return frames (..., 3) with contrast and each channel's brightness changed, the same way in all of them.

    Args:
        frames: uint8.
        rng: source of randomness.
        strength: largest relative change, in [0, 1].
    """
    gain = 1 + strength * rng.uniform(-1, 1, 3)
    offset = 128 * strength * rng.uniform(-1, 1)
    tables = np.arange(256)[:, None] * gain + offset  # (256, 3)
    tables = np.clip(np.rint(tables), 0, 255).astype(np.uint8)
    return np.stack([tables[frames[..., i], i] for i in range(3)], axis=-1)

"""From pixels to the input of a stream."""

import torch
import torch.nn.functional as F
from torch import Tensor

# Means and deviations of RGB in [0, 1] that CLIP was trained with (OpenAI CLIP).
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
FRAMES_VERSION = "2"  # of what this module computes: fingerprints of models go by it


def resize_frames(frames: Tensor, size: int) -> Tensor:
    """Return frames of `size` pixels, in whole grey levels.

    Args:
        frames: uint8, (B, T, H, W, 3).
        size: side of the result, in pixels.

    Returns:
        uint8, (B, T, size, size, 3).

    Raises:
        ValueError: `frames` is not uint8 of that shape.
    """
    if frames.dtype != torch.uint8 or frames.ndim != 5 or frames.shape[-1] != 3:
        raise ValueError(f"frames must be uint8 (B, T, H, W, 3), not {frames.dtype} {tuple(frames.shape)}")
    if frames.shape[2:4] == (size, size):
        return frames
    pixels = frames.flatten(0, 1).movedim(3, 1)  # (B*T, 3, H, W)
    # Several times as fast as floats on a CPU; other devices cannot resize bytes.
    pixels = _resize(pixels, size) if pixels.device.type == "cpu" else resize_in_floats(pixels, size)
    return pixels.movedim(1, 3).unflatten(0, frames.shape[:2])


def resize_in_floats(pixels: Tensor, size: int) -> Tensor:
    """Return uint8 `pixels` (N, 3, H, W) resized by way of floats: within one grey level of the CPU's bytes."""
    return _resize(pixels.float(), size).round_().byte()


def _resize(pixels: Tensor, size: int) -> Tensor:
    return F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True, align_corners=False)


def normalise_frames(frames: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return uint8 `frames` (B, T, H, W, 3) about zero mean and unit deviation, `dtype` (B, T, 3, H, W)."""
    exact = torch.promote_types(dtype, torch.float32)
    mean, std = (
        torch.tensor(colours, device=frames.device, dtype=exact).view(3, 1, 1) for colours in (PIXEL_MEAN, PIXEL_STD)
    )
    # One channel after the other: what follows is faster on a CPU than with a pixel's channels side by side.
    pixels = frames.movedim(4, 2).to(exact, memory_format=torch.contiguous_format)
    return pixels.sub_(255 * mean).div_(255 * std).to(dtype)

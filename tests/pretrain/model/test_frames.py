"""Frames: resized alike on every device, in the asked-for precision."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from egorobot.pretrain.model.frames import PIXEL_MEAN, PIXEL_STD, normalise_frames, resize_frames, resize_in_floats


@pytest.mark.parametrize(("size", "new_size"), [(112, 48), (64, 112), (96, 32)])
def test_bytes_and_floats_are_resized_to_within_one_grey_level(
    clip_pixels: Callable[..., Tensor], size: int, new_size: int
) -> None:
    frames = clip_pixels(2, size=size)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (PIXEL_MEAN, PIXEL_STD))
    resized = resize_frames(frames, new_size)
    assert (resized.shape, resized.dtype) == ((*frames.shape[:2], new_size, new_size, 3), torch.uint8)
    levels = (normalise_frames(resized) * std + mean) * 255
    floats = resize_in_floats(frames.flatten(0, 1).permute(0, 3, 1, 2), new_size)
    torch.testing.assert_close(levels, resized.movedim(4, 2).float(), atol=1e-3, rtol=0)
    assert floats.dtype == torch.uint8
    difference = (levels.round().flatten(0, 1) - floats).abs()
    assert difference.max() <= 1 and difference.mean() < 0.25


def test_normalising_leaves_the_frames_alone(clip_pixels: Callable[..., Tensor]) -> None:
    frames = clip_pixels(1)
    before = frames.clone()
    normalise_frames(frames)
    assert torch.equal(frames, before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_precision_is_as_asked_for(clip_pixels: Callable[..., Tensor], dtype: torch.dtype) -> None:
    pixels = normalise_frames(clip_pixels(1), dtype)
    assert pixels.dtype == dtype
    exact = normalise_frames(clip_pixels(1), torch.float64)
    torch.testing.assert_close(pixels.double(), exact, atol=1e-6, rtol=torch.finfo(dtype).eps)


@pytest.mark.parametrize("frames", [torch.zeros(1, 4, 8, 8, 3), torch.zeros(4, 8, 8, 3, dtype=torch.uint8)])
def test_other_frames_are_refused(frames: Tensor) -> None:
    with pytest.raises(ValueError, match="uint8"):
        resize_frames(frames, 8)

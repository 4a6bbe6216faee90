"""The convolutions that turn frames into tokens, done otherwise where their gradient is slow.

On a CPU the gradient of such a convolution takes up to ten times as long in bfloat16 as
matrix products of the same numbers (PyTorch 2.14).
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.grad import conv2d_input

from egorobot.pretrain.model.config import STEM_GROUPS
from egorobot.pretrain.model.frames import PIXEL_MEAN, PIXEL_STD, normalise_frames
from egorobot.pretrain.model.products import trained_in_bfloat16

GREY = 128  # the grey level that products count from
WINDOW, STRIDE = 3, 2  # side and distance of the windows of a convolution that halves the image, in pixels


class PatchConv(nn.Conv2d):
    """A convolution of the patches of frames, which it normalises before.

    Args:
        width: channels of the result.
        side: of a patch, in pixels.
        bias: whether there is one.
        differences: whether each frame's change since the one before is seen beside it.
    """

    def __init__(self, width: int, side: int, bias: bool = True, differences: bool = False) -> None:
        super().__init__(3 * (1 + differences), width, side, stride=side, bias=bias)
        self.differences = differences

    def forward(self, frames: Tensor) -> Tensor:
        """Return (B*T, width, H // side, W // side) of `frames`, uint8 (B, T, H, W, 3)."""
        if trained_in_bfloat16(self.weight):
            return self._product(frames)
        image = normalise_frames(frames, self.weight.dtype)
        if self.differences:
            image = with_changes(image)
        return super().forward(image.flatten(0, 1))

    def _product(self, frames: Tensor) -> Tensor:
        """Return the same as a product of grey levels, which bfloat16 holds exactly, and weights that normalise them.

        Counted from the middle they have hardly a mean, which would drown the gradient when it is rounded.
        """
        side = self.kernel_size[0]
        height, width = (size // side for size in frames.shape[2:4])
        rows = frames[:, :, : height * side, : width * side].flatten(3)
        cut = rows.unflatten(3, (width, -1)).unflatten(2, (height, -1)).transpose(3, 4).flatten(4)
        seen = cut.new_empty((*cut.shape[:4], math.prod(self.weight.shape[1:])), dtype=torch.bfloat16)
        counted = cut.bitwise_xor(GREY).view(torch.int8)  # the same as from less GREY, without a pass of its own
        patches = seen[..., : cut.shape[4]].copy_(counted)  # (B, T, h, w, side * side * 3)
        if self.differences:
            changes = seen[..., cut.shape[4] :]
            changes[:, 0] = 0
            torch.sub(patches[:, 1:], patches[:, :-1], out=changes[:, 1:])
        mean, std = (self.weight.new_tensor(colours) for colours in (PIXEL_MEAN, PIXEL_STD))
        weight = self.weight.unflatten(1, (-1, 3)).permute(0, 1, 3, 4, 2) / std
        bias = (weight[:, 0].sum((1, 2)) * (GREY / 255 - mean)).sum(1)  # a product would be rounded
        if self.bias is not None:
            bias = bias + self.bias
        product = F.linear(seen.flatten(0, 1), weight.flatten(1) / 255, bias)
        return product.permute(0, 3, 1, 2).contiguous()  # what follows is faster then


class HalvingConv(nn.Conv2d):
    """A convolution of 3x3 pixels around every other one, with a border of zeros.

    Args:
        channels: of the image.
        width: channels of the result.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, WINDOW, stride=STRIDE, padding=WINDOW // 2)

    def forward(self, image: Tensor) -> Tensor:
        """Return (N, width, ceil(H / 2), ceil(W / 2)) of `image`, (N, channels, H, W)."""
        if not trained_in_bfloat16(self.weight):
            return super().forward(image)
        assert self.bias is not None
        low = torch.bfloat16
        halved: Tensor = _Halving.apply(image.to(low), self.weight.to(low), self.bias.to(low))
        return halved


class _Halving(torch.autograd.Function):
    """A `HalvingConv` that is a product of what its windows see, and so is its gradient by the weights."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        windows = _windows(image.movedim(1, 3))
        ctx.save_for_backward(windows, weight)
        ctx.image_shape = image.shape
        return F.linear(windows, weight.movedim(1, 3).flatten(1), bias).movedim(3, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        windows, weight = ctx.saved_tensors
        # A pixel's channels side by side: faster by the image.
        gradient, weight = (t.contiguous(memory_format=torch.channels_last) for t in (gradients[0], weight))
        by_image = conv2d_input(ctx.image_shape, weight, gradient, STRIDE, WINDOW // 2)
        by_pixel = gradient.movedim(1, 3).flatten(0, 2)  # (N * h * w, width)
        by_weight = by_pixel.T @ windows.flatten(0, 2)
        by_weight = by_weight.unflatten(1, (WINDOW, WINDOW, -1)).movedim(3, 1)
        return by_image, by_weight, by_pixel.sum(0)


def _windows(image: Tensor) -> Tensor:
    """Return what each window of a `HalvingConv` sees of `image` (N, H, W, C), (N, ceil(H/2), ceil(W/2), 9 * C)."""
    pad = WINDOW // 2
    padded = F.pad(image, (0, 0, pad, pad, pad, pad))
    rows, columns = (STRIDE * ((size - 1) // STRIDE) + 1 for size in image.shape[1:3])
    shifts = itertools.product(range(WINDOW), repeat=2)
    return torch.cat([padded[:, i : i + rows : STRIDE, j : j + columns : STRIDE] for i, j in shifts], dim=3)


def with_changes(frames: Tensor) -> Tensor:
    """Return `frames` (B, T, 3, H, W) and the change since the one before beside each, (B, T, 6, H, W).

    They have the type that convolutions will multiply in: rounding later would take another copy.
    """
    device = frames.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else frames.dtype
    batch, time, channels, height, width = frames.shape
    both = frames.new_empty((batch, time, 2 * channels, height, width), dtype=dtype)
    both[:, :, :channels] = frames
    both[:, 0, channels:] = 0
    both[:, 1:, channels:] = frames[:, 1:] - frames[:, :-1]
    return both


def make_stem(stem: Sequence[int], width: int, patch_size: int, differences: bool) -> nn.Sequential:
    """Return convolutions that turn a patch into a token, with `stem` channels in between.

    The first takes what the others, which halve the image, leave of the patch's side.
    """
    layers: list[nn.Module] = [PatchConv(stem[0], patch_size // 2 ** len(stem), differences=differences)]
    for before, after in zip(stem, [*stem[1:], width], strict=True):
        layers += [nn.GroupNorm(STEM_GROUPS, before), nn.GELU(), HalvingConv(before, after)]
    return nn.Sequential(*layers)

"""The stem: the same convolutions whichever way they are done, gradients included."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from egorobot.pretrain.model.frames import normalise_frames
from egorobot.pretrain.model.stem import HalvingConv, PatchConv, make_stem, with_changes
from egorobot.torch_state import torch_seed

CLOSE = 0.008  # relative error of what is rounded to bfloat16 once or twice


def outcome(layer: nn.Module, given: Tensor, autocast: bool) -> list[Tensor]:
    """What `layer` makes of `given`, and the gradients of a weighted sum of it."""
    wanted = [*layer.parameters(), *([given] if given.requires_grad else [])]
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        result = layer(given)
    weights = torch.randn(result.shape, generator=torch.Generator().manual_seed(1))
    return [result.detach().float(), *torch.autograd.grad((result.float() * weights).sum(), wanted)]


def assert_close(layer: nn.Module, given: Tensor) -> None:
    """In bfloat16 the layer has the outcome that it has in float32."""
    for low, exact in zip(outcome(layer, given, True), outcome(layer, given, False), strict=True):
        assert low.shape == exact.shape
        assert (low - exact).norm() < CLOSE * exact.norm()


@pytest.mark.parametrize("differences", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("size", "side", "time"), [(32, 8, 2), (36, 8, 3), (28, 14, 1)])
def test_patches_are_those_of_the_convolution(
    clip_pixels: Callable[..., Tensor], differences: bool, bias: bool, size: int, side: int, time: int
) -> None:
    with torch_seed(0):
        layer = PatchConv(24, side, bias, differences)
    frames = clip_pixels(4, time, size)
    assert_close(layer, frames)
    image = normalise_frames(frames)
    seen = with_changes(image) if differences else image
    expected = F.conv2d(seen.flatten(0, 1), layer.weight, layer.bias, stride=side)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = layer(frames)  # nothing is trained, so nothing is done otherwise
    assert (low - expected).norm() < CLOSE * expected.norm()


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 3)])
def test_a_halved_image_is_that_of_the_convolution(size: tuple[int, int]) -> None:
    with torch_seed(0):
        layer = HalvingConv(16, 24)
    image = torch.randn(6, 16, *size, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert layer(image).shape == (6, 24, -(-size[0] // 2), -(-size[1] // 2))
    assert_close(layer, image)


def test_gradients_go_through_the_whole_stem(clip_pixels: Callable[..., Tensor]) -> None:
    with torch_seed(0):
        stem = make_stem((8, 16), 32, 16, differences=True)
    frames = clip_pixels(4, 2, 32)
    # As one vector: biases before a normalisation have no gradient to be close to.
    low, exact = (torch.cat([x.flatten() for x in outcome(stem, frames, autocast)[1:]]) for autocast in (True, False))
    assert (low - exact).norm() < 0.01 * exact.norm()


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("time", [1, 3])
def test_each_frames_change_stands_beside_it(time: int, autocast: bool) -> None:
    frames = torch.rand(2, time, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        found = with_changes(frames)
    expected = torch.cat([frames, frames.diff(dim=1, prepend=frames[:, :1])], dim=2)
    dtype = torch.bfloat16 if autocast else torch.float32
    torch.testing.assert_close(found, expected.to(dtype), rtol=0, atol=0)

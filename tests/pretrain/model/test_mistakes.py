"""Mistakes of the official code, which must not come back. The fifth, clips that cannot be read, is the corpora's."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from egorobot.pretrain.augment import mirror, swap_sides
from egorobot.pretrain.model import SIZES, EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.frames import PIXEL_MEAN, PIXEL_STD, normalise_frames, resize_frames
from egorobot.pretrain.samples import ClipSample

Pixels = Callable[..., Tensor]
Wake = Callable[[EgoVideo], EgoVideo]
both_poolings = pytest.mark.parametrize("pooling", ["grid", "mean"])


def vectors(model: EgoVideo, frames: Tensor) -> list[Tensor]:
    return model.pooled(frames[:, model.config.fast_ratio - 1 :: model.config.fast_ratio], frames)


def gradient(parameter: Tensor) -> float:
    return 0.0 if parameter.grad is None else float(parameter.grad.abs().max())


# 1: adapters without a useful gradient.


@both_poolings
def test_fast_stream_trains_every_adapter_and_no_block(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake, pooling: str
) -> None:
    model = awake(EgoVideo(replace(config, pooling=pooling)))
    vectors(model, clip_pixels(2))[1].pow(2).sum().backward()
    for name, parameter in model.vision.blocks.named_parameters():
        if ".adapter." in name:
            assert gradient(parameter) > 0, name
        else:
            assert parameter.grad is None, name
    assert gradient(model.vision.fast_embedding.patches.weight) > 0


def test_slow_stream_trains_every_block_and_no_adapter(config: EgoVideoConfig, clip_pixels: Pixels) -> None:
    model = EgoVideo(config)
    vectors(model, clip_pixels(2))[0].pow(2).sum().backward()
    for name, parameter in model.vision.blocks.named_parameters():
        assert (parameter.grad is None) if ".adapter." in name else (gradient(parameter) > 0), name


def test_gradient_reaches_the_first_adapter_through_later_frozen_blocks(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake
) -> None:
    """With no_grad around the blocks the first adapter would only be reached along the residual path."""
    model = awake(EgoVideo(config))
    frames = clip_pixels(1)

    def output() -> Tensor:
        return (vectors(model, frames)[1] * torch.linspace(-1, 1, config.width)).sum()

    bias = model.vision.blocks[0].adapter.up.bias
    output().backward()
    with torch.no_grad():
        bias[3] += 1e-3
        above = output().item()
        bias[3] -= 2e-3
        below = output().item()
    assert bias.grad[3].item() == pytest.approx((above - below) / 2e-3, rel=0.05)


@both_poolings
def test_embedding_depends_on_every_adapter(config: EgoVideoConfig, clip_pixels: Pixels, pooling: str) -> None:
    frames = clip_pixels(1).numpy()
    for i in range(config.depth):
        model = EgoVideo(replace(config, pooling=pooling))
        before = model.embed(frames)
        with torch.no_grad():
            model.vision.blocks[i].adapter.up.weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(0))
        assert np.abs(model.embed(frames) - before).max() > 1e-3


# 2: a token count written into the code.


@pytest.mark.parametrize(("size", "frames"), [(32, 4), (48, 4), (32, 2), (64, 8)])
def test_both_streams_train_at_any_size_and_frame_count(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake, size: int, frames: int
) -> None:
    model = awake(EgoVideo(config))
    video = resize_frames(clip_pixels(2, frames), size)
    slow, fast = model.vision(video[:, 1::2], video)
    (slow.pow(2).sum() + fast.pow(2).sum()).backward()
    assert all(gradient(parameter) > 0 for parameter in model.vision.blocks.parameters())


def test_b_takes_other_sizes_and_frame_counts_by_interpolation(clip_pixels: Pixels) -> None:
    small = replace(SIZES["b"], depth=1, text_depth=1, vocabulary=(49406, 49407))
    model = EgoVideo(replace(small, image_size=64, fast_image_size=32))
    for size, frames in ((64, 8), (48, 4), (96, 2)):
        video = clip_pixels(1, frames, size)
        assert [v.shape for v in model.vision(video[:, 1::2], video)] == [(1, 768), (1, 768)]


@pytest.mark.parametrize(("slow", "ratio"), [(1, 1), (1, 4), (4, 2), (3, 1)])
def test_t_and_lambda_are_free(config: EgoVideoConfig, clip_pixels: Pixels, slow: int, ratio: int) -> None:
    model = EgoVideo(replace(config, num_slow=slow, fast_ratio=ratio))
    assert model.num_frames == slow * ratio
    assert model.embed(clip_pixels(2, slow * ratio).numpy()).shape == (2, model.dim)


# 3: frames normalised without dividing by 255.


@pytest.mark.parametrize("size", [16, 32])
def test_frames_of_both_streams_are_normalised_from_255(size: int) -> None:
    frames = torch.full((1, 2, 32, 32, 3), 255, dtype=torch.uint8)
    white = (1 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD)
    pixels = normalise_frames(resize_frames(frames, size))
    assert pixels.shape == (1, 2, 3, size, size)
    torch.testing.assert_close(pixels[0, 0, :, 0, 0], white)


# 4: mirrored clips whose captions still say left for left.


def test_mirroring_a_clip_exchanges_the_sides_in_its_captions(clip_pixels: Pixels) -> None:
    frames = clip_pixels(1)[0].numpy()
    clip = ClipSample(
        "clip", "video", frames, 2, ["The Right hand pulls it LEFT, upright, leftwards."], ["to the left"]
    )
    flipped = mirror(clip)
    assert flipped.narrations == ["The Left hand pulls it RIGHT, upright, rightwards."]
    assert flipped.hod == ["to the right"]
    np.testing.assert_array_equal(flipped.frames_fast[:, :, 0], frames[:, :, -1])
    np.testing.assert_array_equal(mirror(flipped).frames_fast, frames)
    assert swap_sides("#C C opens the right cabinet door") == "#C C opens the left cabinet door"

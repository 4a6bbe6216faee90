"""EgoVideo: its two streams, what trains what, and the mistakes of the official code."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from egorobot.pretrain.augment import mirror, swap_sides
from egorobot.pretrain.model import SIZES, EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.frames import PIXEL_MEAN, PIXEL_STD, normalise_frames
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.model.text import CaptionTokenizer, vocabulary_of
from egorobot.pretrain.model.vision import MotionAdapter, slow_indices

CAPTIONS = [
    "#C C opens the microwave",
    "the right hand grasps the handle of the microwave and pulls it to the left.",
    "#C C lifts the kettle",
    "#C C turns on the light",
]


@pytest.fixture
def config() -> EgoVideoConfig:
    return EgoVideoConfig(
        size="tiny",
        num_slow=2,
        fast_ratio=2,
        frame_rate=6.25,
        image_size=32,
        patch_size=8,
        fast_image_size=16,
        fast_patch_size=8,
        width=32,
        depth=3,
        heads=2,
        joint_dim=16,
        text_width=32,
        text_depth=1,
        text_heads=2,
        grid_size=4,
        grid_channels=2,
        vocabulary=vocabulary_of(CAPTIONS),
    )


def clip_pixels(batch: int, frames: int = 4, size: int = 32, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (batch, frames, size, size, 3), dtype=np.uint8))


def awake(model: EgoVideo) -> EgoVideo:
    """Let the adapters do something: they start as the identity."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for adapter in model.vision.adapters:
            adapter.up.weight.normal_(0, 0.2, generator=generator)
    return model


def gradient(parameter: torch.Tensor) -> float:
    return 0.0 if parameter.grad is None else float(parameter.grad.abs().max())


# Mistake 1 of the official code: adapters without a useful gradient.


@pytest.mark.parametrize("pooling", ["grid", "mean"])
def test_fast_stream_trains_every_adapter_and_no_block(config: EgoVideoConfig, pooling: str) -> None:
    model = awake(EgoVideo(replace(config, pooling=pooling)))
    frames = clip_pixels(2)
    model.vision.fast(normalise_frames(frames, 16)).pow(2).sum().backward()
    for adapter in model.vision.adapters:
        assert all(gradient(parameter) > 0 for parameter in adapter.parameters())
    assert gradient(model.vision.fast_embedding.patches.weight) > 0
    assert all(parameter.grad is None for parameter in model.vision.blocks.parameters())


def test_gradient_reaches_the_first_adapter_through_later_frozen_blocks(config: EgoVideoConfig) -> None:
    """With no_grad around the blocks the first adapter would only be reached along the residual path."""
    model = awake(EgoVideo(config))
    vision = model.vision
    frames = normalise_frames(clip_pixels(1), 16)

    def output() -> torch.Tensor:
        return (vision.fast(frames) * torch.linspace(-1, 1, vision.fast_pooling.dim)).sum()

    bias = vision.adapters[0].up.bias
    output().backward()
    with torch.no_grad():
        bias[3] += 1e-3
        above = output().item()
        bias[3] -= 2e-3
        below = output().item()
    assert bias.grad[3].item() == pytest.approx((above - below) / 2e-3, rel=0.05)


def test_pooled_output_depends_on_every_adapter(config: EgoVideoConfig) -> None:
    frames = clip_pixels(1).numpy()
    for i in range(config.depth):
        model = EgoVideo(config)
        before = model.embed(frames)
        with torch.no_grad():
            model.vision.adapters[i].up.weight.normal_(0, 0.2, generator=torch.Generator().manual_seed(0))
        assert np.abs(model.embed(frames) - before).max() > 1e-3


def test_slow_stream_trains_blocks_and_no_adapter(config: EgoVideoConfig) -> None:
    model = EgoVideo(config)
    model.vision.slow(normalise_frames(clip_pixels(2)[:, ::2], 32)).pow(2).sum().backward()
    assert all(gradient(parameter) > 0 for parameter in model.vision.blocks.parameters())
    assert all(parameter.grad is None for parameter in model.vision.adapters.parameters())


# Mistake 2: a token count written into the code.


@pytest.mark.parametrize(("size", "frames"), [(32, 4), (48, 4), (32, 2), (64, 8)])
def test_both_streams_train_at_any_size_and_frame_count(config: EgoVideoConfig, size: int, frames: int) -> None:
    model = awake(EgoVideo(config))
    video = clip_pixels(2, frames)
    for stream in (
        model.vision.slow(normalise_frames(video[:, 1::2], size)),
        model.vision.fast(normalise_frames(video, size)),
    ):
        assert stream.shape[0] == 2
        stream.pow(2).sum().backward()
    assert all(gradient(parameter) > 0 for parameter in model.vision.blocks.parameters())
    assert all(gradient(adapter.up.weight) > 0 for adapter in model.vision.adapters)


@pytest.mark.parametrize(("slow", "ratio"), [(1, 1), (1, 4), (4, 2), (3, 1)])
def test_t_and_lambda_are_free(config: EgoVideoConfig, slow: int, ratio: int) -> None:
    model = EgoVideo(replace(config, num_slow=slow, fast_ratio=ratio))
    assert model.num_frames == slow * ratio
    assert model.embed(clip_pixels(2, slow * ratio).numpy()).shape == (2, model.dim)


# Mistake 3: frames normalised without dividing by 255.


@pytest.mark.parametrize("size", [16, 32])
def test_frames_of_both_streams_are_normalised_from_255(size: int) -> None:
    frames = torch.full((1, 2, 32, 32, 3), 255, dtype=torch.uint8)
    white = (1 - torch.tensor(PIXEL_MEAN)) / torch.tensor(PIXEL_STD)
    pixels = normalise_frames(frames, size)
    assert pixels.shape == (1, 2, 3, size, size)
    torch.testing.assert_close(pixels[0, 0, :, 0, 0], white)


def test_normalising_leaves_the_frames_alone() -> None:
    frames = clip_pixels(1)
    before = frames.clone()
    normalise_frames(frames, 32)
    assert torch.equal(frames, before)


# Mistake 4: mirrored clips whose captions still say left for left.


def test_mirroring_a_clip_exchanges_the_sides_in_its_caption() -> None:
    frames = clip_pixels(1).numpy()[0]
    flipped, caption = mirror(frames, "The Right hand pulls it LEFT, upright, leftwards.")
    assert caption == "The Left hand pulls it RIGHT, upright, rightwards."
    np.testing.assert_array_equal(flipped[:, :, 0], frames[:, :, -1])
    again, same = mirror(flipped, caption)
    np.testing.assert_array_equal(again, frames)
    assert same == "The Right hand pulls it LEFT, upright, leftwards."
    assert swap_sides("#C C opens the right cabinet door") == "#C C opens the left cabinet door"


# Sizes and parts.


@pytest.mark.parametrize(("width", "parameters"), [(768, 740_353), (1024, 1_314_817)])
def test_adapter_has_the_official_number_of_parameters(width: int, parameters: int) -> None:
    assert sum(p.numel() for p in MotionAdapter(width).parameters()) == parameters


def test_adapter_starts_as_the_identity_and_then_mixes_time_but_not_the_class_token() -> None:
    adapter = MotionAdapter(8)
    tokens = torch.randn(1, 1 + 3 * 4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapter(tokens, (3, 2, 2)), tokens)
    with torch.no_grad():
        adapter.up.weight.fill_(0.1)
    other = tokens.clone()
    other[0, 1] += 1  # first frame, first patch
    change = (adapter(other, (3, 2, 2)) - adapter(tokens, (3, 2, 2)))[0].abs().sum(dim=1)
    assert change[0] == 0
    moved = (change[1:] > 1e-6).view(3, 4)
    assert moved.tolist() == [[True, False, False, False], [True, False, False, False], [False] * 4]


def test_low_rate_frames_are_every_lambdath_and_end_with_the_last() -> None:
    assert list(slow_indices(8, 4)) == [3, 7]
    assert list(slow_indices(3, 1)) == [0, 1, 2]
    with pytest.raises(ValueError, match="multiple"):
        slow_indices(6, 4)


def test_embedding_sees_the_order_of_frames(config: EgoVideoConfig) -> None:
    model = awake(EgoVideo(config))
    frames = clip_pixels(1).numpy()
    assert np.abs(model.embed(frames) - model.embed(frames[:, [2, 1, 0, 3]])).max() > 1e-4


@pytest.mark.parametrize("frames", [np.zeros((1, 4, 8, 8, 3), np.float32), np.zeros((4, 8, 8, 3), np.uint8)])
def test_embedding_refuses_other_arrays(config: EgoVideoConfig, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        EgoVideo(config).embed(frames)


def test_embedding_is_float32_and_does_not_depend_on_the_rest_of_the_batch(config: EgoVideoConfig) -> None:
    model = awake(EgoVideo(config))
    frames = clip_pixels(4).numpy()
    embedding = model.embed(frames)
    assert embedding.dtype == np.float32 and embedding.shape == (4, model.dim)
    others = clip_pixels(4, seed=1).numpy()
    others[2] = frames[2]
    np.testing.assert_array_equal(model.embed(others)[2], embedding[2])
    np.testing.assert_allclose(model.embed(frames[2:3])[0], embedding[2], atol=1e-5)


def test_weights_follow_the_seed_and_leave_the_global_generator_alone(config: EgoVideoConfig) -> None:
    state = torch.random.get_rng_state()
    assert EgoVideo(config, seed=1).fingerprint == EgoVideo(config, seed=1).fingerprint
    assert EgoVideo(config, seed=1).fingerprint != EgoVideo(config, seed=2).fingerprint
    assert torch.equal(torch.random.get_rng_state(), state)


def test_nano_is_small() -> None:
    model = EgoVideo(replace(SIZES["nano"], vocabulary=vocabulary_of(CAPTIONS)))
    assert sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    assert 192 <= model.dim <= 512
    assert (model.num_frames, model.frame_rate) == (8, 6.25)


@pytest.mark.parametrize(
    "change", [{"image_size": 30}, {"heads": 3}, {"pooling": "none"}, {"num_slow": 0}, {"adapter_window": 2}]
)
def test_sizes_that_do_not_fit_are_refused(config: EgoVideoConfig, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|whole number|unknown"):
        replace(config, **change)


# Text and loss.


def test_tokenizer_keeps_known_words_and_ends_with_the_highest_index() -> None:
    tokenizer = CaptionTokenizer(vocabulary_of(CAPTIONS), 77)
    tokens = tokenizer(["#C C opens the microwave", "#C C opens the zebra"])
    assert tokens.shape[0] == 2
    assert (tokens == 1).any(dim=1).tolist() == [False, True]
    assert (tokens.max(dim=1).values == tokenizer.size - 1).all()
    assert CaptionTokenizer((), 77).size > 49_000
    assert tokenizer(["the " * 200]).shape == (1, 77)


def test_caption_does_not_depend_on_the_length_of_its_neighbours(config: EgoVideoConfig) -> None:
    model = EgoVideo(config)
    alone = model.encode_text(CAPTIONS[:1])
    torch.testing.assert_close(model.encode_text(CAPTIONS)[:1], alone, atol=1e-5, rtol=1e-4)


def test_loss_is_low_for_matching_pairs_and_ignores_clips_with_the_same_caption() -> None:
    vectors = torch.eye(3)
    scale = torch.tensor(1 / 0.07)
    assert contrastive_loss(vectors, vectors, scale, ["a", "b", "c"]) < 1e-3
    assert contrastive_loss(vectors, vectors.roll(1, 0), scale, ["a", "b", "c"]) > 5
    same = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert contrastive_loss(same, same, scale, ["a", "a", "c"]) < 1e-3
    assert contrastive_loss(same, same, scale, ["a", "b", "c"]) > 0.3


def test_temperature_starts_at_its_published_value(config: EgoVideoConfig) -> None:
    assert EgoVideo(config).log_scale.exp().item() == pytest.approx(1 / 0.07)


def test_everything_gets_a_gradient_from_the_loss(config: EgoVideoConfig) -> None:
    model = awake(EgoVideo(config))
    frames = clip_pixels(4)
    model.loss(frames[:, 1::2], frames, CAPTIONS).backward()
    without = {name for name, parameter in model.named_parameters() if gradient(parameter) == 0}
    assert without == set()

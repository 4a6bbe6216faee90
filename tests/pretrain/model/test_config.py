"""Sizes: what they count, what is refused, and configurations that were saved before a field was there."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from egorobot.pretrain.model import SIZES, EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.model.patches import PatchEmbedding
from egorobot.pretrain.model.text import vocabulary_of


@pytest.mark.parametrize(("size", "millions"), [("b", 8.88), ("l", 31.6)])
def test_adapters_of_b_and_l_count_what_the_official_ones_do(size: str, millions: float) -> None:
    with torch.device("meta"):
        model = EgoVideo(replace(SIZES[size], adapter_window=1))
    adapters = [parameter.numel() for name, parameter in model.named_parameters() if ".adapter." in name]
    assert sum(adapters) == len(model.vision.blocks) * {"b": 740_353, "l": 1_314_817}[size]
    assert sum(adapters) / 1e6 == pytest.approx(millions, rel=2e-3)


@pytest.mark.parametrize(("size", "tokens", "width"), [("b", (14, 14, 768), 512), ("l", (24, 24, 1024), 768)])
def test_b_and_l_have_the_shapes_of_clip(size: str, tokens: tuple[int, int, int], width: int) -> None:
    with torch.device("meta"):
        model = EgoVideo(SIZES[size])
    assert model.vision.slow_embedding.spatial.shape == model.vision.fast_embedding.spatial.shape == tokens
    text = model.text.transformer
    assert text.token_embedding.weight.shape == (49408, width)
    assert text.positional_embedding.shape == (77, width)
    assert text.text_projection.shape == (width, 512)
    assert (model.num_frames, model.dim) == (16, 2 * tokens[2])


def test_nano_is_small(captions: list[str]) -> None:
    model = EgoVideo(replace(SIZES["nano"], vocabulary=vocabulary_of(captions)))
    assert sum(parameter.numel() for parameter in model.parameters()) < 2_000_000
    assert model.dim == 2 * (7 * 7 + 3 * 3) * 128  # both streams' latest frame, at the beginning and at the end
    assert (model.num_frames, model.frame_rate) == (8, 6.25)


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 30}, {"heads": 3}, {"pooling": "none"}, {"num_slow": 0}, {"adapter_window": 2},
        {"activation": "relu"}, {"streams": "fast"}, {"adapter_blocks": 4}, {"adapter_blocks": -1},
        {"streams": "slow", "adapter_blocks": 1}, {"embed_layers": (0, 4)}, {"embed_layers": (-4,)},
    ],
)  # fmt: skip
def test_sizes_that_do_not_fit_are_refused(config: EgoVideoConfig, change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|whole number|unknown"):
        replace(config, **change)


def test_a_configuration_survives_its_file_and_older_ones_are_read(config: EgoVideoConfig) -> None:
    changed = replace(config, adapter_blocks=2, activation="quick_gelu", text_causal=True, embed_layers=(0, 3))
    assert EgoVideoConfig.from_dict(changed.to_dict()) == changed
    old = config.to_dict()
    for field in ("adapter_blocks", "activation", "streams", "text_causal", "embed_layers"):
        del old[field]
    assert EgoVideoConfig.from_dict(old) == config


def test_a_stem_makes_as_many_tokens_as_patches(clip_pixels: Callable[..., torch.Tensor]) -> None:
    plain = PatchEmbedding(48, 16, num_frames=2, width=32)
    stem = PatchEmbedding(48, 16, num_frames=2, width=32, stem=(8, 16), differences=True)
    frames = clip_pixels(1, 2, 48)
    tokens, grid = stem(frames)
    assert (tokens.shape, grid) == (plain(frames)[0].shape, (2, 3, 3))
    still, _ = stem(frames[:, :1].expand(-1, 2, -1, -1, -1))
    assert torch.equal(still[:, 1:10], still[:, 10:])  # nothing changes, so both frames look alike


@pytest.mark.parametrize("stem", [(8, 8, 8, 8, 8), (12, 24)])
def test_a_stem_that_does_not_fit_is_refused(stem: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="stem="):
        get_size("nano", stem=stem)


def test_lists_of_a_configuration_file_become_tuples() -> None:
    assert get_size("nano", stem=[48, 96]) == get_size("nano", stem=(48, 96))

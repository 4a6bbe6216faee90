"""The text tower: a compact vocabulary of its own, or CLIP's tower as open_clip has it."""

from dataclasses import replace
from typing import Any

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer

from egorobot.pretrain.model import EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.text import CaptionTokenizer, TextTower, bpe, vocabulary_of
from egorobot.pretrain.model.text_transformer import CaptionTransformer


def test_tokenizer_keeps_known_words_and_ends_with_the_highest_index(captions: list[str]) -> None:
    tokenizer = CaptionTokenizer(vocabulary_of(captions), 77)
    tokens = tokenizer(["#C C opens the microwave", "#C C opens the zebra"])
    assert tokens.shape[0] == 2
    assert (tokens == 1).any(dim=1).tolist() == [False, True]
    assert (tokens.max(dim=1).values == tokenizer.size - 1).all()
    assert CaptionTokenizer((), 77).size > 49_000
    assert tokenizer(["the " * 200]).shape == (1, 77)


def test_caption_does_not_depend_on_the_length_of_its_neighbours(config: EgoVideoConfig, captions: list[str]) -> None:
    model = EgoVideo(config)
    alone = model.encode_text(captions[:1])
    torch.testing.assert_close(model.encode_text(captions)[:1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_vectors_are_in_the_order_of_the_captions(config: EgoVideoConfig, captions: list[str], count: int) -> None:
    tower = TextTower(config)
    alone = torch.cat([tower([caption]) for caption in captions[:count]])
    torch.testing.assert_close(tower(captions[:count]), alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(tower(captions[:count][::-1]), alone.flip(0), atol=1e-5, rtol=1e-4)


def test_short_captions_are_not_padded_to_the_long_ones(config: EgoVideoConfig) -> None:
    tower = TextTower(config)
    shapes: list[tuple[int, ...]] = []
    tower.transformer.register_forward_pre_hook(lambda _, args: shapes.append(tuple(args[0].shape)))
    tower(["the hand " * 30, "a hand", "the hand " * 20, "a"])
    assert shapes == [(2, 8), (2, 64)]


@pytest.mark.parametrize("depth", [1, 2])
def test_bfloat16_rounds_vectors_and_gradients_of_captions(
    config: EgoVideoConfig, captions: list[str], depth: int
) -> None:
    tower = TextTower(replace(config, text_depth=depth))
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            vectors = tower(captions)
        weight = tower.transformer.transformer.resblocks[0].attn.in_proj_weight
        found.append([vectors, *torch.autograd.grad(vectors.float().pow(2).sum(), weight)])
    for exact, rounded in zip(*found, strict=True):
        error = (exact - rounded.float()).norm() / exact.norm()
        assert 0 < error < 0.02


def test_all_of_the_vocabulary_with_a_causal_mask_has_the_tokens_of_clip(captions: list[str]) -> None:
    tokenizer = CaptionTokenizer((), 77, causal=True)
    texts = [*captions, "", "the " * 200]
    assert torch.equal(tokenizer(texts), bpe()(texts, 77))
    assert tokenizer.size == 49_408


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("depth", "checkpointing"), [(1, False), (3, False), (3, True)])
def test_what_is_left_out_changes_neither_vectors_nor_gradients(
    config: EgoVideoConfig, captions: list[str], causal: bool, depth: int, checkpointing: bool
) -> None:
    tower = TextTower(replace(config, text_depth=depth, text_causal=causal)).double()
    tokens = tower.tokenizer([*captions, "", "the " * 200])
    assert tokens.shape == (6, 77)
    weights = list(tower.parameters())
    tower.transformer.set_grad_checkpointing(checkpointing)
    found = []
    for forward in (CaptionTransformer.forward, TextTransformer.forward):
        vectors = forward(tower.transformer, tokens)
        found.append([vectors, *torch.autograd.grad(vectors.pow(3).sum(), weights)])
    for ours, theirs in zip(*found, strict=True):
        assert theirs.any()
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("activation", ["gelu", "quick_gelu"])
def test_causal_tower_is_that_of_open_clip(config: EgoVideoConfig, captions: list[str], activation: str) -> None:
    clip = open_clip.CLIP(
        embed_dim=config.joint_dim,
        vision_cfg={"layers": 1, "width": 64, "image_size": 32, "patch_size": 16},
        text_cfg={"layers": 2, "width": 32, "heads": 2},
        quick_gelu=activation == "quick_gelu",
    )
    tower = TextTower(replace(config, text_depth=2, text_causal=True, vocabulary=(), activation=activation))
    theirs = {name: tensor for name, tensor in clip.state_dict().items() if not name.startswith(("visual.", "logit"))}
    tower.transformer.load_state_dict(theirs)
    torch.testing.assert_close(tower(captions), clip.encode_text(bpe()(captions, 77)))


def test_causal_tower_takes_a_compact_vocabulary(config: EgoVideoConfig, captions: list[str]) -> None:
    model = EgoVideo(replace(config, text_causal=True))
    assert model.text.tokenizer(captions).shape == (4, 77)
    torch.testing.assert_close(model.encode_text(captions)[:1], model.encode_text(captions[:1]))


@pytest.mark.parametrize(("with_gradients", "rounded"), [(True, False), (False, True)])
def test_attention_is_in_float32_where_its_gradient_would_be_slow(
    config: EgoVideoConfig,
    captions: list[str],
    with_gradients: bool,
    rounded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[bool] = []
    attend = F.scaled_dot_product_attention

    def noted(query: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        calls.append(query.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"))
        return attend(query, *args, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", noted)
    with torch.set_grad_enabled(with_gradients), torch.autocast("cpu", torch.bfloat16):
        TextTower(replace(config, text_depth=3)).train()(captions[:1])
    assert calls == [rounded] * 2  # the last block does not use it


@pytest.mark.parametrize("causal", [False, True])
def test_weights_of_bfloat16_encode_with_and_without_gradients(
    config: EgoVideoConfig, captions: list[str], causal: bool
) -> None:
    tower = TextTower(replace(config, text_causal=causal)).to(torch.bfloat16)
    vectors = tower(captions)
    vectors.float().sum().backward()
    with torch.no_grad():
        plain = tower(captions).float()
    assert vectors.dtype == torch.bfloat16 and (vectors.float() - plain).norm() < 0.02 * plain.norm()


def test_attention_in_float32_is_that_of_open_clip(config: EgoVideoConfig, captions: list[str]) -> None:
    """Masks, heads and gradients are the same; what differs is rounding."""
    tower = TextTower(replace(config, text_depth=2)).train()
    with torch.autocast("cpu", torch.bfloat16):
        ours = tower(captions)
        ours.float().sum().backward()
        gradient = tower.transformer.token_embedding.weight.grad
        with torch.no_grad():
            theirs = tower(captions)
    assert gradient is not None and gradient.isfinite().all()
    assert 0 < (ours.float() - theirs.float()).norm() / theirs.float().norm() < 0.01

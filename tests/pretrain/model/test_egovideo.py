"""The whole model: what it embeds, what trains it, and the ways to make it smaller, quicker or more precise."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from egorobot.errors import UserError
from egorobot.pretrain.model import EgoVideo, EgoVideoConfig, egovideo
from egorobot.pretrain.model.vision import slow_indices

Pixels = Callable[..., Tensor]
Wake = Callable[[EgoVideo], EgoVideo]


def gradients(model: EgoVideo, frames: Tensor, captions: list[str]) -> dict[str, Tensor]:
    model.zero_grad()
    model.loss(frames[:, 1::2], frames, captions).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def test_low_rate_frames_are_every_lambdath_and_end_with_the_last() -> None:
    assert list(slow_indices(8, 4)) == [3, 7]
    assert list(slow_indices(3, 1)) == [0, 1, 2]
    with pytest.raises(ValueError, match="multiple"):
        slow_indices(6, 4)


def test_embedding_sees_the_order_of_frames(config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake) -> None:
    model = awake(EgoVideo(config))
    frames = clip_pixels(1).numpy()
    assert np.abs(model.embed(frames) - model.embed(frames[:, [2, 1, 0, 3]])).max() > 1e-4


@pytest.mark.parametrize("frames", [np.zeros((1, 4, 8, 8, 3), np.float32), np.zeros((4, 8, 8, 3), np.uint8)])
def test_embedding_refuses_other_arrays(config: EgoVideoConfig, frames: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        EgoVideo(config).embed(frames)


def test_embedding_is_float32_and_does_not_depend_on_the_rest_of_the_batch(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake
) -> None:
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


def test_fingerprint_follows_all_that_decides_embeddings(
    config: EgoVideoConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = EgoVideo(config)
    seen = {model.fingerprint, EgoVideo(config).bfloat16().fingerprint}
    model.embed_streams = "slow"
    seen.add(model.fingerprint)
    monkeypatch.setattr(egovideo, "FRAMES_VERSION", "1")
    seen.add(EgoVideo(config).fingerprint)
    assert len(seen) == 4


def test_temperature_starts_at_its_published_value_and_has_a_ceiling(
    config: EgoVideoConfig, clip_pixels: Pixels, captions: list[str]
) -> None:
    model, frames = EgoVideo(config), clip_pixels(4)
    video, text, scale, *_ = model(frames[:, 1::2], frames, captions)
    assert scale.item() == pytest.approx(1 / 0.07)
    torch.testing.assert_close(video.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(text.norm(dim=1), torch.ones(4))
    torch.nn.init.constant_(model.log_scale, 10)
    assert model(frames[:, 1::2], frames, captions)[2].item() == 100


@pytest.mark.parametrize("changes", [{}, {"streams": "slow"}, {"adapter_blocks": 1}, {"text_causal": True}])
def test_everything_gets_a_gradient_from_the_loss(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake, captions: list[str], changes: dict[str, object]
) -> None:
    model = awake(EgoVideo(replace(config, **changes)))
    found = gradients(model, clip_pixels(4), captions)
    assert {name for name, gradient in found.items() if gradient is None or not gradient.abs().max()} == set()


# Parts of the model.


@pytest.mark.parametrize(("layers", "fast"), [((), 1), ((1,), 4), ((0, -1), 8)])
def test_the_slow_stream_alone_is_the_first_part_of_both(
    config: EgoVideoConfig, clip_pixels: Pixels, layers: tuple[int, ...], fast: int
) -> None:
    model, frames = EgoVideo(replace(config, embed_layers=layers)), clip_pixels(2).numpy()
    both, dim = model.embed(frames), model.dim
    assert both.shape == (2, dim)
    model.embed_streams = "slow"
    np.testing.assert_allclose(model.embed(frames), both[:, : model.dim], atol=1e-6)
    assert dim - model.dim == fast * config.width


def test_layers_of_an_embedding_know_places_in_the_latest_frame(
    config: EgoVideoConfig, clip_pixels: Pixels, awake: Wake
) -> None:
    model = awake(EgoVideo(replace(config, embed_layers=(0, 2))))
    frames = clip_pixels(1).numpy()
    changed = frames.copy()
    changed[:, -1, :8, 24:] //= 2  # the cell of the first row, last column
    first, second, fast_first, fast_second = np.split(
        model.embed(changed) != model.embed(frames), np.cumsum([512, 512, 128]), axis=1
    )
    assert np.argwhere(first.reshape(32, 4, 4).any(axis=0)).tolist() == [[0, 3]]
    assert np.argwhere(fast_first.reshape(32, 2, 2).any(axis=0)).tolist() == [[0, 1]]
    assert second.reshape(32, 16).any(axis=0).all() and fast_second.reshape(32, 4).any(axis=0).all()  # attention
    changed = frames.copy()
    changed[:, 0] //= 2  # the oldest frame, of the high-rate stream alone
    assert not (model.embed(changed) != model.embed(frames))[:, : 512 * 2 + 128].any()
    assert (model.embed(changed) != model.embed(frames))[:, -128:].any()


def test_large_grids_are_pooled_to_cells(config: EgoVideoConfig, clip_pixels: Pixels) -> None:
    frames = clip_pixels(2).numpy()
    fine, coarse = (EgoVideo(replace(config, embed_layers=(1,), grid_size=size)) for size in (4, 2))  # of the same seed
    large, small = fine.embed(frames), coarse.embed(frames)
    assert small.shape == (2, coarse.dim)
    cells = large[:, :512].reshape(2, 32, 2, 2, 2, 2).mean(axis=(3, 5))
    np.testing.assert_allclose(small[:, :128], cells.reshape(2, 128), atol=1e-6)


def test_a_model_of_the_slow_stream_has_nothing_of_the_fast_one(config: EgoVideoConfig, clip_pixels: Pixels) -> None:
    both, slow = EgoVideo(config), EgoVideo(replace(config, streams="slow"))
    gone = both.state_dict().keys() - slow.state_dict().keys()
    assert slow.state_dict().keys() < both.state_dict().keys()
    assert gone == {name for name in both.state_dict() if any(part in name for part in ("fast", "adapter", "fusion"))}
    slow.load_state_dict({name: tensor for name, tensor in both.state_dict().items() if name not in gone})
    both.embed_streams = "slow"
    np.testing.assert_array_equal(slow.embed(clip_pixels(2).numpy()), both.embed(clip_pixels(2).numpy()))
    assert slow.dim == both.dim
    with pytest.raises(UserError, match="no high-rate stream"):
        slow.embed_streams = "both"
    with pytest.raises(UserError, match="unknown streams"):
        both.embed_streams = "fast"


@pytest.mark.parametrize("blocks", [0, 2, 3])
def test_adapters_stand_in_the_last_blocks(
    config: EgoVideoConfig, clip_pixels: Pixels, captions: list[str], awake: Wake, blocks: int
) -> None:
    model = awake(EgoVideo(replace(config, adapter_blocks=blocks)))
    with_adapter = [block.adapter is not None for block in model.vision.blocks]
    assert with_adapter == [False] * (3 - blocks) + [True] * blocks
    found = gradients(model, clip_pixels(4), captions)
    assert found["vision.fast_embedding.patches.weight"].abs().max() > 0


# Precision, memory and speed.


def test_bfloat16_and_float64_are_close_to_float32(
    config: EgoVideoConfig, clip_pixels: Pixels, captions: list[str], awake: Wake
) -> None:
    model, frames = awake(EgoVideo(config)), clip_pixels(4)
    video, text, *_ = model(frames[:, 1::2], frames, captions)
    loss = model.loss(frames[:, 1::2], frames, captions)
    with torch.autocast("cpu", torch.bfloat16):
        half_video, half_text, *_ = model(frames[:, 1::2], frames, captions)
        half_loss = model.loss(frames[:, 1::2], frames, captions)
    half_loss.backward()
    assert half_video.dtype == half_text.dtype == torch.float32
    assert min((video * half_video).sum(1).min(), (text * half_text).sum(1).min()) > 0.999
    assert half_loss.item() == pytest.approx(loss.item(), rel=0.02)
    double_video, double_text, scale, *_ = model.double()(frames[:, 1::2], frames, captions)
    assert double_video.dtype == double_text.dtype == scale.dtype == torch.float64
    torch.testing.assert_close(double_video.float(), video, atol=1e-5, rtol=0)
    torch.testing.assert_close(double_text.float(), text, atol=1e-5, rtol=0)


def test_checkpointing_gives_equal_gradients_and_keeps_less(
    config: EgoVideoConfig, clip_pixels: Pixels, captions: list[str], awake: Wake
) -> None:
    model, frames = awake(EgoVideo(replace(config, text_depth=2))), clip_pixels(4)
    kept: list[int] = []

    def keep(tensor: Tensor) -> Tensor:
        kept[-1] += tensor.numel()
        return tensor

    results = []
    for enable in (False, True):
        model.set_grad_checkpointing(enable)
        kept.append(0)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            results.append(gradients(model, frames, captions))
    for name, gradient in results[0].items():
        torch.testing.assert_close(results[1][name], gradient, msg=name)
    assert kept[1] < kept[0]


@pytest.mark.slow
@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_streams_compile_whole(
    config: EgoVideoConfig, clip_pixels: Pixels, captions: list[str], bfloat16: bool
) -> None:
    """Traced and differentiated as by `model.vision.compile()`, but for the C++, which takes minutes to build."""
    model = EgoVideo(replace(config, depth=1, stem=(8,), fast_differences=True))
    frames, names = clip_pixels(4), list(model.state_dict())
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        expected = gradients(model, frames, captions)
        model.vision.compile(backend="aot_eager", fullgraph=True)
        compiled = gradients(model, frames, captions)
    assert list(model.state_dict()) == names
    for name, gradient in expected.items():
        torch.testing.assert_close(compiled[name], gradient, msg=name)

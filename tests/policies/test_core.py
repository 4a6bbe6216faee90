import numpy as np
import pytest
import torch
from robomimic.models.obs_nets import ObservationEncoder

from egorobot.errors import UserError
from egorobot.policies.controls import BlankEncoder, random_vit
from egorobot.policies.core import (
    FrozenEncoderCore,
    SignedFeatures,
    Standardize,
    VectorCore,
    matching_encoder,
    shift_at_random,
    to_embedding_axes,
)
from egorobot.policies.embedding import embed_padded
from egorobot.torch_state import torch_seed

SHAPE = (32, 32, 3)


@pytest.fixture(scope="module")
def frames():
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, *SHAPE), dtype=np.uint8))


@pytest.fixture(scope="module")
def core() -> FrozenEncoderCore:
    encoder = random_vit()
    return FrozenEncoderCore(SHAPE, "random_vit", encoder.fingerprint, encoder.dim).eval()


def test_frames_and_their_embeddings_give_the_same(core, frames):
    embeddings = embed_padded(core.encoder, frames.numpy()[:, None])
    cached = torch.from_numpy(to_embedding_axes(embeddings, 3))
    assert cached.shape == (5, 1, 1, core.dim)
    expected = core(cached)
    torch.testing.assert_close(core(frames), expected, rtol=0, atol=0)
    torch.testing.assert_close(core(frames.float()), expected, rtol=0, atol=0)  # as robomimic hands them over
    with pytest.raises(ValueError, match="takes \\(32, 32, 3\\)"):
        core(frames[:, :16])


def test_the_encoder_stays_out_of_the_checkpoint(core, frames):
    core(frames)
    assert set(core.state_dict()) == {"norm.mean", "norm.std"}
    assert list(core.parameters()) == []


def test_an_encoder_that_changed_is_refused(frames):
    core = FrozenEncoderCore(SHAPE, "random_vit", "0123456789abcdef", 192)
    with pytest.raises(UserError, match="not the one this policy was trained with"):
        core(frames)
    assert matching_encoder("blank", None, BlankEncoder.fingerprint).name == "blank"


@pytest.mark.parametrize("activation", [torch.nn.ReLU, None])
def test_features_pass_robomimics_relu_unchanged(activation):
    values = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    core = VectorCore([9])
    core.norm.fit(values)
    network = ObservationEncoder(feature_activation=activation)
    network.register_obs_key("proprio", [9], net=core, randomizer=SignedFeatures([9]))
    network.make()
    assert network.output_shape() == [9]
    expected = (values - values.mean(0)) / values.std(0, correction=0)
    for training in (True, False):
        out = network.train(training)({"proprio": values})
        torch.testing.assert_close(out, core.norm(values), rtol=0, atol=0)
        torch.testing.assert_close(out, expected)


def test_gradients_pass_too():
    core, signed = VectorCore([4], norm="batchnorm"), SignedFeatures([4])
    values = torch.randn(16, 4, generator=torch.Generator().manual_seed(0))
    weights = torch.arange(64.0).reshape(16, 4)
    (signed.forward_out(torch.relu(core(values))) * weights).sum().backward()
    through = core.norm.bias.grad.clone()
    core.norm.bias.grad = None
    (core.norm(values) * weights).sum().backward()
    torch.testing.assert_close(through, core.norm.bias.grad)


def test_what_hardly_varies_is_not_blown_up():
    norm = Standardize(2)
    for scale in (1.0, 1e-2):
        values = torch.tensor([[1.0, 5.0], [1.0, 7.0]]) * scale
        norm.fit(values)
        torch.testing.assert_close(norm(values), torch.tensor([[0.0, -1.0], [0.0, 1.0]]))
        near = norm(torch.tensor([[1.0005, 6.0]]) * scale)
        torch.testing.assert_close(near, torch.tensor([[0.5, 0.0]]), atol=2e-3, rtol=0)


def test_what_never_varies_is_zero():
    norm = Standardize(1)
    values = torch.full((1000, 1), 0.1)
    norm.fit(values)
    assert norm(values).abs().max() < 0.1


def test_shifts_move_whole_clips_and_repeat_edges():
    ramp = torch.arange(40).reshape(1, 1, 1, 40, 1).expand(6, 2, 40, 40, 3)
    with torch_seed(0):
        shifted = shift_at_random(ramp)
    assert shifted.shape == ramp.shape
    offsets = (shifted - ramp)[:, :, 20, 20, 0]
    assert (offsets[:, 0] == offsets[:, 1]).all()  # both frames of a clip alike
    assert offsets.unique().numel() > 1 and offsets.abs().max() <= 2
    assert shifted.min() == 0 and shifted.max() == 39


def test_only_training_shifts(frames):
    core = FrozenEncoderCore(SHAPE, "random_vit", random_vit().fingerprint, 192, augment="crop")
    with torch_seed(0):
        assert not torch.equal(core.train()(frames), core.eval()(frames))
    torch.testing.assert_close(core(frames), core(frames), rtol=0, atol=0)

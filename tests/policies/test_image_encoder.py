import numpy as np
import torch
from torch import nn

from egorobot.policies.image_encoder import ImageEncoder, weights_digest
from egorobot.policies.transforms import ImageTransform

SIZE = (8, 8)
TRANSFORM = ImageTransform(SIZE, SIZE, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def make_model() -> nn.Module:
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5), nn.BatchNorm1d(5), nn.Dropout())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.01)
    return model


def test_the_fingerprint_follows_weights_and_transform():
    first = ImageEncoder("a", make_model(), TRANSFORM)
    assert ImageEncoder("b", make_model(), TRANSFORM).fingerprint == first.fingerprint
    changed = make_model()
    changed[2].running_mean[0] = 1e-7  # a buffer counts like a weight
    assert ImageEncoder("a", changed, TRANSFORM).fingerprint != first.fingerprint
    other = ImageTransform(SIZE, SIZE, (0.5, 0.5, 0.4), (0.25, 0.25, 0.25))
    assert ImageEncoder("a", make_model(), other).fingerprint != first.fingerprint


def test_the_digest_tells_names_and_types_apart():
    one, two = {"a": torch.zeros(2)}, {"b": torch.zeros(2)}
    assert weights_digest(one) != weights_digest(two)
    two = {"a": torch.zeros(2, dtype=torch.int32)}  # the same bytes
    assert weights_digest(one) != weights_digest(two)


def test_models_are_frozen_and_in_evaluation():
    encoder = ImageEncoder("a", make_model().train(), TRANSFORM)
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, *SIZE, 3), dtype=np.uint8)
    first = encoder.embed(frames)
    assert first.dtype == np.float32 and first.shape == (2, encoder.dim)
    np.testing.assert_array_equal(first, encoder.embed(frames))
    assert not any(p.requires_grad for p in encoder.model.parameters())


def test_half_precision_weights_compute_in_float32():
    assert ImageEncoder("a", make_model().half(), TRANSFORM).embed(np.zeros((1, 1, *SIZE, 3), np.uint8)).any()

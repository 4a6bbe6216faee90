import numpy as np
import torch

from egorobot.policies.controls import random_vit
from egorobot.policies.registry import load_encoder


def test_random_vit_is_the_same_each_time_and_leaves_the_generator_alone():
    torch.manual_seed(3)
    first = random_vit()
    after = torch.rand(1)
    torch.manual_seed(4)
    assert random_vit().fingerprint == first.fingerprint
    torch.manual_seed(3)
    assert torch.rand(1) == after


def test_random_vit_sees():
    encoder = random_vit()
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 64, 64, 3), dtype=np.uint8)
    embeddings = encoder.embed(frames)
    assert embeddings.shape == (2, encoder.dim) == (2, 192)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 1e-3


def test_random_egovideo_is_what_ships_untrained():
    torch.manual_seed(3)
    control, shipped = load_encoder("random_egovideo"), load_encoder("egovideo_nano")
    assert (control.dim, control.num_frames, control.frame_rate) == (
        shipped.dim,
        shipped.num_frames,
        shipped.frame_rate,
    )
    assert control.fingerprint == load_encoder("random_egovideo").fingerprint != shipped.fingerprint
    frames = np.random.default_rng(0).integers(0, 256, (2, control.num_frames, 64, 64, 3), dtype=np.uint8)
    embeddings = control.embed(frames)
    assert np.abs(embeddings[0] - embeddings[1]).max() > 1e-3
    assert np.abs(embeddings - shipped.embed(frames)).max() > 1e-3


def test_thumbnail_is_a_grid_of_colours():
    frames = np.zeros((1, 1, 112, 112, 3), np.uint8)
    frames[0, 0, 8:16, :8] = (255, 0, 51)  # the first cell of the second row
    (embedding,) = load_encoder("thumbnail").embed(frames)
    red, green, blue = embedding.reshape(3, 14, 14)
    np.testing.assert_allclose(red[1, 0], 1, rtol=1e-5)
    assert np.count_nonzero(red) == 1 and not green.any()
    np.testing.assert_allclose(blue[1, 0], 0.2, rtol=1e-5)

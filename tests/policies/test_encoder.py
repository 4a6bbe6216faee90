import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.policies.controls import BlankEncoder
from egorobot.policies.encoder import Encoder, check_encoder


class Mine:
    dim = 3
    num_frames = 2
    frame_rate = 6.25
    fingerprint = "mine 1"

    def embed(self, frames):
        return frames.reshape(len(frames), -1, 3).mean(1, dtype=np.float32)


def test_an_encoder_of_ones_own_passes_and_takes_its_name():
    encoder = check_encoder(Mine(), "package.module:make")
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.dim, encoder.num_frames) == ("package.module:make", 3, 2)
    frames = np.full((1, 2, 8, 8, 3), 7, np.uint8)
    np.testing.assert_array_equal(encoder.embed(frames), [[7, 7, 7]])


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("dim", "3", "attribute 'dim'"),
        ("dim", 4, "must return finite float32"),
        ("fingerprint", None, "attribute 'fingerprint'"),
        ("frame_rate", "fast", "attribute 'frame_rate'"),
        ("embed", None, "method 'embed'"),
        ("embed", lambda frames: 1 / 0, "embed\\(\\) failed"),
        ("embed", lambda frames: frames.mean((1, 2, 3)), "float32"),  # float64
        ("embed", lambda frames: np.full((len(frames), 3), np.nan, np.float32), "finite"),
    ],
)
def test_what_is_no_encoder_is_told_why(attribute, value, message):
    broken = Mine()
    setattr(broken, attribute, value)
    with pytest.raises(UserError, match=message):
        check_encoder(broken, "package.module:make")


def test_blank_sees_nothing():
    encoder = BlankEncoder()
    assert isinstance(encoder, Encoder)
    frames = np.random.default_rng(0).integers(0, 256, (4, 1, 16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(encoder.embed(frames), np.zeros((4, 1)))

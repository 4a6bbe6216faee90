import json
import sys

import numpy as np
import pytest

import egorobot
from egorobot.errors import UserError
from egorobot.policies.encoder import Encoder
from egorobot.policies.registry import CONTROLS, find_encoder, load_encoder
from egorobot.pretrain.shipped import shipped_folder

MODULE = """
import numpy as np

class Mean:
    dim, num_frames, frame_rate, fingerprint = 3, 1, None, "mean"
    def embed(self, frames):
        return frames.mean((1, 2, 3), dtype=np.float32)

def make():
    return Mean()

def nothing():
    return None
"""


@pytest.fixture
def my_module(tmp_path, monkeypatch):
    (tmp_path / "my_encoders.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    yield "my_encoders"
    sys.modules.pop("my_encoders", None)


@pytest.mark.parametrize("name", CONTROLS)
def test_controls(name):
    encoder = load_encoder(name)
    assert isinstance(encoder, Encoder)
    assert encoder.name == name
    frames = np.zeros((3, encoder.num_frames, 64, 64, 3), np.uint8)
    assert encoder.embed(frames).shape == (3, encoder.dim)


def test_the_package_offers_it_without_importing_torch_early():
    assert egorobot.load_encoder is load_encoder


def test_the_shipped_encoder_embeds_both_streams():
    encoder = load_encoder("egovideo_nano")
    assert encoder.name == "egovideo_nano" and encoder.num_frames > 1 and encoder.frame_rate
    frames = np.zeros((2, encoder.num_frames, 112, 112, 3), np.uint8)
    assert encoder.embed(frames).shape == (2, encoder.dim)
    assert load_encoder(str(shipped_folder())).fingerprint == encoder.fingerprint


def test_an_egovideo_folder_is_known_by_its_config(tmp_path):
    from egorobot.pretrain.model import SIZES, EgoVideo

    model = EgoVideo(SIZES["nano"], seed=1)
    model.save_pretrained(tmp_path / "mine")
    encoder = load_encoder(str(tmp_path / "mine"))
    assert encoder.fingerprint == model.fingerprint
    assert (encoder.dim, encoder.num_frames, encoder.frame_rate) == (model.dim, model.num_frames, model.frame_rate)


def test_an_encoder_of_ones_own(my_module):
    encoder = load_encoder(f"{my_module}:make")
    assert (encoder.name, encoder.fingerprint) == ("my_encoders:make", "mean")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my_encoders:nothing", "not an encoder"),
        ("my_encoders:absent", "has no 'absent'"),
        ("my_encoder:make", "unknown encoder 'my_encoder:make'"),
        ("random_vi", "did you mean random_vit"),
        ("egovideo-nano", "did you mean egovideo_nano"),
        ("x/y/z", "choose egovideo_nano"),
        ("", "unknown encoder ''"),
        ("timm:", "unknown encoder"),
        ("state", "is no encoder"),
        ("end_to_end", "is no encoder"),
    ],
)
def test_unknown_encoders_are_one_line(name, message, my_module):
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "no config.json"),
        ("{", "is damaged"),
        ("[1]", "is damaged"),
        ("null", "is damaged"),
        (json.dumps({"model_type": "llama"}), "model_type 'llama'"),
        (json.dumps({"model_type": "egovideo"}), "config.json|safetensors"),
    ],
)
def test_folders_that_hold_no_encoder(config, message, tmp_path):
    if config is not None:
        (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=message):
        load_encoder(str(tmp_path))


def test_a_moved_folder_is_found_where_it_was(tmp_path, monkeypatch):
    from egorobot.pretrain.model import SIZES, EgoVideo

    EgoVideo(SIZES["nano"]).save_pretrained(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    here = find_encoder("mine", str(tmp_path / "elsewhere"))
    monkeypatch.chdir("/")
    assert find_encoder("mine", str(tmp_path / "mine")).fingerprint == here.fingerprint
    with pytest.raises(UserError, match="unknown encoder 'mine'"):
        find_encoder("mine", str(tmp_path / "elsewhere"))

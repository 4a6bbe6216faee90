import numpy as np
import open_clip
import pytest
import timm
import torch

from egorobot.errors import UserError
from egorobot.policies import library
from egorobot.policies.registry import load_encoder

TINY_CLIP = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "head_width": 32, "patch_size": 16},
    "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 1, 40, 40, 3), dtype=np.uint8)


def make_timm():
    return timm.create_model("test_vit", pretrained=False, num_classes=0)


def make_clip():
    with torch.random.fork_rng():
        model = open_clip.CLIP(**TINY_CLIP)
    open_clip.factory.set_model_preprocess_cfg(model, vars(open_clip.transform.PreprocessCfg(size=32)))
    return model


def test_a_timm_model_is_the_same_from_a_folder(tmp_path, frames):
    model = make_timm()
    library.save_timm_folder(model, tmp_path / "mine")
    assert {p.name for p in (tmp_path / "mine").iterdir()} >= {"config.json", "model.safetensors"}
    before, after = library.from_timm("here", model), load_encoder(str(tmp_path / "mine"))
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.embed(frames), before.embed(frames))


def test_an_open_clip_model_is_the_same_from_a_folder(tmp_path, frames):
    model = make_clip()
    library.save_open_clip_folder(model, TINY_CLIP, tmp_path / "mine")
    assert {p.name for p in (tmp_path / "mine").iterdir()} >= {"config.json", "model.safetensors"}
    before, after = library.from_open_clip("here", model), load_encoder(str(tmp_path / "mine"))
    assert after.dim == 32
    assert after.fingerprint == before.fingerprint
    np.testing.assert_array_equal(after.embed(frames), before.embed(frames))


def test_embeddings_of_timm_are_its_pooled_features(frames):
    model = make_timm()
    encoder = library.from_timm("timm:test_vit", model)
    images = encoder.transform(torch.from_numpy(frames[:, 0]))
    with torch.inference_mode():
        expected = model.forward_head(model.forward_features(images))
    np.testing.assert_allclose(encoder.embed(frames), expected.numpy(), rtol=1e-5, atol=1e-6)


def test_embeddings_of_open_clip_are_its_image_features(frames):
    model = make_clip()
    encoder = library.from_open_clip("open_clip:tiny", model)
    with torch.inference_mode():
        expected = model.eval().encode_image(encoder.transform(torch.from_numpy(frames[:, 0])))
    np.testing.assert_allclose(encoder.embed(frames), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_224.augreg_in21k", "open_clip:ViT-B-32/openai"])
def test_without_a_network_one_line_says_so(name, tmp_path, monkeypatch):
    # The hubs are told to stay offline, and find nothing in an empty cache.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("socket.socket.connect", _refuse)
    with pytest.raises(UserError, match=f"cannot get the weights of {name} .*connect to the internet once") as caught:
        load_encoder(name)
    assert "\n" not in str(caught.value)


def test_an_encoder_on_the_hub_is_a_folder_there(tmp_path, monkeypatch, frames):
    """The hub itself is out of reach here: what it would download is laid into its cache."""
    snapshot = tmp_path / "models--someone--mine" / "snapshots" / ("0" * 40)
    library.save_timm_folder(make_timm(), snapshot)
    (tmp_path / "models--someone--mine" / "refs").mkdir()
    (tmp_path / "models--someone--mine" / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    encoder = load_encoder("hf-hub:someone/mine")
    assert encoder.name == "hf-hub:someone/mine"
    assert encoder.fingerprint == load_encoder(str(snapshot)).fingerprint
    with pytest.raises(UserError, match="cannot get the weights of hf-hub:someone/other"):
        load_encoder("hf-hub:someone/other")


def _refuse(*_):
    raise OSError("no network in tests")


@pytest.mark.parametrize(
    ("name", "close"),
    [
        ("timm:vit_base_patch16_224.may", "vit_base_patch16_224.mae"),
        ("timm:nothing_like_it", "timm.list_models"),
        ("open_clip:ViT-B-16/openaj", "ViT-B-16/openai"),
        ("open_clip:ViT-B-16", "ViT-B-16/"),
    ],
)
def test_unknown_models_are_met_with_close_ones(name, close):
    with pytest.raises(UserError, match=r"unknown (timm|open_clip) model") as caught:
        load_encoder(name)
    assert close in str(caught.value)


@pytest.mark.parametrize("make", ["timm", "open_clip"])
@pytest.mark.parametrize("harm", ["truncate", "config", "missing"])
def test_damaged_folders_are_one_line(make, harm, tmp_path):
    folder = tmp_path / "mine"
    if make == "timm":
        library.save_timm_folder(make_timm(), folder)
        config = folder / "config.json"
    else:
        library.save_open_clip_folder(make_clip(), TINY_CLIP, folder)
        config = folder / "open_clip_config.json"
    weights = folder / "model.safetensors"
    if harm == "truncate":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif harm == "config":
        config.write_text(config.read_text()[:-40])
    else:
        weights.unlink()
    with pytest.raises(UserError, match="is damaged") as caught:
        load_encoder(str(folder))
    assert "\n" not in str(caught.value)

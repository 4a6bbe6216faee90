"""CLIP's weights in an EgoVideo: what it makes of a still frame and of a caption is what open_clip makes."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from egorobot.errors import UserError
from egorobot.pretrain.model import SIZES, EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.frames import normalise_frames
from egorobot.pretrain.model.open_clip_weights import config_changes, load_open_clip
from egorobot.pretrain.model.text import vocabulary_of

CAPTIONS = ["#C C opens the microwave", "the left hand turns the knob of the stove"]
TINY: dict[str, Any] = {
    "embed_dim": 24,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2},
}


@pytest.fixture(scope="module", autouse=True)
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Models that open_clip itself knows by name."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "tiny-vit.json").write_text(json.dumps(TINY))
    (folder / "tiny-vit-quickgelu.json").write_text(json.dumps({**TINY, "quick_gelu": True}))
    deep = {**TINY, "vision_cfg": {**TINY["vision_cfg"], "layers": 3}}
    (folder / "tiny-vit-deep.json").write_text(json.dumps(deep))
    open_clip.add_model_config(folder)


def save_clip(path: Path, name: str = "tiny-vit") -> Any:
    """Save random weights of an open_clip model, none of them where training starts, and return the model."""
    model = open_clip.create_model(name).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim:
                scale = 0.1 if parameter.ndim == 1 else parameter.shape[-1] ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + (parameter.ndim == 1))
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, path)
    return model


@pytest.fixture
def config() -> EgoVideoConfig:
    """One frame in one stream, pooled like CLIP: nothing is added to it."""
    return replace(
        SIZES["b"], size="tiny", num_slow=1, fast_ratio=1, image_size=32, patch_size=8, fast_image_size=32,
        fast_patch_size=8, width=64, depth=2, heads=1, joint_dim=24, text_width=64, text_depth=2, text_heads=1,
        pooling="cls", streams="slow",
    )  # fmt: skip


def still(size: int, batch: int = 2) -> torch.Tensor:
    """Coloured tiles, (B, 1, size, size, 3): unlike noise, two of them differ in what a tower makes of them."""
    tiles = np.random.default_rng(0).integers(0, 256, (batch, 1, 4, 4, 3), dtype=np.uint8)
    return torch.from_numpy(tiles.repeat(size // 4, axis=2).repeat(size // 4, axis=3))


def assert_same_function(clip: Any, model: EgoVideo) -> None:
    frames = still(model.config.image_size)
    pixels = normalise_frames(frames)[:, 0]
    tokens = open_clip.tokenizer.SimpleTokenizer()(CAPTIONS, context_length=77)
    with torch.inference_mode():
        image, text = F.normalize(clip.encode_image(pixels)), F.normalize(clip.encode_text(tokens))
        torch.testing.assert_close(model.encode_video(frames, frames), image, atol=5e-5, rtol=0)
        torch.testing.assert_close(model.encode_text(CAPTIONS), text, atol=5e-5, rtol=0)
    assert (image[0] - image[1]).abs().max() > 5e-3


@pytest.mark.parametrize("name", ["tiny-vit", "tiny-vit-quickgelu"])
def test_a_still_frame_and_a_caption_are_what_open_clip_makes_of_them(
    name: str, config: EgoVideoConfig, tmp_path: Path
) -> None:
    clip = save_clip(tmp_path / "clip.safetensors", name)
    source = f"{name}/{tmp_path}/clip.safetensors"
    model = EgoVideo(replace(config, **config_changes(source))).eval()
    report = load_open_clip(model, source)
    assert (report.left, list(report.kept), report.notes) == ({}, ["vision.slow_embedding.temporal"], [])
    assert_same_function(clip, model)


@pytest.mark.slow
def test_the_whole_of_vit_b_16(tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip.safetensors", "ViT-B-16")
    source = f"ViT-B-16/{tmp_path}/clip.safetensors"
    still_b = replace(SIZES["b"], num_slow=1, fast_ratio=1, pooling="cls", streams="slow", **config_changes(source))
    model = EgoVideo(still_b).eval()
    load_open_clip(model, source)
    assert_same_function(clip, model)


def test_both_streams_start_as_the_mean_of_what_each_makes(config: EgoVideoConfig, tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip.safetensors")
    both = replace(config, streams="both", num_slow=2, fast_ratio=2)
    model = EgoVideo(both).eval()
    report = load_open_clip(model, f"tiny-vit/{tmp_path}/clip.safetensors")
    assert report.made["fusion.weight"].startswith("the mean of both streams")
    assert all("temporal" in name or ".adapter." in name for name in report.kept)
    image = still(32)
    with torch.inference_mode():
        video = model.encode_video(image.expand(-1, 2, -1, -1, -1), image.expand(-1, 4, -1, -1, -1))
        expected = F.normalize(clip.encode_image(normalise_frames(image)[:, 0]))
    assert (video * expected).sum(dim=1).min() > 0.99


def test_other_sizes_of_image_and_vocabulary_are_met(config: EgoVideoConfig, tmp_path: Path) -> None:
    clip = save_clip(tmp_path / "clip.safetensors")
    words = vocabulary_of(CAPTIONS)
    other = replace(config, image_size=48, streams="both", pooling="grid", vocabulary=words)
    model = EgoVideo(other).eval()
    report = load_open_clip(model, f"tiny-vit/{tmp_path}/clip.safetensors")
    assert "interpolated from 4 to 6 patches" in report.made["vision.slow_embedding.spatial"]
    assert report.left.keys() <= {"visual.proj"}
    tokens = open_clip.tokenizer.SimpleTokenizer()(CAPTIONS, context_length=77)
    with torch.inference_mode():
        text = F.normalize(clip.encode_text(tokens))
        torch.testing.assert_close(model.encode_text(CAPTIONS), text, atol=5e-5, rtol=0)


def test_names_tell_the_activation() -> None:
    assert config_changes("ViT-B-16/openai")["activation"] == "quick_gelu"
    assert config_changes("ViT-L-14-336/openai")["activation"] == "quick_gelu"
    assert config_changes("ViT-B-16/laion2b_s34b_b88k")["activation"] == "gelu"
    assert config_changes("ViT-B-16-quickgelu/somewhere.pt")["activation"] == "quick_gelu"


def test_what_does_not_fit_the_way_they_were_trained_is_noted(config: EgoVideoConfig, tmp_path: Path) -> None:
    save_clip(tmp_path / "clip.safetensors", "tiny-vit-quickgelu")
    model = EgoVideo(replace(config, activation="gelu", text_causal=False))
    notes = load_open_clip(model, f"tiny-vit-quickgelu/{tmp_path}/clip.safetensors").notes
    assert len(notes) == 2
    assert notes[0] == "the weights were trained with activation=quick_gelu, the model has gelu"


def test_projections_into_another_space_are_noted(config: EgoVideoConfig, tmp_path: Path) -> None:
    save_clip(tmp_path / "clip.safetensors", "tiny-vit-quickgelu")
    model = EgoVideo(replace(config, activation="quick_gelu", joint_dim=2 * config.joint_dim))
    (note,) = load_open_clip(model, f"tiny-vit-quickgelu/{tmp_path}/clip.safetensors").notes
    assert f"model.joint_dim={config.joint_dim} takes theirs" in note


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("tiny-vit", {}, "'tiny-vit' names no weights"),
        ("tiny-vot/openai", {}, "open_clip has no model 'tiny-vot'"),
        ("tiny-vit/openaj", {}, "cannot get the weights of open_clip:tiny-vit/openaj"),
        (
            "tiny-vit/{}",
            {"width": 128, "heads": 1},
            r"is no 'tiny': its visual\.conv1\.weight \(64, 3, 8, 8\) does not fit",
        ),
        ("tiny-vit/{}", {"depth": 3}, r"is no 'tiny': it has no 'visual\.transformer\.resblocks\.2"),
        ("tiny-vit/{}", {"heads": 2}, "has 1 heads, the model 2"),
        ("tiny-vit/{}", {"text_heads": 2}, "has 1 text_heads, the model 2"),
        ("tiny-vit-deep/{}", {}, "cannot get the weights of open_clip:tiny-vit-deep/"),
    ],
)
def test_weights_that_cannot_be_taken_are_one_line(
    name: str, changes: dict[str, int], message: str, config: EgoVideoConfig, tmp_path: Path
) -> None:
    save_clip(tmp_path / "clip.safetensors")
    model = EgoVideo(replace(config, **changes))
    before = model.fingerprint
    with pytest.raises(UserError, match=message) as caught:
        load_open_clip(model, name.format(tmp_path / "clip.safetensors"))
    assert "\n" not in str(caught.value)
    assert model.fingerprint == before

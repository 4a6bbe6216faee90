"""Encoder folders: saved whole, refused when damaged."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from egorobot.errors import UserError
from egorobot.pretrain.model import SIZES, EgoVideo
from egorobot.pretrain.model.text import vocabulary_of


@pytest.fixture(scope="module")
def model() -> EgoVideo:
    small = replace(SIZES["nano"], width=32, depth=1, heads=2, text_width=16, text_depth=1, text_heads=2)
    return EgoVideo(replace(small, vocabulary=vocabulary_of(["#C C opens the microwave"])), seed=3)


@pytest.fixture
def folder(model: EgoVideo, tmp_path: Path) -> Path:
    model.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_a_saved_model_is_the_same_function(model: EgoVideo, folder: Path) -> None:
    loaded = EgoVideo.from_pretrained(folder)
    frames = np.random.default_rng(0).integers(0, 256, (2, 8, 112, 112, 3), dtype=np.uint8)
    np.testing.assert_array_equal(loaded.embed(frames), model.eval().embed(frames))
    assert loaded.fingerprint == model.fingerprint
    assert not loaded.training
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    assert json.loads((folder / "config.json").read_text())["model_type"] == "egovideo"


def test_fingerprint_follows_weights_and_configuration(model: EgoVideo, folder: Path) -> None:
    other = EgoVideo.from_pretrained(folder)
    with torch.no_grad():
        other.fusion.bias[0] += 1e-6
    assert other.fingerprint != model.fingerprint
    slower = EgoVideo(replace(model.config, frame_rate=12.5))
    slower.load_state_dict(model.state_dict())
    assert slower.fingerprint != model.fingerprint


def test_a_missing_folder_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no encoder folder") as caught:
        EgoVideo.from_pretrained(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "empty", "garbage"])
def test_damaged_folders_are_refused(folder: Path, name: str, damage: str) -> None:
    path = folder / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "garbage": b"\x93" * 64}[damage])
    with pytest.raises(UserError, match=name.replace(".", r"\.")):
        EgoVideo.from_pretrained(folder)


@pytest.mark.parametrize(
    "change",
    [{"model_type": "timm"}, {"width": 64}, {"width": "wide"}, {"heads": 0}, {"colour": 1}, {"vocabulary": [1, 2]}],
)
def test_a_configuration_that_does_not_fit_is_refused(folder: Path, change: dict[str, object]) -> None:
    values = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**values, **change}))
    with pytest.raises(UserError, match=r"config\.json"):
        EgoVideo.from_pretrained(folder)


def test_weights_that_are_not_numbers_are_refused(model: EgoVideo, tmp_path: Path) -> None:
    broken = EgoVideo(model.config)
    with torch.no_grad():
        broken.fusion.bias[0] = float("nan")
    broken.save_pretrained(tmp_path)
    with pytest.raises(UserError, match="not finite"):
        EgoVideo.from_pretrained(tmp_path)

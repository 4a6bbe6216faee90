import numpy as np
import open_clip
import pytest
import timm
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image
from timm.data import create_transform
from timm.data.config import resolve_model_data_config

from egorobot.policies.transforms import ImageTransform, open_clip_transform, timm_transform


@pytest.fixture
def frames() -> np.ndarray:
    """Two smooth random pictures, (2, 112, 112, 3)."""
    coarse = np.random.default_rng(0).integers(0, 256, (2, 7, 7, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(c).resize((112, 112), Image.Resampling.BICUBIC)) for c in coarse])


def assert_same_images(ours: torch.Tensor, theirs: torch.Tensor, std: float) -> None:
    """Resizing of tensors and of PIL images differs by a grey level here and there."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 2.5 / 255 / std
    assert (ours - theirs).abs().mean() < 0.3 / 255 / std


@pytest.mark.parametrize("name", ["vit_base_patch16_224.mae", "resnet18.a1_in1k", "vit_small_patch14_dinov2.lvd142m"])
def test_timm_models_see_what_timm_shows_them(name, frames):
    config = resolve_model_data_config(timm.create_model(name, pretrained=False, num_classes=0))
    theirs = create_transform(**config, is_training=False)
    expected = torch.stack([theirs(Image.fromarray(f)) for f in frames])
    assert_same_images(timm_transform(config)(torch.from_numpy(frames)), expected, 0.22)


@pytest.mark.parametrize("mode", ["shortest", "squash", "longest"])
def test_open_clip_models_see_what_open_clip_shows_them(mode, frames):
    preprocess = PreprocessCfg(size=224, resize_mode=mode)
    theirs = image_transform_v2(preprocess, is_train=False)
    expected = torch.stack([theirs(Image.fromarray(f)) for f in frames])
    ours = open_clip_transform(vars(preprocess))
    assert ours.mean == open_clip.OPENAI_DATASET_MEAN
    assert_same_images(ours(torch.from_numpy(frames)), expected, 0.26)


def test_images_of_the_right_size_are_only_scaled():
    transform = ImageTransform((4, 4), (4, 4), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    frames = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1).expand(2, 4, 4, 3)
    images = transform(frames)
    assert images.shape == (2, 3, 4, 4)
    assert (images[0] == -1).all() and (images[1] == 1).all()

"""From camera frames to what an image model was trained on."""

from dataclasses import dataclass
from typing import Any

import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tvf

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageTransform:
    """Resize, centre crop, scale to [0, 1], normalise.

    Attributes:
        resize: height and width that a square image is resized to before the crop (pixels).
        crop: height and width that the model takes (pixels).
        mean: of each channel, in [0, 1].
        std: of each channel.
        interpolation: `bilinear` or `bicubic`, antialiased.
    """

    resize: Size
    crop: Size
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """Return float32 (N, 3, *crop) of uint8 frames (N, H, W, 3)."""
        images = frames.permute(0, 3, 1, 2)  # (N, 3, H, W)
        if tuple(images.shape[-2:]) != self.resize:
            mode = InterpolationMode(self.interpolation)
            images = tvf.resize(images, list(self.resize), interpolation=mode, antialias=True)
        images = tvf.center_crop(images, list(self.crop)).float() / 255
        return tvf.normalize(images, list(self.mean), list(self.std))


def timm_transform(data_config: dict[str, Any]) -> ImageTransform:
    """Return the evaluation transform of a timm model, for square images.

    Args:
        data_config: what `timm.data.resolve_model_data_config` returns.
    """
    height, width = data_config["input_size"][-2:]
    # For square images timm's three crop modes come to the same.
    share = data_config["crop_pct"]
    return ImageTransform(
        resize=(int(height / share), int(width / share)),
        crop=(height, width),
        mean=tuple(data_config["mean"]),
        std=tuple(data_config["std"]),
        interpolation=data_config["interpolation"],
    )


def open_clip_transform(preprocess: dict[str, Any]) -> ImageTransform:
    """Return the evaluation transform of an open_clip model, for square images.

    Args:
        preprocess: its `preprocess_cfg`.
    """
    size = preprocess["size"]
    height, width = (size, size) if isinstance(size, int) else size
    # For square images and models open_clip's three resize modes come to the same.
    interpolation = "bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic"
    return ImageTransform(
        resize=(height, width),
        crop=(height, width),
        mean=tuple(preprocess["mean"]),
        std=tuple(preprocess["std"]),
        interpolation=interpolation,
    )

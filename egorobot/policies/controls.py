"""Encoders that tell what an encoder is worth: untrained ones, plain pixels, and a blind one."""

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from egorobot.policies.image_encoder import ImageEncoder
from egorobot.policies.transforms import ImageTransform
from egorobot.pretrain.shipped import shipped_folder

if TYPE_CHECKING:  # slow to import, and of no use to the other controls
    from egorobot.pretrain.model import EgoVideo

# The width and patch of ViT-Tiny with half its blocks, at the protocols' image size: about
# 250 embeddings a second on two AVX2 cores, where all twelve blocks make 150.
RANDOM_VIT_SIZE = 112  # pixels
RANDOM_VIT_DEPTH = 6
RANDOM_VIT_SEED = 0
THUMBNAIL_SIZE = 14  # cells: of 8 x 8 pixels at 112 px
RANDOM_EGOVIDEO_SEED = 1  # training starts from 0


def random_vit(device: torch.device | None = None) -> ImageEncoder:
    """Return a small vision transformer with random weights, the same each time.

    Embeddings are the mean of the patch tokens (D = 192). Images are resized to 112 px.
    """
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(RANDOM_VIT_SEED)
        model = timm.create_model(
            "vit_tiny_patch16_224", img_size=RANDOM_VIT_SIZE, depth=RANDOM_VIT_DEPTH, num_classes=0, global_pool="avg"
        )
    size = (RANDOM_VIT_SIZE, RANDOM_VIT_SIZE)
    transform = ImageTransform(size, size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bilinear")
    return ImageEncoder("random_vit", model, transform, device)


def random_egovideo() -> "EgoVideo":
    """Return the model that ships with random weights, the same each time: beside it, what training is worth shows."""
    from egorobot.pretrain.model import EgoVideo
    from egorobot.pretrain.model.folder import read_folder

    config, _ = read_folder(shipped_folder())
    return EgoVideo(config, seed=RANDOM_EGOVIDEO_SEED).eval()


class ThumbnailEncoder:
    """The latest frame's colours, averaged over a grid of cells: what seeing without learning is worth."""

    name = "thumbnail"
    dim = 3 * THUMBNAIL_SIZE**2
    num_frames = 1
    frame_rate: float | None = None
    fingerprint = "thumbnail"

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return colours in [0, 1], (B, 588), of frames (B, 1, H, W, 3)."""
        images = torch.from_numpy(np.ascontiguousarray(frames[:, -1])).permute(0, 3, 1, 2).float() / 255
        return F.adaptive_avg_pool2d(images, THUMBNAIL_SIZE).flatten(1).numpy()


class BlankEncoder:
    """Sees nothing: one constant, whatever the frames."""

    name = "blank"
    dim = 1
    num_frames = 1
    frame_rate: float | None = None
    fingerprint = "blank"

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return zeros (B, 1)."""
        return np.zeros((len(frames), 1), np.float32)

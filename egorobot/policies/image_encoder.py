"""An encoder made of any PyTorch image model."""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from egorobot.files import digest
from egorobot.policies.transforms import ImageTransform


def default_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights_digest(weights: Mapping[str, torch.Tensor]) -> str:
    """Return a hash of a `state_dict`: names, dtypes, shapes, values."""
    parts: list[bytes | str] = []
    for name, tensor in sorted(weights.items()):
        values = tensor.detach().cpu().contiguous()
        parts += [
            f"{name} {values.dtype} {tuple(values.shape)}",
            values.reshape(-1).view(torch.uint8).numpy().tobytes(),
        ]
    return digest(*parts)


class ImageEncoder:
    """A frozen image model, in float32.

    Args:
        name: what `load_encoder` made it from.
        model: maps float (N, 3, h, w) to (N, D).
        transform: makes that input of uint8 frames.
        device: where the model lives; None is the GPU where there is one.
    """

    num_frames = 1
    frame_rate: float | None = None

    def __init__(
        self, name: str, model: nn.Module, transform: ImageTransform, device: torch.device | None = None
    ) -> None:
        self.name = name
        self.device = device or default_device()
        self.model = model.eval().requires_grad_(False).to(self.device, torch.float32)
        self.transform = transform
        self.fingerprint = digest(
            weights_digest(model.state_dict()), repr(sorted(asdict(transform).items())), "float32"
        )
        self.dim = self.embed(np.zeros((1, 1, *transform.crop, 3), np.uint8)).shape[1]

    @torch.inference_mode()
    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return embeddings (B, D) of frames (B, 1, H, W, 3), RGB."""
        images = torch.from_numpy(np.ascontiguousarray(frames[:, -1])).to(self.device)
        return self.model(self.transform(images)).float().cpu().numpy()

"""EgoVideo: clips and captions in one space, and embeddings for policies."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from egorobot.files import digest
from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.folder import config_json, read_folder, write_folder
from egorobot.pretrain.model.frames import normalise_frames
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.model.text import TextTower
from egorobot.pretrain.model.vision import TwoStreamVision, slow_indices

TEMPERATURE = 0.07  # at the start of training (EgoVideo, after CLIP)
MAX_SCALE = 100.0  # of the logits (CLIP)


class EgoVideo(nn.Module):
    """The two-stream video encoder, its text tower and their joint space.

    Args:
        config: sizes.
        seed: seed of the initial weights.

    Attributes:
        name: what it is called in a table of results.
        dim: length of what `embed` returns.
        num_frames: frames that `embed` wants, lambda * T.
        frame_rate: their rate, in Hz.
    """

    def __init__(self, config: EgoVideoConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = config
        self.name: str = f"egovideo_{config.size}"
        # torch draws initial weights from the global generator: lend it ours.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.vision = TwoStreamVision(config)
            self.text = TextTower(config)
            self.slow_projection = nn.Linear(self.vision.slow_pooling.dim, config.joint_dim, bias=False)
            self.fast_projection = nn.Linear(self.vision.fast_pooling.dim, config.joint_dim, bias=False)
            self.fusion = nn.Linear(2 * config.joint_dim, config.joint_dim)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))
        self.dim = self.vision.slow_pooling.dim + self.vision.fast_pooling.dim
        self.num_frames = config.num_frames
        self.frame_rate: float | None = config.frame_rate

    def pooled(self, frames_slow: Tensor, frames_fast: Tensor) -> tuple[Tensor, Tensor]:
        """Return what each stream hands on.

        Args:
            frames_slow: uint8, (B, T, H, W, 3).
            frames_fast: uint8, (B, lambda*T, H, W, 3).

        Returns:
            Vectors of the low-rate and of the high-rate stream, (B, slow dim) and (B, fast dim).
        """
        slow = self.vision.slow(normalise_frames(frames_slow, self.config.image_size))
        fast = self.vision.fast(normalise_frames(frames_fast, self.config.fast_image_size))
        return slow, fast

    def encode_video(self, frames_slow: Tensor, frames_fast: Tensor) -> Tensor:
        """Return L2-normalised vectors of clips in the joint space, (B, joint_dim); frames as for `pooled`."""
        slow, fast = self.pooled(frames_slow, frames_fast)
        joint = torch.cat([self.slow_projection(slow), self.fast_projection(fast)], dim=1)
        return F.normalize(self.fusion(joint), dim=1)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """Return L2-normalised vectors of captions in the joint space, (B, joint_dim)."""
        return F.normalize(self.text(captions), dim=1)

    def loss(self, frames_slow: Tensor, frames_fast: Tensor, captions: Sequence[str]) -> Tensor:
        """Return the contrastive loss of a batch of clips (frames as for `pooled`) and their captions."""
        scale = self.log_scale.exp().clamp(max=MAX_SCALE)
        video = self.encode_video(frames_slow, frames_fast)
        return contrastive_loss(video, self.encode_text(captions), scale, captions)

    @torch.inference_mode()
    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return features for a policy: what both streams know before the joint space.

        The joint space keeps what captions say; control also needs where things are.

        Args:
            frames: uint8, (B, T, H, W, 3), T a multiple of the ratio of the two streams
                (`num_frames` is what it was trained with), the latest last.

        Returns:
            float32, (B, dim).

        Raises:
            ValueError: `frames` has another type or shape.
        """
        device = self.log_scale.device
        fast = torch.as_tensor(np.ascontiguousarray(frames)).to(device)
        if fast.ndim != 5:
            raise ValueError(f"frames must be uint8 (B, T, H, W, 3), not {tuple(fast.shape)}")
        steps = slow_indices(fast.shape[1], self.config.fast_ratio)
        slow = fast[:, steps.start :: steps.step]
        return torch.cat(self.pooled(slow, fast), dim=1).float().cpu().numpy()

    @property
    def fingerprint(self) -> str:
        """Hash of weights, their type and configuration: equal if and only if `embed` is the same function."""
        parts: list[bytes | str] = [config_json(self.config)]
        for name, tensor in sorted(self.state_dict().items()):
            parts += [name, str(tensor.dtype), tensor.detach().cpu().contiguous().numpy().tobytes()]
        return digest(*parts)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`, each atomically."""
        write_folder(folder, self.config, self.state_dict())

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> "EgoVideo":
        """Return the model saved in `folder`, ready to embed.

        Raises:
            UserError: the folder is missing, damaged, or holds something else.
        """
        config, weights = read_folder(folder)
        model = cls(config)
        model.load_state_dict(weights)
        return model.eval()

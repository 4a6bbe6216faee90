"""EgoVideo: clips and captions in one space, and embeddings for policies."""

import math
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from egorobot.errors import UserError
from egorobot.files import digest
from egorobot.pretrain.model.block import SharedBlock
from egorobot.pretrain.model.boxes import BoxHead, box_losses
from egorobot.pretrain.model.config import STREAMS, EgoVideoConfig
from egorobot.pretrain.model.folder import config_json, read_folder, write_folder
from egorobot.pretrain.model.frames import FRAMES_VERSION, resize_frames
from egorobot.pretrain.model.hub import find_folder, push
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.model.text import TextTower
from egorobot.pretrain.model.vision import Stream, TwoStreamVision, slow_indices

TEMPERATURE = 0.07  # at the start of training (EgoVideo, after CLIP)
MAX_SCALE = 100.0  # of the logits (CLIP)


class Encoded(NamedTuple):
    """What training wants to know of B clips and their captions.

    Attributes:
        video: vectors as from `EgoVideo.encode_video`, (B, joint_dim).
        text: vectors as from `EgoVideo.encode_text`, (B, joint_dim).
        scale: inverse temperature, (1,), at most 100.
        boxes: each clip's loss of boxes, (B,); zero without boxes or a head that tells them.
    """

    video: Tensor
    text: Tensor
    scale: Tensor
    boxes: Tensor


class EgoVideo(nn.Module):
    """The two-stream video encoder, its text tower and their joint space.

    Args:
        config: sizes.
        seed: seed of the initial weights.

    Attributes:
        name: what it is called in a table of results.
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
            self.fast_projection: nn.Linear | None = None
            self.fusion: nn.Linear | None = None
            if self.vision.fast_pooling is not None:
                self.fast_projection = nn.Linear(self.vision.fast_pooling.dim, config.joint_dim, bias=False)
                self.fusion = nn.Linear(2 * config.joint_dim, config.joint_dim)
            self.box_head = BoxHead(config.width) if config.box_head else None
        self.log_scale = nn.Parameter(torch.tensor([math.log(1 / TEMPERATURE)]))  # FSDP takes no scalars
        self.num_frames = config.num_frames
        self.frame_rate: float | None = config.frame_rate
        self._embed_streams = config.streams

    def forward(
        self, frames_slow: Tensor, frames_fast: Tensor, captions: Sequence[str], boxes: Tensor | None = None
    ) -> Encoded:
        """Return what training wants of clips and their captions.

        Args:
            frames_slow: uint8, (B, T, H, W, 3).
            frames_fast: uint8, (B, lambda*T, H, W, 3); not looked at with streams=slow.
            captions: B captions.
            boxes: of things in the low-rate stream's frames, as for `box_losses`; None is none.
        """
        streams = self.vision.tokens(*self._resized(frames_slow, frames_fast if self._has_fast else None))
        video, text = self.join(self.vision.pool(streams)), self.encode_text(captions)
        return Encoded(video, text, self.log_scale.exp().clamp(max=MAX_SCALE), self.box_losses(streams[0], boxes))

    def loss(self, frames_slow: Tensor, frames_fast: Tensor, captions: Sequence[str]) -> Tensor:
        """Return the contrastive loss of a batch; arguments as for `forward`."""
        encoded: Encoded = self(frames_slow, frames_fast, captions)
        return contrastive_loss(encoded.video, encoded.text, encoded.scale, captions)

    def encode_video(self, frames_slow: Tensor, frames_fast: Tensor) -> Tensor:
        """Return L2-normalised vectors of clips in the joint space, (B, joint_dim); frames as for `forward`."""
        return self.join(self.pooled(frames_slow, frames_fast if self._has_fast else None))

    def join(self, vectors: list[Tensor]) -> Tensor:
        """Return L2-normalised vectors in the joint space, (B, joint_dim), of the `vectors` of all streams."""
        if self.fusion is None or self.fast_projection is None:
            return _unit(self.slow_projection(vectors[0]))
        slow, fast = vectors
        return _unit(self.fusion(torch.cat([self.slow_projection(slow), self.fast_projection(fast)], dim=1)))

    def box_losses(self, stream: Stream, boxes: Tensor | None) -> Tensor:
        """Return each clip's loss of boxes, (B,), from the low-rate `stream`; zeros without `boxes` or a head."""
        tokens, grid = stream
        if self.box_head is None or boxes is None:
            return tokens.new_zeros(len(tokens))
        return box_losses(self.box_head(self.vision.slow_pooling.norm(tokens), grid), boxes, grid)

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        """Return L2-normalised vectors of captions in the joint space, (B, joint_dim)."""
        return _unit(self.text(captions))

    def pooled(self, frames_slow: Tensor, frames_fast: Tensor | None = None) -> list[Tensor]:
        """Return what each stream hands on: vectors (B, slow dim) and, with `frames_fast`, (B, fast dim)."""
        return self.vision(*self._resized(frames_slow, frames_fast))

    @property
    def _has_fast(self) -> bool:
        return self.config.streams == "both"

    def _resized(self, frames_slow: Tensor, frames_fast: Tensor | None) -> tuple[Tensor, Tensor | None]:
        config = self.config
        slow = resize_frames(frames_slow, config.image_size)
        return slow, None if frames_fast is None else resize_frames(frames_fast, config.fast_image_size)

    @torch.inference_mode()
    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return features for a policy: what the streams know before the joint space.

        The joint space keeps what captions say; control also needs where things are, which
        early layers know better (`EgoVideoConfig.embed_layers`).

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
        given = self._resized(slow, fast if self.embed_streams == "both" else None)
        layers = self.config.embed_layers
        vectors = self.vision.latest(*given, layers) if layers else self.vision(*given)
        return torch.cat(vectors, dim=1).float().cpu().numpy()

    @property
    def embed_streams(self) -> str:
        """What `embed` returns: vectors of "both" streams, or of the "slow" one, the low-rate stream, alone."""
        return self._embed_streams

    @embed_streams.setter
    def embed_streams(self, streams: str) -> None:
        if streams not in STREAMS:
            raise UserError(f"unknown streams '{streams}': choose one of {', '.join(STREAMS)}")
        if streams == "both" and self.config.streams == "slow":
            raise UserError(f"{self.name} was made with streams=slow: it has no high-rate stream to embed with")
        self._embed_streams = streams

    @property
    def dim(self) -> int:
        """Length of what `embed` returns."""
        both = self.embed_streams == "both"
        if self.config.embed_layers:
            return self.vision.latest_dim(self.config.embed_layers, both)
        fast = self.vision.fast_pooling if both else None
        return self.vision.slow_pooling.dim + (0 if fast is None else fast.dim)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Let backward compute the inside of each block again instead of keeping it: less memory, more time."""
        for module in self.modules():
            if isinstance(module, SharedBlock):
                module.checkpointing = enable
        self.text.transformer.set_grad_checkpointing(enable)

    @property
    def fingerprint(self) -> str:
        """Hash of all that decides embeddings: equal if and only if `embed` is the same function."""
        parts: list[bytes | str] = [FRAMES_VERSION, self.embed_streams, config_json(self.config)]
        for name, tensor in sorted(self.state_dict().items()):
            content = tensor.detach().cpu().flatten().view(torch.uint8).numpy()  # NumPy has no bfloat16
            parts += [name, str(tensor.dtype), content.tobytes()]
        return digest(*parts)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write `config.json` and `model.safetensors` into `folder`, each atomically."""
        write_folder(folder, self.config, self.state_dict())

    def push_to_hub(self, repo_id: str, *, records: str | Path | None = None, **options: Any) -> str:
        """Upload the model to the Hugging Face Hub with a model card, and return the address of the commit.

        Args:
            repo_id: `<organisation>/<model>`; made there if need be.
            records: folder that training or conversion left, whose `pretrain.json` or
                `convert.json` goes along and into the card.
            options: of `egorobot.pretrain.model.hub.push`: `commit_message`, `private`, `token`,
                `branch`, `create_pr`.

        Raises:
            UserError: the Hub cannot be reached, or refuses.
        """
        with TemporaryDirectory() as folder:
            self.save_pretrained(folder)
            return push(folder, repo_id, records=records, **options)

    @classmethod
    def from_pretrained(cls, source: str | Path, revision: str | None = None, **options: Any) -> "EgoVideo":
        """Return a saved model, ready to embed.

        Args:
            source: a folder; where there is no such folder, `egovideo_nano`, which ships with
                the package, or `<organisation>/<model>` on the Hugging Face Hub.
            revision: branch, tag or commit there; None is the main branch.
            options: of `egorobot.pretrain.model.hub.download`: `token`, `cache_dir`,
                `force_download`, `local_files_only`.

        Raises:
            UserError: the folder is missing, damaged, or holds something else; or the Hub
                has no such model, or cannot be reached.
        """
        config, weights = read_folder(find_folder(source, revision=revision, **options))
        model = cls(config)
        model.load_state_dict(weights)
        return model.eval()


def _unit(vectors: Tensor) -> Tensor:
    """Return L2-normalised `vectors`, in single precision at least."""
    return F.normalize(vectors.to(torch.promote_types(vectors.dtype, torch.float32)), dim=1)

"""Frozen encoders and standardised vectors as robomimic observation encoders.

Importing this module registers, with robomimic, the observation modality `frozen` and the
encoder cores below; robomimic can then load our checkpoints.

robomimic puts a ReLU behind every encoder core (not in its transformer). A core here
returns both halves of its features, (x, -x), and `SignedFeatures`, which robomimic calls
behind the ReLU, puts them together again: max(x, 0) - max(-x, 0) = x, to the last bit.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from robomimic.models.obs_core import EncoderCore, Randomizer
from robomimic.utils.obs_utils import Modality
from torch import nn

from egorobot.errors import UserError
from egorobot.policies.embedding import embed_padded
from egorobot.policies.encoder import Encoder
from egorobot.policies.readout import Readout
from egorobot.policies.registry import find_encoder

# What hardly varies is not blown up: standard deviations are at least this share of the
# largest of their vector, whatever its scale, and never below the smallest.
STD_FLOOR = 1e-3
SMALLEST_STD = 1e-6
SHIFT = 0.05  # of the image size: how far `augment: crop` shifts images, either way


class FrozenModality(Modality):
    """Camera frames as they are, uint8 (H, W, 3) or (T, H, W, 3), or their embedding."""

    name = "frozen"

    @classmethod
    def _default_obs_processor(cls, obs: Any) -> Any:
        return obs

    @classmethod
    def _default_obs_unprocessor(cls, obs: Any) -> Any:
        return obs


class Standardize(nn.Module):
    """(x - mean) / std, with the statistics of the training data; part of the checkpoint.

    Args:
        dim: of x.
        shared: whether all of x is divided by the largest std, so that it keeps its proportions.
    """

    def __init__(self, dim: int, shared: bool = False) -> None:
        super().__init__()
        self.shared = shared
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("std", torch.ones(dim))

    def fit(self, values: torch.Tensor) -> None:
        """Take the statistics of `values` (N, D)."""
        self.mean = values.mean(0)
        std = values.std(0, correction=0)
        floor = 1.0 if self.shared else STD_FLOOR
        self.std = std.clamp_min(max(floor * float(std.max()), SMALLEST_STD))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return standardised `values` (N, D)."""
        return (values - self.mean) / self.std


def make_norm(kind: str, dim: int) -> nn.Module:
    """Return what features pass through first: `standardize`, or R3M's `batchnorm`."""
    if kind == "standardize":
        return Standardize(dim)
    if kind == "batchnorm":
        return nn.BatchNorm1d(dim)
    raise UserError(f"unknown policy.norm '{kind}': choose standardize or batchnorm")


class VectorCore(EncoderCore):
    """Low-dimensional observations (N, D), normalised.

    Args:
        input_shape: (D,).
        norm: see `make_norm`.
    """

    def __init__(self, input_shape: Sequence[int], norm: str = "standardize") -> None:
        super().__init__(input_shape=tuple(input_shape))
        self.norm = make_norm(norm, input_shape[0])

    def output_shape(self, input_shape: Sequence[int] | None = None) -> list[int]:
        """Return [2 D]."""
        return [2 * self.input_shape[0]]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return both halves of the normalised features, (N, 2 D)."""
        features = self.norm(inputs)
        return torch.cat([features, -features], dim=-1)


class FrozenEncoderCore(EncoderCore):
    """What a frozen encoder makes of camera frames, normalised.

    Inputs are frames, uint8 or their values as floats, (N, H, W, 3) or (N, T, H, W, 3);
    or their embeddings from a cache, shaped (N, 1, 1, D) or (N, 1, 1, 1, D) so that they
    have as many axes; or, shaped likewise, what the readout says of them. The encoder's
    weights belong to no checkpoint: it is loaded by its name when first needed, and must
    then have the fingerprint it was trained with.

    Args:
        input_shape: of one observation, without the batch: (H, W, 3) or (T, H, W, 3).
        encoder: its name.
        folder: where it was found, if in a folder; looked at when `encoder` is not there.
        fingerprint: of the encoder.
        dim: length D of an embedding.
        norm: see `make_norm`.
        augment: `crop` shifts frames at random in training, up to 5 % either way.
        readout: numbers K that a readout makes of an embedding; None is no readout.
    """

    def __init__(
        self,
        input_shape: Sequence[int],
        encoder: str,
        fingerprint: str,
        dim: int,
        folder: str | None = None,
        norm: str = "standardize",
        augment: str | None = None,
        readout: int | None = None,
    ) -> None:
        super().__init__(input_shape=tuple(input_shape))
        self.encoder_key = (encoder, folder, fingerprint)
        self.dim = dim
        self.augment = augment
        self.readout = None if readout is None else Readout(dim, readout)
        self.num_features = dim if readout is None else readout
        # What a readout says is all of one kind, joint positions.
        self.norm = make_norm(norm, dim) if readout is None else Standardize(readout, shared=True)

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded when first asked for.

        Raises:
            UserError: it cannot be loaded, or is not the one this policy was trained with.
        """
        return matching_encoder(*self.encoder_key)

    def output_shape(self, input_shape: Sequence[int] | None = None) -> list[int]:
        """Return [2 D], or [2 K] with a readout."""
        return [2 * self.num_features]

    def stand_in_shape(self, size: int) -> tuple[int, ...]:
        """Return the shape of a vector that stands for an observation: (..., 1, size)."""
        return (1,) * (len(self.input_shape) - 1) + (size,)

    def embed(self, frames: torch.Tensor) -> torch.Tensor:
        """Return embeddings (N, D) of frames (N, H, W, 3) or (N, T, H, W, 3)."""
        if self.training and self.augment == "crop":
            frames = shift_at_random(frames)
        pixels = frames.to(torch.uint8).cpu().numpy()
        clips = pixels if pixels.ndim == 5 else pixels[:, None]
        return torch.from_numpy(embed_padded(self.encoder, clips)).to(frames.device)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return both halves of the normalised features, (N, 2 D) or (N, 2 K)."""
        features = self.norm(self._features(inputs))
        return torch.cat([features, -features], dim=-1)

    def _features(self, inputs: torch.Tensor) -> torch.Tensor:
        shape = tuple(inputs.shape[1:])
        if shape == self.stand_in_shape(self.num_features):
            return inputs.reshape(len(inputs), self.num_features)
        if shape == self.stand_in_shape(self.dim):
            embedding = inputs.reshape(len(inputs), self.dim)
        elif shape == self.input_shape:
            embedding = self.embed(inputs)
        else:
            raise ValueError(f"images of shape {shape}: this policy takes {self.input_shape}, or their embeddings")
        return embedding if self.readout is None else self.readout(embedding)


class SignedFeatures(Randomizer):
    """Puts the two halves of a core's features together again, behind robomimic's ReLU."""

    def __init__(self, input_shape: Sequence[int]) -> None:
        super().__init__()
        self.input_shape = tuple(input_shape)

    def output_shape_in(self, input_shape: Sequence[int] | None = None) -> list[int]:
        """Return the shape of the core's input: inputs pass unchanged."""
        return list(self.input_shape)

    def output_shape_out(self, input_shape: Sequence[int] | None = None) -> list[int]:
        """Return [D] for the core's [2 D]."""
        return [(input_shape or [0])[0] // 2]

    def forward_in(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return `inputs`."""
        return inputs

    def forward_out(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return features (N, D) of their halves (N, 2 D), rectified or not."""
        positive, negative = torch.relu(inputs).chunk(2, dim=-1)
        return positive - negative


@functools.lru_cache(maxsize=4)
def matching_encoder(name: str, folder: str | None, fingerprint: str) -> Encoder:
    """Return the encoder of that name, if it has that fingerprint.

    Raises:
        UserError: it cannot be loaded, or has another fingerprint.
    """
    encoder = find_encoder(name, folder)
    if encoder.fingerprint != fingerprint:
        raise UserError(
            f"encoder '{name}' is not the one this policy was trained with (fingerprint {encoder.fingerprint}, "
            f"then {fingerprint}): put the old one back, or train the policy again"
        )
    return encoder


def shift_at_random(frames: torch.Tensor) -> torch.Tensor:
    """Return frames (N, ..., H, W, 3) shifted by up to `SHIFT` of their size, edges repeated.

    Each row is shifted by an amount of its own, all frames of a clip alike (the random
    shift of DrQ, https://arxiv.org/abs/2004.13649). Draws from torch's generator.
    """
    height, width = frames.shape[-3:-1]
    reach = round(SHIFT * height)
    offsets = torch.randint(-reach, reach + 1, (len(frames), 2))
    rows = (torch.arange(height) + offsets[:, :1]).clamp(0, height - 1)  # (N, H)
    columns = (torch.arange(width) + offsets[:, 1:]).clamp(0, width - 1)  # (N, W)
    return torch.stack([clip[..., r, :, :][..., c, :] for clip, r, c in zip(frames, rows, columns, strict=True)])


def cores(network: nn.Module) -> list[tuple[str, VectorCore | FrozenEncoderCore]]:
    """Return the cores in a robomimic network, each with its observation key."""
    found = []
    for name, module in network.named_modules():
        if isinstance(module, VectorCore | FrozenEncoderCore):
            found.append((name.rsplit(".", 1)[-1], module))
    return found


def to_embedding_axes(embeddings: np.ndarray, image_axes: int) -> np.ndarray:
    """Return (..., D) as (..., 1, 1, D): with `image_axes` axes for one observation."""
    return embeddings.reshape(*embeddings.shape[:-1], *(1,) * (image_axes - 1), embeddings.shape[-1])

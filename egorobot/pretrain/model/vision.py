"""The two streams of EgoVideo and what they share.

The low-rate stream trains the blocks. The high-rate stream runs through the same blocks,
whose parameters get no gradient from it, with a motion adapter after each.
"""

from typing import Any

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.func import functional_call

from egorobot.pretrain.model.config import EgoVideoConfig


class _LayerNorm(nn.LayerNorm):
    """The norm of the official code's vision tower."""

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(width, eps=1e-6, **kwargs)


class PatchEmbedding(nn.Module):
    """Frames to tokens: patches, a class token, and where each stands in space and time.

    The spatial embedding is the same in every frame, the temporal one (zero at first)
    the same at every place; both are interpolated for other frame counts and sizes.

    Args:
        image_size: side of the frames that the embedding is made for, in pixels.
        patch_size: side of a patch, in pixels.
        num_frames: frames that it is made for.
        width: channels of a token.
    """

    def __init__(self, image_size: int, patch_size: int, num_frames: int, width: int) -> None:
        super().__init__()
        side = image_size // patch_size
        self.patches = nn.Conv2d(3, width, patch_size, stride=patch_size, bias=False)
        self.class_token = nn.Parameter(torch.empty(width))
        self.spatial = nn.Parameter(torch.empty(side, side, width))
        self.temporal = nn.Parameter(torch.zeros(num_frames, width))
        self.norm = _LayerNorm(width)
        nn.init.normal_(self.class_token, std=width**-0.5)
        nn.init.normal_(self.spatial, std=width**-0.5)

    def forward(self, frames: Tensor) -> tuple[Tensor, tuple[int, int, int]]:
        """Return the tokens of `frames`, and how many patches there are along time, height and width.

        Args:
            frames: normalised, (B, T, 3, H, W).

        Returns:
            Tokens (B, 1 + T*h*w, C), class token first; (T, h, w).
        """
        batch, time = frames.shape[:2]
        x = self.patches(frames.flatten(0, 1))  # (B*T, C, h, w)
        height, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2).view(batch, time, height * width, -1)
        x = x + self.spatial_for(height, width) + self.temporal_for(time)[:, None]
        tokens = torch.cat([self.class_token.expand(batch, 1, -1), x.flatten(1, 2)], dim=1)
        return self.norm(tokens), (time, height, width)

    def spatial_for(self, height: int, width: int) -> Tensor:
        """Return the embedding of a grid of `height` by `width` patches, (h*w, C)."""
        spatial: Tensor = self.spatial
        if spatial.shape[:2] != (height, width):
            grid = spatial.permute(2, 0, 1)[None]
            grid = F.interpolate(grid, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
            spatial = grid[0].permute(1, 2, 0)
        return spatial.flatten(0, 1)

    def temporal_for(self, time: int) -> Tensor:
        """Return the embedding of `time` frames spread over the same stretch of time, (T, C)."""
        temporal: Tensor = self.temporal
        if len(temporal) != time:
            line = F.interpolate(temporal.T[None], size=time, mode="linear", align_corners=True)
            temporal = line[0].T
        return temporal


class MotionAdapter(nn.Module):
    """A bottleneck that mixes patch tokens over time (and space) after a block.

    It starts as the identity. With `window` 1 it is the official code's: 740,353
    parameters at width 768.

    Args:
        width: channels of a token.
        ratio: hidden channels over `width`.
        window: side of the convolution in space, in patches.
    """

    def __init__(self, width: int, ratio: float = 0.5, window: int = 1) -> None:
        super().__init__()
        hidden = int(width * ratio)
        self.down = nn.Linear(width, hidden)
        pad = window // 2
        self.mix = nn.Conv3d(hidden, hidden, (3, window, window), padding=(1, pad, pad), groups=hidden)
        self.point = nn.Linear(hidden, hidden)  # a 1x1 convolution
        self.up = nn.Linear(hidden, width)
        self.scale = nn.Parameter(torch.ones(()))
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Return `tokens` (B, 1 + T*h*w, C) with motion mixed in; `grid` is (T, h, w)."""
        first, patches = tokens[:, :1], tokens[:, 1:]
        hidden = F.gelu(self.down(patches))
        volume = hidden.transpose(1, 2).unflatten(2, grid)  # (B, hidden, T, h, w)
        mixed = self.point(self.mix(volume).flatten(2).transpose(1, 2))
        return torch.cat([first, patches + self.scale * self.up(hidden + mixed)], dim=1)


class StreamPooling(nn.Module):
    """Tokens of a stream to one vector that still knows where things are.

    Args:
        config: see `EgoVideoConfig.pooling`.
        with_grid: whether the last frame's grid belongs to the result.
    """

    def __init__(self, config: EgoVideoConfig, with_grid: bool) -> None:
        super().__init__()
        self.kind = config.pooling
        self.grid_size = config.grid_size
        self.norm = _LayerNorm(config.width)
        self.dim = config.width
        self.reduce: nn.Linear | None = None
        if with_grid and self.kind == "grid":
            self.reduce = nn.Linear(config.width, config.grid_channels)
            self.dim += config.grid_size**2 * config.grid_channels

    def forward(self, tokens: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """Return the pooled vector (B, dim) of `tokens` (B, 1 + T*h*w, C); `grid` is (T, h, w)."""
        tokens = self.norm(tokens)
        if self.kind == "cls":
            return tokens[:, 0]
        mean = tokens[:, 1:].mean(dim=1)
        if self.reduce is None:
            return mean
        _, height, width = grid
        last = self.reduce(tokens[:, -height * width :])  # (B, h*w, c)
        cells = F.adaptive_avg_pool2d(last.transpose(1, 2).unflatten(2, (height, width)), self.grid_size)
        return torch.cat([mean, cells.flatten(1)], dim=1)


class TwoStreamVision(nn.Module):
    """Both streams, up to their pooled vectors.

    Args:
        config: sizes.
    """

    def __init__(self, config: EgoVideoConfig) -> None:
        super().__init__()
        width = config.width
        self.slow_embedding = PatchEmbedding(config.image_size, config.patch_size, config.num_slow, width)
        self.fast_embedding = PatchEmbedding(config.fast_image_size, config.fast_patch_size, config.num_frames, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.mlp_ratio, qkv_bias=True, norm_layer=_LayerNorm)
            for _ in range(config.depth)
        )
        self.adapters = nn.ModuleList(
            MotionAdapter(width, config.adapter_ratio, config.adapter_window) for _ in range(config.depth)
        )
        self.slow_pooling = StreamPooling(config, with_grid=True)
        self.fast_pooling = StreamPooling(config, with_grid=False)

    def slow(self, frames: Tensor) -> Tensor:
        """Return the low-rate stream's vector (B, slow_pooling.dim) of normalised frames (B, T, 3, H, W)."""
        tokens, grid = self.slow_embedding(frames)
        for block in self.blocks:
            tokens = block(tokens)
        return self.slow_pooling(tokens, grid)

    def fast(self, frames: Tensor) -> Tensor:
        """Return the high-rate stream's vector (B, fast_pooling.dim) of normalised frames (B, lambda*T, 3, H, W)."""
        tokens, grid = self.fast_embedding(frames)
        for block, adapter in zip(self.blocks, self.adapters, strict=True):
            tokens = adapter(_run_frozen(block, tokens), grid)
        return self.fast_pooling(tokens, grid)


def _run_frozen(block: nn.Module, tokens: Tensor) -> Tensor:
    """Run `block` so that gradients flow through it to `tokens` and none reaches its parameters."""
    if not torch.is_grad_enabled():
        return block(tokens)
    detached = {name: parameter.detach() for name, parameter in block.named_parameters()}
    return functional_call(block, detached, (tokens,))


def slow_indices(num_frames: int, fast_ratio: int) -> range:
    """Return which of the high-rate frames the low-rate stream sees: every lambda-th, the last among them.

    Raises:
        ValueError: `num_frames` is not a multiple of `fast_ratio`.
    """
    if num_frames < 1 or num_frames % fast_ratio:
        raise ValueError(f"{num_frames} frames are not a multiple of {fast_ratio}, the ratio of the two streams")
    return range(fast_ratio - 1, num_frames, fast_ratio)

"""From tokens to what a stream hands on."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egorobot.pretrain.model.config import NORM_EPS, EgoVideoConfig
from egorobot.pretrain.model.patches import Grid


class StreamPooling(nn.Module):
    """Tokens of a stream to one vector that still knows where things are.

    Args:
        config: see `EgoVideoConfig.pooling`.
        with_grid: whether the last frame's grid belongs to the result.

    Attributes:
        dim: length of the vector.
    """

    def __init__(self, config: EgoVideoConfig, with_grid: bool) -> None:
        super().__init__()
        self.kind = config.pooling
        self.grid_size = config.grid_size
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.dim = config.width
        self.reduce: nn.Linear | None = None
        if with_grid and self.kind == "grid":
            self.reduce = nn.Linear(config.width, config.grid_channels)
            self.dim += config.grid_size**2 * config.grid_channels

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return the pooled vector of `tokens` (B, 1 + T*h*w, C).

        Args:
            tokens: of a stream.
            grid: their (T, h, w).

        Returns:
            (B, dim).
        """
        tokens = self.norm(tokens)
        if self.kind == "cls":
            return tokens[:, 0]
        mean = tokens[:, 1:].mean(dim=1)
        if self.reduce is None:
            return mean
        return torch.cat([mean, cells(self.reduce(latest_frame(tokens, grid)), grid, self.grid_size)], dim=1)


def latest_frame(tokens: Tensor, grid: Grid) -> Tensor:
    """Return the last frame's patch tokens, (B, h*w, C), of `tokens` (B, 1 + T*h*w, C); `grid` is (T, h, w)."""
    return tokens[:, -grid[1] * grid[2] :]


def cells(tokens: Tensor, grid: Grid, size: int) -> Tensor:
    """Return the means of a frame's tokens (B, h*w, C) in `size` by `size` cells, channels first: (B, C*size*size)."""
    return F.adaptive_avg_pool2d(tokens.transpose(1, 2).unflatten(2, grid[1:]), size).flatten(1)

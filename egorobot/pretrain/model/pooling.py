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
        whole_dim: its length with whole cells.
    """

    def __init__(self, config: EgoVideoConfig, with_grid: bool) -> None:
        super().__init__()
        self.kind = config.pooling
        self.grid_size = config.grid_size
        self.norm = nn.LayerNorm(config.width, eps=NORM_EPS)
        self.dim = self.whole_dim = config.width
        self.reduce: nn.Linear | None = None
        if with_grid and self.kind == "grid":
            self.reduce = nn.Linear(config.width, config.grid_channels)
            self.dim += config.grid_size**2 * config.grid_channels
            self.whole_dim += config.grid_size**2 * config.width

    def forward(self, tokens: Tensor, grid: Grid, whole: bool = False) -> Tensor:
        """Return the pooled vector of `tokens` (B, 1 + T*h*w, C).

        Args:
            tokens: of a stream.
            grid: their (T, h, w).
            whole: whether cells keep all their channels.

        Returns:
            (B, dim), or (B, whole_dim) with whole cells.
        """
        tokens = self.norm(tokens)
        if self.kind == "cls":
            return tokens[:, 0]
        mean = tokens[:, 1:].mean(dim=1)
        if self.reduce is None:
            return mean
        _, height, width = grid
        last = tokens[:, -height * width :]
        last = last if whole else self.reduce(last)  # (B, h*w, c)
        cells = F.adaptive_avg_pool2d(last.transpose(1, 2).unflatten(2, (height, width)), self.grid_size)
        return torch.cat([mean, cells.flatten(1)], dim=1)

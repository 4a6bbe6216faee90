"""From frames to tokens."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egorobot.pretrain.model.config import NORM_EPS
from egorobot.pretrain.model.products import added
from egorobot.pretrain.model.stem import PatchConv, make_stem

Grid = tuple[int, int, int]  # patches along time, height and width


class PatchEmbedding(nn.Module):
    """Frames to tokens: patches, a class token, and where each stands in space and time.

    The spatial embedding is the same in every frame, the temporal one (zero at first)
    the same at every place; both are interpolated for other frame counts and sizes.

    Args:
        image_size: side of the frames that the embedding is made for, in pixels.
        patch_size: side of a patch, in pixels.
        num_frames: frames that it is made for.
        width: channels of a token.
        stem: see `EgoVideoConfig.stem`.
        differences: whether each frame's change since the one before is seen beside it.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_frames: int,
        width: int,
        stem: Sequence[int] = (),
        differences: bool = False,
    ) -> None:
        super().__init__()
        side = image_size // patch_size
        self.patches: nn.Module
        if stem:
            self.patches = make_stem(stem, width, patch_size, differences)
        else:
            self.patches = PatchConv(width, patch_size, bias=False, differences=differences)
        self.class_token = nn.Parameter(torch.empty(width))
        self.spatial = nn.Parameter(torch.empty(side, side, width))
        self.temporal = nn.Parameter(torch.zeros(num_frames, width))
        self.norm = nn.LayerNorm(width, eps=NORM_EPS)
        nn.init.normal_(self.class_token, std=width**-0.5)
        nn.init.normal_(self.spatial, std=width**-0.5)

    def forward(self, frames: Tensor) -> tuple[Tensor, Grid]:
        """Return the tokens of `frames`, and how many patches there are along time, height and width.

        Args:
            frames: uint8, (B, T, H, W, 3).

        Returns:
            Tokens (B, 1 + T*h*w, C), class token first; (T, h, w).
        """
        batch, time = frames.shape[:2]
        x = self.patches(frames)  # (B*T, C, h, w)
        height, width = x.shape[2:]
        x = x.flatten(2).transpose(1, 2).reshape(batch, time * height * width, -1)
        # One sum for each place: its gradient is a sum over clips, which others would take again.
        places = self.spatial_for(height, width) + self.temporal_for(time)[:, None]
        x = added(places.flatten(0, 1), x)
        tokens = torch.cat([self.class_token.expand(batch, 1, -1), x], dim=1)
        return self.norm(tokens), (time, height, width)

    def spatial_for(self, height: int, width: int) -> Tensor:
        """Return the embedding of a grid of `height` by `width` patches, (h*w, C)."""
        return resize_places(self.spatial, height, width).flatten(0, 1)

    def temporal_for(self, time: int) -> Tensor:
        """Return the embedding of `time` frames spread over the same stretch of time, (T, C)."""
        return resize_times(self.temporal, time)


def resize_places(places: Tensor, height: int, width: int) -> Tensor:
    """Return the spatial embedding (h, w, C) for another grid of patches."""
    if places.shape[:2] == (height, width):
        return places
    grid = places.permute(2, 0, 1)[None]
    grid = F.interpolate(grid, size=(height, width), mode="bicubic", antialias=True, align_corners=False)
    return grid[0].permute(1, 2, 0)


def resize_times(times: Tensor, frames: int) -> Tensor:
    """Return the temporal embedding (T, C) for another number of frames, as the official code does it."""
    if len(times) == frames:
        return times
    return F.interpolate(times.T[None], size=frames, mode="linear", align_corners=False)[0].T

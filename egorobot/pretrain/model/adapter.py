"""What the high-rate stream has of its own after a block: a bottleneck for motion."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egorobot.pretrain.model.patches import Grid
from egorobot.pretrain.model.products import added


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
        self.scale = nn.Parameter(torch.ones(1))  # FSDP takes no scalars
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return `tokens` (B, 1 + T*h*w, C) with motion mixed in; `grid` is (T, h, w)."""
        # The class token, which stays as it is, is cut off where there are fewest numbers, and weights are
        # scaled, of which there are fewer than of tokens.
        hidden = F.gelu(self.down(tokens))[:, 1:]
        mixed = self.point(self._mixed(hidden.unflatten(1, grid)).flatten(1, 3))
        change = F.linear(hidden + mixed, self.up.weight * self.scale, self.up.bias * self.scale)
        return added(tokens, F.pad(change, (0, 0, 1, 0)))

    def _mixed(self, volume: Tensor) -> Tensor:
        """Return what `self.mix` makes of `volume` (B, T, h, w, hidden), in the same order.

        It is done as three convolutions in space, added along time: PyTorch's gradient of a
        depthwise convolution in three dimensions takes several times as long on a CPU.
        """
        weight, pad = self.mix.weight, self.mix.padding[1:]
        frames = volume.flatten(0, 1).permute(0, 3, 1, 2)  # (B*T, hidden, h, w)
        before, here, after = (
            F.conv2d(frames, weight[:, :, i], bias, padding=pad, groups=len(weight))
            .permute(0, 2, 3, 1)
            .unflatten(0, volume.shape[:2])
            for i, bias in enumerate((None, self.mix.bias, None))
        )
        here[:, 1:] += before[:, :-1]
        here[:, :-1] += after[:, 1:]
        return here

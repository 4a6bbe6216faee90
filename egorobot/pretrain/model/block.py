"""A transformer block that both streams run through, with a motion adapter of the high-rate one."""

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from egorobot.pretrain.model.adapter import MotionAdapter
from egorobot.pretrain.model.attention import self_attention
from egorobot.pretrain.model.config import NORM_EPS, EgoVideoConfig
from egorobot.pretrain.model.patches import Grid
from egorobot.pretrain.model.products import added

Tokens = tuple[Tensor | None, Tensor | None]  # of the low-rate and of the high-rate stream


def activation_layer(name: str) -> type[nn.Module]:
    """Return the layer of `EgoVideoConfig.activation`."""
    return {"gelu": nn.GELU, "quick_gelu": QuickGELU}[name]


class SharedBlock(nn.Module):
    """A pre-norm block that the low-rate stream trains and the high-rate one only uses.

    To the high-rate stream the block's weights are constants: gradients flow through it to
    the tokens and so to earlier adapters, and none reaches the weights. Both streams go
    through in one call, so that whatever wraps a block (sharding, hooks) sees one forward.

    Args:
        config: sizes.
        with_adapter: whether a motion adapter follows on the high-rate stream's path.

    Attributes:
        checkpointing: whether backward computes the block again instead of keeping what
            is inside: less memory, more time.
    """

    def __init__(self, config: EgoVideoConfig, with_adapter: bool) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPS)
        self.attn = _Attention(width, config.heads)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPS)
        self.mlp = _Mlp(width, int(width * config.mlp_ratio), config.activation)
        self.adapter = MotionAdapter(width, config.adapter_ratio, config.adapter_window) if with_adapter else None
        self.checkpointing = False

    def forward(self, slow: Tensor | None, fast: Tensor | None, grid: Grid) -> Tokens:
        """Return the tokens of both streams after the block.

        Args:
            slow: tokens of the low-rate stream, (B, N, C), or None.
            fast: tokens of the high-rate stream, (B, 1 + T*h*w, C), or None.
            grid: the high-rate stream's (T, h, w); not looked at without it.
        """
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(self._both, slow, fast, grid, use_reentrant=False)
        return self._both(slow, fast, grid)

    def _both(self, slow: Tensor | None, fast: Tensor | None, grid: Grid) -> Tokens:
        if slow is not None:
            slow = self._block(slow, frozen=False)
        if fast is not None:
            fast = self._block(fast, frozen=True)
            if self.adapter is not None:
                fast = self.adapter(fast, grid)
        return slow, fast

    def _block(self, x: Tensor, frozen: bool) -> Tensor:
        """Return tokens (B, N, C) after attention and MLP; `frozen` weights are constants to the gradient."""
        x = added(x, self.attn(_norm(self.norm1, x, frozen), frozen))
        return added(x, self.mlp(_norm(self.norm2, x, frozen), frozen))


class _Attention(nn.Module):
    """Self-attention of all tokens, with timm's names."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, frozen: bool) -> Tensor:
        return _linear(self.proj, self_attention(_linear(self.qkv, x, frozen), self.heads), frozen)


class _Mlp(nn.Module):
    """Two layers for each token, with timm's names."""

    def __init__(self, width: int, hidden: int, activation: str) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.act = activation_layer(activation)()
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor, frozen: bool) -> Tensor:
        return _linear(self.fc2, self.act(_linear(self.fc1, x, frozen)), frozen)


# Weights are read where they are used: sharded ones are whole only inside the block's forward.


def _linear(layer: nn.Linear, x: Tensor, frozen: bool) -> Tensor:
    return F.linear(x, *_weights(layer, frozen))


def _norm(layer: nn.LayerNorm, x: Tensor, frozen: bool) -> Tensor:
    return F.layer_norm(x, layer.normalized_shape, *_weights(layer, frozen), layer.eps)


def _weights(layer: nn.Linear | nn.LayerNorm, frozen: bool) -> tuple[Tensor, Tensor]:
    weight, bias = layer.weight, layer.bias
    return (weight.detach(), bias.detach()) if frozen else (weight, bias)

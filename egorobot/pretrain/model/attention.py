"""Self-attention of a stream's tokens, done otherwise where PyTorch's gradient of it is slow."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from egorobot.pretrain.model.products import trained_in_bfloat16


def self_attention(projected: Tensor, heads: int) -> Tensor:
    """Return what every token gathers from all, (B, N, C).

    On a CPU the backward of PyTorch's fused attention is slower in bfloat16 than in float32:
    2.14 takes three to six times as long, the fewer tokens the worse.

    Args:
        projected: queries, keys and values of all heads, one after the other, (B, N, 3 * C).
        heads: how many.
    """
    if trained_in_bfloat16(projected):
        gathered: Tensor = _SelfAttention.apply(projected, heads)
        return gathered
    query, key, value = _by_head(projected, 3 * heads).unflatten(1, (3, heads)).unbind(1)  # (B, heads, N, c)
    return _by_token(F.scaled_dot_product_attention(query, key, value))


class _SelfAttention(torch.autograd.Function):
    """Plain products, which numbers are laid out for once each way.

    Queries are scaled instead of similarities, which are more numbers where there are more tokens than channels.
    """

    @staticmethod
    def forward(ctx: Any, projected: Tensor, heads: int) -> Tensor:
        batch = len(projected)
        three = projected.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = three.clone(memory_format=torch.contiguous_format).flatten(1, 2)  # (B * heads, N, c)
        ctx.heads, ctx.scale = heads, query.shape[-1] ** -0.5
        query.mul_(ctx.scale)
        shares = (query @ key.mT).softmax(-1)
        ctx.save_for_backward(query, key, value, shares)
        return _by_token((shares @ value).unflatten(0, (batch, heads)))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        query, key, value, shares = ctx.saved_tensors
        gathered = _by_head(gradients[0], ctx.heads).flatten(0, 1)
        three = query.new_empty(3, *query.shape)
        torch.bmm(shares.mT, gathered, out=three[2])
        by_share = gathered @ value.mT
        similarity = torch.ops.aten._softmax_backward_data(by_share, shares, -1, shares.dtype)
        torch.bmm(similarity, key, out=three[0]).mul_(ctx.scale)
        torch.bmm(similarity.mT, query, out=three[1])
        return three.unflatten(1, (-1, ctx.heads)).permute(1, 3, 0, 2, 4).flatten(2), None  # (B, N, 3 * heads * c)


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """Return tokens (B, N, heads * c) as (B, heads, N, c)."""
    return tokens.unflatten(2, (heads, -1)).transpose(1, 2)


def _by_token(by_head: Tensor) -> Tensor:
    """Return (B, heads, N, c) as tokens, (B, N, heads * c)."""
    return by_head.transpose(1, 2).flatten(2)

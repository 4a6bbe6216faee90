"""open_clip's text transformer, which leaves out what no caption's vector depends on."""

from typing import Any

import torch
import torch.nn.functional as F
from open_clip.transformer import ResidualAttentionBlock, TextTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from egorobot.pretrain.model.products import trained_in_bfloat16


class CaptionTransformer(TextTransformer):
    """open_clip's `TextTransformer`, with its weights and its vectors.

    A caption's vector is what the last block makes of one token, that of the end of text,
    which sees all tokens before it. No other token goes through the last block's queries
    and MLP: with nano's single block that is most of the tower.

    Args:
        options: as open_clip's, with `pool_type="argmax"`.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for module in self.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.__class__ = _Attention  # with the weights as they are drawn
        self.transformer.resblocks[-1].__class__ = _LastBlock

    def forward(self, text: Tensor) -> Tensor:
        """Return the vectors (B, output_dim) of captions, int64 (B, L)."""
        *blocks, last = self.transformer.resblocks
        x, mask = self._embeds(text)
        for block in blocks:
            if self.transformer.grad_checkpointing:
                x = checkpoint(block, x, None, None, mask, use_reentrant=False)
            else:
                x = block(x, attn_mask=mask)
        token: Tensor = last(x, at=text.argmax(dim=1))
        return self.ln_final(token) @ self.text_projection


class _LastBlock(ResidualAttentionBlock):
    """open_clip's block, which knows how to be asked for one token of each caption."""

    def forward(self, q_x: Tensor, *others: Any, at: Tensor | None = None, **options: Any) -> Tensor:
        """Return what becomes of the tokens `q_x` (B, L, C): of all of them, or (B, C) of those `at` places (B,).

        Such a token sees itself and those before it, whatever comes after.
        """
        if at is None:
            whole: Tensor = super().forward(q_x, *others, **options)
            return whole
        token = q_x[torch.arange(len(q_x), device=q_x.device), at]
        x = token + self.ls_1(self._gathered(self.ln_1(token), self.ln_1(q_x), at))
        after: Tensor = x + self.ls_2(self.mlp(self.ln_2(x)))
        return after

    def _gathered(self, token: Tensor, tokens: Tensor, at: Tensor) -> Tensor:
        """Return what the attention gives for `token` (B, C) of the `tokens` (B, L, C) up to its place.

        Similarities are those of a head's query, turned to keys' inputs, with the inputs, and values are
        taken of the inputs' mean: the same numbers as those of keys and values, which are not computed.
        The bias of keys adds as much to all similarities, so nothing. All is little work: nothing is rounded.
        """
        attention = self.attn
        with torch.autocast(tokens.device.type, enabled=False):
            weight = attention.in_proj_weight.unflatten(0, (3, attention.num_heads, -1))  # (3, heads, c, C)
            bias = attention.in_proj_bias.unflatten(0, (3, attention.num_heads, -1))
            queries = torch.einsum("bi,hci->bhc", token, weight[0]) + bias[0]
            turned = torch.einsum("bhc,hci->bhi", queries * queries.shape[-1] ** -0.5, weight[1])
            later = torch.arange(tokens.shape[1], device=at.device) > at[:, None]
            similarities = (turned @ tokens.mT).masked_fill(later[:, None], float("-inf"))
            means = similarities.softmax(-1) @ tokens  # (B, heads, C)
            gathered = torch.einsum("bhi,hci->bhc", means, weight[2]) + bias[2]
            return attention.out_proj(gathered.flatten(1))


class _Attention(nn.MultiheadAttention):
    """open_clip's attention of captions to themselves, in float32 where its gradient is slow in bfloat16.

    It has hardly any of the products, and as products of bfloat16 it would round the similarities of words.
    """

    def forward(self, query: Tensor, *others: Any, **options: Any) -> tuple[Tensor, Tensor | None]:
        """Return what every token gathers, (B, L, C), and no weights; `query` (B, L, C) is key and value as well."""
        if not trained_in_bfloat16(query):
            return super().forward(query, *others, **options)
        parts = F.linear(query, self.in_proj_weight, self.in_proj_bias).unflatten(-1, (3, self.num_heads, -1))
        queries, keys, values = parts.float().permute(2, 0, 3, 1, 4)
        mask: Tensor | None = options.get("attn_mask")
        if mask is not None and mask.dim() == 3:  # of each caption, and for each of its heads
            mask = mask.unflatten(0, (len(query), self.num_heads))
        if mask is not None and mask.is_floating_point():
            mask = mask.float()
        with torch.autocast(query.device.type, enabled=False):
            gathered = F.scaled_dot_product_attention(queries, keys, values, mask)
        return self.out_proj(gathered.transpose(1, 2).flatten(2).to(parts.dtype)), None

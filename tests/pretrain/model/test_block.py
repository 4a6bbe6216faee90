"""The shared block: timm's transformer block to one stream, the same with constant weights to the other."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from open_clip.transformer import QuickGELU
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from egorobot.pretrain.model import EgoVideoConfig
from egorobot.pretrain.model.block import SharedBlock

GRID = (4, 2, 2)


def tokens(seed: int = 0) -> Tensor:
    return torch.randn(2, 17, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("activation", "layer"), [("gelu", nn.GELU), ("quick_gelu", QuickGELU)])
def test_both_streams_see_the_block_of_timm(config: EgoVideoConfig, activation: str, layer: type[nn.Module]) -> None:
    theirs = Block(32, 2, qkv_bias=True, act_layer=layer, norm_layer=partial(nn.LayerNorm, eps=1e-6))
    block = SharedBlock(replace(config, activation=activation), with_adapter=False)
    block.load_state_dict(theirs.state_dict())
    slow, fast = block(tokens(0), tokens(1), GRID)
    torch.testing.assert_close(slow, theirs(tokens(0)), atol=1e-6, rtol=0)
    torch.testing.assert_close(fast, theirs(tokens(1)), atol=1e-6, rtol=0)


def test_a_stream_that_is_left_out_changes_nothing_for_the_other(config: EgoVideoConfig) -> None:
    block = SharedBlock(config, with_adapter=True)
    slow, fast = block(tokens(0), tokens(1), GRID)
    alone, none = block(tokens(0), None, GRID)
    assert torch.equal(alone, slow) and none is None
    none, alone = block(None, tokens(1), GRID)
    assert torch.equal(alone, fast) and none is None


def test_frozen_weights_give_tokens_the_gradient_of_the_whole_block(config: EgoVideoConfig) -> None:
    block = SharedBlock(config, with_adapter=False)
    gradients = []
    for streams in ((tokens(), None), (None, tokens())):
        x = next(stream for stream in streams if stream is not None).requires_grad_()
        output = next(stream for stream in block(*streams, GRID) if stream is not None)
        gradients += torch.autograd.grad(output.pow(3).sum(), x)
    torch.testing.assert_close(gradients[0], gradients[1])
    assert all(parameter.grad is None for parameter in block.parameters())


def test_bfloat16_products_round_tokens_and_gradients_and_no_more(config: EgoVideoConfig) -> None:
    block = SharedBlock(config, with_adapter=True)
    found = []
    for enabled in (False, True):
        slow, fast = tokens(0).requires_grad_(), tokens(1).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            outputs = block(slow, fast, GRID)
        loss = sum(output.float().pow(2).sum() for output in outputs)
        found.append([*outputs, *torch.autograd.grad(loss, (slow, fast, block.attn.qkv.weight))])
    for exact, rounded in zip(*found, strict=True):
        error = (exact - rounded.float()).norm() / exact.norm()
        assert 0 < error < 0.01  # bfloat16 has 8 bits: 0.004 of a number

"""Attention of a stream's tokens: the same numbers whichever way they are computed."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from egorobot.pretrain.model.attention import self_attention


def projected(batch: int, tokens: int, heads: int, dtype: torch.dtype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, tokens, 3 * heads * 8, generator=generator).to(dtype).requires_grad_()


def usual(given: Tensor, heads: int) -> Tensor:
    """PyTorch's attention of the same queries, keys and values."""
    query, key, value = given.unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)


@pytest.mark.parametrize(("batch", "tokens", "heads"), [(1, 1, 1), (3, 7, 2), (2, 99, 4)])
def test_bfloat16_rounds_what_tokens_gather_and_the_gradient_and_no_more(batch: int, tokens: int, heads: int) -> None:
    given = projected(batch, tokens, heads, torch.bfloat16)
    found, expected = self_attention(given, heads), usual(given.float(), heads)
    weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    gradients = [torch.autograd.grad((x.float() * weights).sum(), given)[0] for x in (found, expected)]
    assert found.dtype == torch.bfloat16
    for rounded, whole in ((found, expected), gradients):
        assert rounded.shape == whole.shape
        assert (rounded.float() - whole.float()).norm() < 0.01 * whole.float().norm()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_rounding_it_is_pytorchs(dtype: torch.dtype) -> None:
    given = projected(2, 9, 3, dtype)
    torch.testing.assert_close(self_attention(given, 3), usual(given, 3), rtol=0, atol=0)


def test_where_nothing_is_trained_it_is_pytorchs() -> None:
    given = projected(2, 9, 3, torch.bfloat16).detach()
    assert torch.equal(self_attention(given, 3), usual(given, 3))

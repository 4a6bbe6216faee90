"""The motion adapter: the official one's size, the identity at first, then a convolution."""

import pytest
import torch
import torch.nn.functional as F

from egorobot.pretrain.model.adapter import MotionAdapter


@pytest.mark.parametrize(("width", "parameters"), [(768, 740_353), (1024, 1_314_817)])
def test_adapter_has_the_official_number_of_parameters(width: int, parameters: int) -> None:
    assert sum(p.numel() for p in MotionAdapter(width).parameters()) == parameters


def test_adapter_starts_as_the_identity_and_then_mixes_time_but_not_the_class_token() -> None:
    adapter = MotionAdapter(8)
    tokens = torch.randn(1, 1 + 3 * 4, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(adapter(tokens, (3, 2, 2)), tokens)
    with torch.no_grad():
        adapter.up.weight.fill_(0.1)
    other = tokens.clone()
    other[0, 1] += 1  # first frame, first patch
    change = (adapter(other, (3, 2, 2)) - adapter(tokens, (3, 2, 2)))[0].abs().sum(dim=1)
    assert change[0] == 0
    moved = (change[1:] > 1e-6).view(3, 4)
    assert moved.tolist() == [[True, False, False, False], [True, False, False, False], [False] * 4]


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("grid", [(4, 3, 5), (1, 2, 2), (2, 1, 1)])
def test_mixing_is_the_convolution_in_three_dimensions(window: int, grid: tuple[int, int, int]) -> None:
    adapter = MotionAdapter(8, window=window).double()
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(adapter.up.weight, generator=generator)
    tokens = torch.randn(2, 1 + grid[0] * grid[1] * grid[2], 8, generator=generator, dtype=torch.float64)
    hidden = F.gelu(adapter.down(tokens[:, 1:]))
    mixed = adapter.mix(hidden.transpose(1, 2).unflatten(2, grid)).flatten(2).transpose(1, 2)
    expected = tokens[:, 1:] + adapter.scale * adapter.up(hidden + adapter.point(mixed))
    output = adapter(tokens, grid)[:, 1:]
    torch.testing.assert_close(output, expected)
    weights = list(adapter.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(output.pow(2).sum(), weights), torch.autograd.grad(expected.pow(2).sum(), weights)
    )

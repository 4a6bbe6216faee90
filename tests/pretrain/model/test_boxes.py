"""The head that tells boxes: which cells answer for a thing, with what, and where nobody looked."""

import pytest
import torch
from torch import Tensor

from egorobot.pretrain.model.boxes import BoxHead, box_losses

GRID = (1, 2, 4)  # one frame of two rows and four columns
NOWHERE = [float("nan")] * 4


def boxes(*things: list[float]) -> Tensor:
    """Return the boxes of one clip with one frame, (1, 1, 3, 4)."""
    return torch.tensor([*things, *[NOWHERE] * (3 - len(things))])[None, None]


def silence(logit: float = -20.0) -> Tensor:
    """Return what a head says that sees nothing, (1, 1, 8, 3, 5)."""
    said = torch.zeros(1, 1, 8, 3, 5)
    said[..., 0] = logit
    return said


def test_the_cells_that_a_box_covers_answer_for_it() -> None:
    box = [0.2, 0.0, 0.7, 1.0]  # 0.8 to 2.8 of four columns: the centres of the second and third
    said = silence()
    for cell, column in ((1, 1.5), (2, 2.5), (5, 1.5), (6, 2.5)):
        row = 0.5 if cell < 4 else 1.5
        said[0, 0, cell, 0] = torch.tensor([20.0, 0.8 - column, 0 - row, 2.8 - column, 2 - row])
    assert box_losses(said, boxes(box), GRID).item() == pytest.approx(0, abs=1e-5)
    for cell in (1, 6):
        silent = said.clone()
        silent[0, 0, cell, 0, 0] = -20
        assert box_losses(silent, boxes(box), GRID).item() > 1
    loud = said.clone()
    loud[0, 0, 0, 0, 0] = 20
    assert box_losses(loud, boxes(box), GRID).item() > 0.5
    assert box_losses(said, boxes(NOWHERE, box), GRID).item() > 1  # another thing


def test_a_thing_smaller_than_a_cell_has_the_one_of_its_middle() -> None:
    said = silence()
    said[0, 0, 7, 2] = torch.tensor([20.0, 0.3, 0.1, 0.4, 0.2])
    small = [3.8 / 4, 1.6 / 2, 3.9 / 4, 1.7 / 2]
    assert box_losses(said, boxes(NOWHERE, NOWHERE, small), GRID).item() == pytest.approx(0, abs=1e-5)


def test_a_clip_without_boxes_teaches_nothing_and_others_count_alone() -> None:
    said = silence(0).repeat(2, 1, 1, 1, 1).requires_grad_()
    place = boxes([0.1, 0.1, 0.6, 0.9])
    losses = box_losses(said, torch.cat([boxes(), place]), GRID)
    losses.sum().backward()
    assert losses[0] == 0 and losses[1] > 0
    assert said.grad is not None and said.grad.isfinite().all() and not said.grad[0].any() and said.grad[1].any()
    assert losses[1] == box_losses(said[1:], place, GRID)


def test_a_head_learns_where_things_are() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens, place = torch.randn(1, 9, 16, generator=generator), boxes([0.3, 0.2, 0.8, 0.7], [0.0, 0.0, 0.2, 0.3])
    head = BoxHead(16)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(200):
        optimizer.zero_grad()
        loss = box_losses(head(tokens, GRID), place, GRID).sum()
        loss.backward()
        optimizer.step()
    assert head(tokens, GRID).shape == (1, 1, 8, 3, 5)
    assert loss.item() < 0.02

"""Where hands and the object they work on are: a head on the low-rate stream's tokens, and its loss.

Captions say in words what hands do, and the same words hold wherever in the image it is
done. A detector's boxes say where, to a fraction of a patch; tokens that have to tell them
keep it. Each token answers for its own cell, as in FCOS (Tian et al. 2019): is this the
cell of a thing, and how far from its centre are the sides of the thing's box?
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egorobot.pretrain.model.patches import Grid

THINGS = 3  # left hand, right hand, object
OBJECT = 2
PRESENT_WEIGHT = 4.0  # of cells with a thing, which are few


class BoxHead(nn.Module):
    """Tells from tokens of `width` channels where the things are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, THINGS * 5)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return what each cell says of each thing, (B, T, h*w, THINGS, 5).

        Args:
            tokens: (B, 1 + T*h*w, C), the class token first.
            grid: (T, h, w).

        Returns:
            The logit of its presence, then left, top, right and bottom of its box from the
            cell's centre, in cells.
        """
        said: Tensor = self.linear(tokens[:, 1:])
        return said.unflatten(1, (grid[0], -1)).unflatten(3, (THINGS, 5))


def box_losses(said: Tensor, boxes: Tensor, grid: Grid) -> Tensor:
    """Return the loss of each clip, (B,): presence in its cells, and sides where a thing is.

    A clip without any box is one that nobody looked at: its loss is zero. In one without any
    box of an object, nobody looked for objects: hands alone count.

    Args:
        said: as from `BoxHead`.
        boxes: left, top, right, bottom in the image, in [0, 1], (B, T, THINGS, 4); NaN where
            a thing is not in view.
        grid: (T, h, w).
    """
    _, height, width = grid
    said = said.to(torch.promote_types(said.dtype, torch.float32))
    boxes = boxes[:, :, None].to(said.dtype) * said.new_tensor([width, height, width, height])
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    centres = torch.stack([columns, rows], dim=2).to(said).view(1, 1, -1, 1, 2) + 0.5
    inside = ((boxes[..., :2] <= centres) & (centres <= boxes[..., 2:])).all(dim=4)
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2  # a thing smaller than a cell has this one
    present = inside | ((middles - centres).abs() <= 0.5).all(dim=4)  # (B, T, h*w, THINGS)
    sides = torch.where(present[..., None], boxes - centres.repeat(1, 1, 1, 1, 2), 0.0)
    weight = said.new_tensor(PRESENT_WEIGHT)
    presence = F.binary_cross_entropy_with_logits(
        said[..., 0], present.to(said.dtype), reduction="none", pos_weight=weight
    )
    off = F.smooth_l1_loss(said[..., 1:], sides, reduction="none").mean(dim=4) * present
    counts = present.sum(dim=(1, 2))  # (B, THINGS)
    looked_for = torch.ones_like(counts, dtype=torch.bool)
    looked_for[:, OBJECT] = counts[:, OBJECT] > 0
    presence = (presence.mean(dim=(1, 2)) * looked_for).sum(dim=1) / looked_for.sum(dim=1)
    counts = counts.sum(dim=1)
    return presence * (counts > 0) + off.sum(dim=(1, 2, 3)) / counts.clamp(min=1)

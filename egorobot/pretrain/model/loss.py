"""The contrastive loss between clips and captions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_loss(
    video: Tensor,
    text: Tensor,
    scale: Tensor,
    captions: Sequence[str],
    groups: Tensor | None = None,
    group_weight: float = 0.0,
) -> Tensor:
    """Return the symmetric InfoNCE loss of a batch, a scalar.

    Clips with the very same caption are not each other's negatives: narrations repeat,
    and nothing could tell such a pair apart. Clips of a group, which differ in one thing,
    are each other's hardest negatives, and in a large batch but a few among many: the
    same loss with these negatives alone can be added.

    Args:
        video: L2-normalised, (B, D).
        text: L2-normalised, (B, D); row i describes video i.
        scale: inverse temperature, one number.
        captions: the B captions.
        groups: int64 (B,), a number for each group; None is none.
        group_weight: of the loss inside groups.
    """
    with torch.autocast(video.device.type, enabled=False):  # logits reach 100: too much for half precision
        logits = scale * video @ text.T  # (B, B)
    number = {caption: i for i, caption in enumerate(captions)}
    labels = torch.tensor([number[caption] for caption in captions], device=video.device)
    same = (labels[:, None] == labels[None]).fill_diagonal_(False)
    logits = logits.masked_fill(same, float("-inf"))
    loss = _cross_entropy(logits).mean()
    if groups is None or not group_weight:
        return loss
    together = groups[:, None] == groups[None]
    contrasted = (together & ~same).sum(dim=1) > 1  # the others have no negative in their group
    inside = _cross_entropy(logits.masked_fill(~together, float("-inf")))
    return loss + group_weight * (inside * contrasted).sum() / contrasted.sum().clamp(min=1)


def _cross_entropy(logits: Tensor) -> Tensor:
    """Return the loss of each pair, (B,), both ways; `logits` are (B, B)."""
    target = torch.arange(len(logits), device=logits.device)
    ways = (F.cross_entropy(way, target, reduction="none") for way in (logits, logits.T))
    return sum(ways, torch.zeros_like(logits[0])) / 2

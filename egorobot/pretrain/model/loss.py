"""The contrastive loss between clips and captions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_loss(video: Tensor, text: Tensor, scale: Tensor, captions: Sequence[str]) -> Tensor:
    """Return the symmetric InfoNCE loss of a batch, a scalar.

    Clips with the very same caption are not each other's negatives: narrations repeat,
    and nothing could tell such a pair apart.

    Args:
        video: L2-normalised, (B, D).
        text: L2-normalised, (B, D); row i describes video i.
        scale: inverse temperature, scalar.
        captions: the B captions.
    """
    number = {caption: i for i, caption in enumerate(captions)}
    labels = torch.tensor([number[caption] for caption in captions], device=video.device)
    same = (labels[:, None] == labels[None]).fill_diagonal_(False)
    logits = (scale * video @ text.T).masked_fill(same, float("-inf"))  # (B, B)
    target = torch.arange(len(captions), device=video.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2

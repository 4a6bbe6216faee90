"""AdamW as pre-training uses it: what decays, and the learning rate of each step."""

import math

from torch import nn
from torch.optim import AdamW, Optimizer

from egorobot.pretrain.options import PretrainOptions

BETAS = (0.9, 0.999)  # EgoVideo


def make_optimizer(model: nn.Module, options: PretrainOptions) -> Optimizer:
    """Return the optimiser of those parameters of `model` that are trained.

    Matrices have weight decay; norms, biases, scales and embeddings have none.
    """
    decay: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            embedding = name.endswith(("spatial", "temporal", "embedding", "embedding.weight"))
            (plain if parameter.ndim < 2 or embedding else decay).append(parameter)
    groups = [{"params": decay, "weight_decay": options.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    return AdamW(groups, lr=options.learning_rate, betas=BETAS)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Make all groups of `optimizer` learn at `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def learning_rate(options: PretrainOptions, step: int) -> float:
    """Return the learning rate of `step`: a linear rise, then half a cosine down to zero."""
    rise = max(1, round(options.warmup * options.steps))
    if step < rise:
        return options.learning_rate * (step + 1) / rise
    share = (step - rise) / max(1, options.steps - rise)
    return options.learning_rate * (1 + math.cos(math.pi * share)) / 2

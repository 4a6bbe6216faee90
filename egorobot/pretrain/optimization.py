"""AdamW as pre-training uses it: what decays, and the learning rate of each step.

A text tower with drawn weights learns slowly beside the rest. Two captions that differ in one
word, of clips that the video stream cannot tell apart yet, are a loss as long as their vectors
differ, so a tower that learns as fast first forgets such words, and then there is nothing left
for the video stream to learn: measured on simulated hands, the words left and right were gone
after 400 steps (from 99 % to 70 % by a linear classifier on captions' vectors), and clips of the
two hands were told apart by chance. A tower that has learnt alone before (see
`egorobot.pretrain.wordings`) remembers them, and the faster of three slow ones did best: at 0,
0.01 and 0.1 of the rate the right one of five captions was found for 65, 70 and 80 % of the
clips after 200 steps, the hand in 87, 84 and 86 % of pairs. Locked towers are known from LiT (Zhai
et al. 2022). One with trained weights tells words apart, and learns with the rest.
"""

import math
from collections import defaultdict

from torch import nn
from torch.optim import AdamW, Optimizer

from egorobot.pretrain.options import PretrainOptions

BETAS = (0.9, 0.999)  # EgoVideo
DRAWN_TEXT_RATE = 0.2  # of the rest's learning rate


def make_optimizer(model: nn.Module, options: PretrainOptions) -> Optimizer:
    """Return the optimiser of those parameters of `model` that are trained.

    Matrices have weight decay; norms, biases, scales and embeddings have none.
    """
    rates = {False: 1.0, True: text_rate(options)}
    groups: defaultdict[tuple[bool, bool], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            embedding = name.endswith(("spatial", "temporal", "embedding", "embedding.weight"))
            decays = parameter.ndim >= 2 and not embedding
            groups[decays, name.removeprefix("module.").startswith("text.")].append(parameter)
    return AdamW(
        [
            {"params": parameters, "weight_decay": options.weight_decay * decays, "relative_rate": rates[text]}
            for (decays, text), parameters in groups.items()
        ],
        lr=options.learning_rate,
        betas=BETAS,
        fused=True,
    )


def text_rate(options: PretrainOptions) -> float:
    """Return the learning rate of the text tower, relative to that of the rest."""
    if options.text_rate is not None:
        return options.text_rate
    return DRAWN_TEXT_RATE if options.init is None else 1.0


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    """Make the groups of `optimizer` learn at `rate`, each at its part of it."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["relative_rate"]


def learning_rate(options: PretrainOptions, step: int) -> float:
    """Return the learning rate of `step`: a linear rise, then half a cosine down to zero."""
    rise = max(1, round(options.warmup * options.steps))
    if step < rise:
        return options.learning_rate * (step + 1) / rise
    share = (step - rise) / max(1, options.steps - rise)
    return options.learning_rate * (1 + math.cos(math.pi * share)) / 2

"""What a text tower with drawn weights learns before clips have a say: which captions say the same.

To a drawn tower captions that differ in one word are nearly the same: on simulated hands the
cosine of those of a left and of a right hand is 0.97 on average. The video stream then hardly
feels which of the two it should be near, and a tower that learns beside it forgets the word
before that has been found out. So the tower begins alone, with the loss of training between
two captions of each clip: those of one clip come together, those of other clips, the members
of its group above all, apart. Measured there after 300 steps of 64 clips: captions of one clip
0.99, of two hands 0.3. After 100, the loss of training fell to 8.0 instead of 8.7 by its step 200.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from egorobot.pretrain.batches import TrainingBatches
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.egovideo import TEMPERATURE
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.optimization import learning_rate, make_optimizer, set_learning_rate
from egorobot.pretrain.options import PretrainOptions
from egorobot.pretrain.parallel import clip_gradients
from egorobot.pretrain.precision import PRECISIONS
from egorobot.pretrain.samples import BadClip, ClipWords
from egorobot.pretrain.trainer import MAX_NORM

DRAWN_TEXT_SHARE = 0.1  # of the steps of training
MAX_CLIPS = 64  # of a step: captions are short, but all are in memory at once
HIGHEST_RATE = 1e-3
RISE = 0.3  # share of the steps in which the learning rate rises


class Wordings(NamedTuple):
    """Two captions of each of B clips, and a number for each clip's group, int64 (B,)."""

    first: list[str]
    second: list[str]
    groups: Tensor


def text_steps(options: PretrainOptions) -> int:
    """Return how many steps the text tower learns alone."""
    share = options.text_share
    if share is None:
        share = DRAWN_TEXT_SHARE if options.init is None else 0.0
    return round(share * options.steps)


def draw_wordings(batches: TrainingBatches, step: int) -> Wordings:
    """Return two captions of each clip of `step`: clips in the order of training, fewer at a time.

    Clips of a group have captions of the same kinds. Clips that cannot be read are left out.
    """
    slot = batches.mixture.slot_size
    size = min(batches.batch_size, max(1, MAX_CLIPS // slot) * slot)
    first, second, groups = [], [], []
    for place, (number, clip) in enumerate(batches.mixture.clips(step * size, (step + 1) * size)):
        corpus, hod_ratio = batches.corpora[number].corpus, batches.corpora[number].augmentation.hod_ratio
        group = place - place % corpus.group_size
        try:
            words = corpus.words(clip)
        except BadClip:
            continue
        pair = _draw_pair(words, hod_ratio, np.random.default_rng([batches.seed, 3, step, group]))
        first.append(pair[0])
        second.append(pair[1])
        groups.append(group)
    return Wordings(first, second, torch.tensor(groups))


def _draw_pair(words: ClipWords, hod_ratio: float, rng: np.random.Generator) -> tuple[str, str]:
    """Return two captions of a clip, of hand-object dynamics where it has two; the only one twice.

    Those that training never shows (`hod_ratio` 0) are left out.
    """
    hod = words.hod if hod_ratio > 0 or not words.narrations else []
    pool = hod if len(hod) > 1 else [*words.narrations, *hod]
    i, j = rng.choice(len(pool), 2, replace=False) if len(pool) > 1 else (0, 0)
    return pool[i], pool[j]


def learn_wordings(model: EgoVideo, batches: TrainingBatches, options: PretrainOptions, ranks: Ranks) -> None:
    """Train the text tower of `model` on captions alone, for as many steps as `options` say.

    The first process does it, and gives the weights to the others. Nothing is done where no
    clip has two captions.

    Args:
        model: in float32 on the CPU; afterwards in the training's precision, on its device.
        batches: the clips.
        options: of training.
        ranks: the processes that train together, each of which calls this.
    """
    steps = text_steps(options)
    model.to(ranks.device, PRECISIONS[options.precision][0])
    if not steps:
        return

    def learn() -> dict[str, Tensor]:
        _learn(model, batches, replace(options, steps=steps, learning_rate=HIGHEST_RATE, warmup=RISE))
        return {name: tensor.cpu() for name, tensor in model.text.state_dict().items()}

    model.text.load_state_dict(ranks.from_first(learn))


def _learn(model: EgoVideo, batches: TrainingBatches, options: PretrainOptions) -> None:
    optimizer = make_optimizer(model.text, options)
    scale = torch.tensor(1 / TEMPERATURE, device=model.log_scale.device)
    with tqdm(total=options.steps, desc="text tower", unit="step", dynamic_ncols=True) as bar:
        for step in range(options.steps):
            bar.update()
            words = draw_wordings(batches, step)
            if words.first == words.second:
                continue  # no clip here has two captions
            set_learning_rate(optimizer, learning_rate(options, step))
            vectors = model.encode_text(words.first + words.second)
            first, second = vectors.chunk(2)
            groups = words.groups.to(vectors.device)
            loss = contrastive_loss(first, second, scale, words.second, groups, options.group_weight)
            optimizer.zero_grad()
            loss.backward()
            clip_gradients(model.text.parameters(), MAX_NORM)
            optimizer.step()
            bar.set_postfix_str(f"loss {loss.item():.3f}")
    model.zero_grad()

"""Which clips and captions a training step sees: a pure function of seed and step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from egorobot.pretrain.augment import jitter_colours, mirror
from egorobot.pretrain.corpus import ClipSample, SimulatedHands


@dataclass(frozen=True)
class Augmentation:
    """What is changed in a clip.

    Attributes:
        flip: share of clips that are mirrored, captions with them, in [0, 1]. A mirrored
            kitchen tells left from right in one still frame, so it is 0 for simulated hands.
        colour: largest relative change of brightness and contrast, in [0, 1].
    """

    flip: float = 0.0
    colour: float = 0.15


@dataclass(frozen=True)
class Batch:
    """Clips and one caption of each.

    Attributes:
        frames_slow: uint8, (B, T, H, W, 3).
        frames_fast: uint8, (B, lambda*T, H, W, 3).
        captions: B captions.
    """

    frames_slow: Tensor
    frames_fast: Tensor
    captions: list[str]


def batch_numbers(clips: Sequence[int], batch_size: int, seed: int, step: int) -> list[int]:
    """Return the clips of step `step`. Every epoch is another order of all `clips`; batches run on across epochs."""
    numbers: list[int] = []
    for position in range(step * batch_size, (step + 1) * batch_size):
        epoch, place = divmod(position, len(clips))
        if not numbers or place == 0:
            order = np.random.default_rng([seed, 0, epoch]).permutation(len(clips))
        numbers.append(clips[order[place]])
    return numbers


def training_batch(
    corpus: SimulatedHands, clips: Sequence[int], batch_size: int, seed: int, step: int, augmentation: Augmentation
) -> Batch:
    """Return the batch of step `step`, augmented, one caption drawn for each clip."""
    rng = np.random.default_rng([seed, 1, step])
    samples, captions = [], []
    for number in batch_numbers(clips, batch_size, seed, step):
        sample = corpus[number]
        frames, caption = sample.frames_fast, sample.captions[int(rng.integers(len(sample.captions)))]
        if augmentation.flip and rng.random() < augmentation.flip:
            frames, caption = mirror(frames, caption)
        if augmentation.colour:
            frames = jitter_colours(frames, rng, augmentation.colour)
        samples.append(ClipSample(frames[corpus.slow], frames, sample.captions, sample.clip_id))
        captions.append(caption)
    return stack(samples, captions)


def stack(samples: Sequence[ClipSample], captions: list[str]) -> Batch:
    """Return `samples` as one batch with `captions`."""
    slow = np.stack([sample.frames_slow for sample in samples])
    fast = np.stack([sample.frames_fast for sample in samples])
    return Batch(torch.from_numpy(slow), torch.from_numpy(fast), captions)

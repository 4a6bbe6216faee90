"""How well held-out clips and captions find each other."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from egorobot.pretrain.batches import stack
from egorobot.pretrain.corpus import SimulatedHands
from egorobot.pretrain.model import EgoVideo

CHOICES = 5  # of the multiple-choice test, as in EgoMCQ
BATCH = 32


@dataclass(frozen=True)
class Retrieval:
    """Scores on held-out clips, in [0, 1].

    Attributes:
        clips: how many.
        video_to_text: share of clips whose own caption is the nearest of all.
        text_to_video: share of captions whose own clip is the nearest of all.
        narration: share of clips whose narration is nearest among the different ones.
        narrations: how many different narrations there are.
        five_way: share of clips whose caption is chosen out of five drawn ones.
    """

    clips: int
    video_to_text: float
    text_to_video: float
    narration: float
    narrations: int
    five_way: float

    def summary(self) -> str:
        """Return the scores in one line, chance beside each."""
        chance = 100 / self.clips
        return (
            f"held out, {self.clips} clips: R@1 video to caption {100 * self.video_to_text:.1f} %, "
            f"caption to video {100 * self.text_to_video:.1f} % (chance {chance:.1f}); "
            f"narration {100 * self.narration:.1f} % of {self.narrations}; "
            f"one of five {100 * self.five_way:.1f} % (chance 20)"
        )

    def to_dict(self) -> dict[str, float]:
        """Return the scores by name."""
        return asdict(self)


@torch.inference_mode()
def evaluate_retrieval(model: EgoVideo, corpus: SimulatedHands, clips: Sequence[int], seed: int = 0) -> Retrieval:
    """Return how well `model` matches held-out `clips` of `corpus` with their captions.

    The caption of a clip is its longest; those that are equal to another's count as found
    with either.
    """
    video, longest, narrations = [], [], []
    for start in range(0, len(clips), BATCH):
        samples = [corpus[number] for number in clips[start : start + BATCH]]
        batch = stack(samples, [sample.captions[-1] for sample in samples])
        video.append(model.encode_video(batch.frames_slow, batch.frames_fast))
        longest += batch.captions
        narrations += [sample.captions[0] for sample in samples]
    videos, texts = torch.cat(video), _encode(model, longest)
    scores = videos @ texts.T  # (N, N), clips by captions
    different = sorted(set(narrations))
    guesses = (videos @ _encode(model, different).T).argmax(dim=1)
    found = [longest[int(j)] == longest[i] for i, j in enumerate(scores.argmax(dim=1))]
    back = [longest[int(i)] == longest[j] for j, i in enumerate(scores.argmax(dim=0))]
    return Retrieval(
        clips=len(clips),
        video_to_text=float(np.mean(found)),
        text_to_video=float(np.mean(back)),
        narration=float(np.mean([different[int(g)] == n for g, n in zip(guesses, narrations, strict=True)])),
        narrations=len(different),
        five_way=_five_way(scores, longest, np.random.default_rng(seed)),
    )


def _five_way(scores: Tensor, captions: list[str], rng: np.random.Generator) -> float:
    """Return the share of clips that score their own caption above four others, drawn from different ones."""
    hits = []
    for i in range(len(captions)):
        others = [j for j in range(len(captions)) if captions[j] != captions[i]]
        drawn = rng.choice(others, min(CHOICES - 1, len(others)), replace=False)
        hits.append(bool((scores[i, i] > scores[i, drawn]).all()))
    return float(np.mean(hits))


def _encode(model: EgoVideo, captions: list[str]) -> Tensor:
    return torch.cat([model.encode_text(captions[i : i + BATCH]) for i in range(0, len(captions), BATCH)])

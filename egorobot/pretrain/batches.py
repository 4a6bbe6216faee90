"""What a training step sees: a pure function of seed, step and place in the batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import default_collate

from egorobot.errors import UserError
from egorobot.pretrain.augment import Augmentation, Seen, augment
from egorobot.pretrain.mixture import MixedClips, Mixture
from egorobot.pretrain.model.boxes import THINGS
from egorobot.pretrain.samples import BadClip, ClipSample, Corpus, FittedClip, Fitting

MAX_BAD = 100  # clips in a row that cannot be read, before training stops: not even with max_bad_share=0.8 by chance


@dataclass(frozen=True)
class BadRecord:
    """A clip that could not be read.

    Attributes:
        clip_id: its name.
        reason: why, in one line.
    """

    clip_id: str
    reason: str


Memory = tuple[Tensor, Tensor | None]  # of a batch's frames: of the high-rate stream, and of the low-rate one apart


@dataclass(frozen=True)
class Batch:
    """Clips and one caption of each.

    Attributes:
        frames_fast: of the high-rate stream, uint8, (B, lambda*T, h, w, 3).
        fast_ratio: lambda.
        captions: B captions.
        clip_ids: names of the B clips.
        groups: int64 (B,), the same number for clips of the same group.
        boxes: of the left hand, the right hand and the object in every frame, float32
            (B, lambda*T, 3, 4): left, top, right, bottom in [0, 1]; NaN where one is not in
            view or not known.
        slow_apart: frames of the low-rate stream, uint8, (B, T, H, W, 3), where they have
            another size.
        bad: clips that could not be read, and others were taken in place of.
    """

    frames_fast: Tensor
    fast_ratio: int
    captions: list[str]
    clip_ids: list[str]
    groups: Tensor
    boxes: Tensor
    slow_apart: Tensor | None = None
    bad: list[BadRecord] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.captions)

    @property
    def frames_slow(self) -> Tensor:
        """Frames of the low-rate stream, uint8, (B, T, H, W, 3): every lambda-th, the last among them."""
        if self.slow_apart is not None:
            return self.slow_apart
        return self.frames_fast[:, self.fast_ratio - 1 :: self.fast_ratio]

    @property
    def memory(self) -> Memory:
        """What its frames lie in."""
        return self.frames_fast, self.slow_apart

    @property
    def boxes_slow(self) -> Tensor:
        """Boxes in the low-rate stream's frames, (B, T, 3, 4)."""
        return self.boxes[:, self.fast_ratio - 1 :: self.fast_ratio]

    def to(self, device: torch.device) -> "Batch":
        """Return the batch with its frames and boxes on `device`."""
        slow = None if self.slow_apart is None else self.slow_apart.to(device)
        fast, boxes = self.frames_fast.to(device), self.boxes.to(device)
        return replace(self, frames_fast=fast, slow_apart=slow, boxes=boxes)

    def split(self, size: int) -> Iterator["Batch"]:
        """Yield the batch in parts of `size` clips, the last perhaps smaller; none has `bad`."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield Batch(
                self.frames_fast[part],
                self.fast_ratio,
                self.captions[part],
                self.clip_ids[part],
                self.groups[part],
                self.boxes[part],
                None if self.slow_apart is None else self.slow_apart[part],
            )


def stack(clips: Sequence[Seen], groups: Sequence[int], out: Memory | None = None) -> Batch:
    """Return `clips`, whose frames have one size, as a batch with numbers of `groups`; frames in `out`, if given."""
    samples = [clip.sample for clip in clips]
    fast_out, slow_out = (None, None) if out is None else out
    fast = _stacked([sample.frames_fast for sample in samples], fast_out)
    apart = [clip.slow for clip in clips if clip.slow is not None]
    slow = _stacked(apart, slow_out) if apart else None
    boxes = torch.from_numpy(np.stack([_boxes(sample) for sample in samples]))
    captions, clip_ids = [clip.caption for clip in clips], [sample.clip_id for sample in samples]
    return Batch(fast, samples[0].fast_ratio, captions, clip_ids, torch.tensor(groups), boxes, slow)


def _stacked(arrays: Sequence[NDArray[np.uint8]], out: Tensor | None) -> Tensor:
    tensors = [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]
    if out is not None:
        return torch.stack(tensors, out=out)
    # In a process of a DataLoader this stacks them where the one that trains will see them, with no other copy.
    stacked: Tensor = default_collate(tensors)
    return stacked


def _boxes(sample: ClipSample) -> NDArray[np.float32]:
    if sample.tracks is None:
        return np.full((len(sample.frames_fast), THINGS, 4), np.nan, np.float32)
    return np.concatenate([sample.tracks.hands, sample.tracks.object[:, None]], axis=1)


@dataclass(frozen=True)
class TrainingCorpus:
    """A corpus as training uses it.

    Attributes:
        corpus: the clips.
        clips: numbers of those to train on, in whole groups.
        weight: how often they are seen, relative to other corpora's weights.
        augmentation: what is changed in them.
        keep_fitted: whether clips are kept in the model's sizes, by a corpus that does so.
    """

    corpus: Corpus
    clips: Sequence[int]
    weight: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)
    keep_fitted: bool = True


class TrainingBatches:
    """Batches by step, augmented; of several processes each makes its own share of them.

    A clip's crop and colours are drawn from a generator of seed, step and its place in the
    whole batch, so that they do not depend on the number of processes. The clips of a group
    have captions of the same kind: with others, the kind would tell them apart.

    Args:
        corpora: what is mixed.
        batch_size: clips of all processes together.
        sizes: sides of the low-rate and of the high-rate stream's frames, in pixels.
        seed: of order and augmentation.
        rank: which process this is.
        num_ranks: how many there are.

    Raises:
        UserError: the batch cannot be shared out, or an epoch has fewer clips than it takes, or no whole groups.
    """

    def __init__(
        self,
        corpora: Sequence[TrainingCorpus],
        batch_size: int,
        sizes: tuple[int, int],
        seed: int,
        rank: int = 0,
        num_ranks: int = 1,
    ) -> None:
        if batch_size % num_ranks:
            raise UserError(f"batch_size={batch_size} cannot be shared by {num_ranks} processes: choose a multiple")
        parts = [MixedClips(c.corpus.name, c.clips, c.corpus.group_size, c.weight) for c in corpora]
        self.corpora = list(corpora)
        self.mixture = Mixture(parts, seed)
        self.mixture.check_batch(batch_size)
        self.batch_size = batch_size
        self.sizes = sizes
        self.seed = seed
        share = batch_size // num_ranks
        self.places = range(rank * share, (rank + 1) * share)

    def __getitem__(self, step: int) -> Batch:
        """Return what `make` does, in memory of its own."""
        return self.make(step)

    def make(self, step: int, out: Memory | None = None) -> Batch:
        """Return this process's share of the batch of `step`, its frames in `out` if that is given.

        Raises:
            UserError: too many clips in a row could not be read.
        """
        start = step * self.batch_size
        seen, groups, bad = [], [], []
        clips = self.mixture.clips(start + self.places.start, start + self.places.stop)
        for place, (corpus, number) in zip(self.places, clips, strict=True):
            rng = np.random.default_rng([self.seed, 1, step, place])
            clip, skipped = self._read(self.corpora[corpus], number, rng)
            group = place - place % self.corpora[corpus].corpus.group_size
            caption_rng = np.random.default_rng([self.seed, 2, step, group])
            seen.append(augment(clip, self.corpora[corpus].augmentation, self.sizes, rng, caption_rng))
            groups.append(start + group)
            bad += skipped
        return replace(stack(seen, groups, out), bad=bad)

    def _read(
        self, source: TrainingCorpus, number: int, rng: np.random.Generator
    ) -> tuple[ClipSample | FittedClip, list[BadRecord]]:
        """Return clip `number`, or another one drawn for it, and those that could not be read."""
        bad: list[BadRecord] = []
        while len(bad) < MAX_BAD:
            try:
                return self._fitted(source, number) or source.corpus[number], bad
            except BadClip as error:
                bad.append(BadRecord(source.corpus.clip_id(number), str(error)))
                number = source.clips[int(rng.integers(len(source.clips)))]
        raise UserError(
            f"{MAX_BAD} clips of corpus {source.corpus.name} in a row cannot be read "
            f"(the last: {bad[-1].clip_id}, {bad[-1].reason}): check where its files are"
        )

    def _fitted(self, source: TrainingCorpus, number: int) -> FittedClip | None:
        """Return clip `number` in the right sizes where its corpus keeps it so, and nothing but its colours changes."""
        if source.keep_fitted and not source.augmentation.moves_pixels and isinstance(source.corpus, Fitting):
            return source.corpus.fitted(number, self.sizes)
        return None

"""Which training samples make up a batch: a pure function of the seed and the step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class BatchOrder:
    """Batches of a training run: one random permutation of the samples after another.

    Args:
        num_samples: samples to choose from.
        batch_size: samples in a batch; batches may span two permutations.
        seed: of the permutations.

    >>> order = BatchOrder(num_samples=5, batch_size=4, seed=0)
    >>> sorted(int(i) for i in np.concatenate([order.batch(step) for step in range(5)]))
    [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4]
    """

    def __init__(self, num_samples: int, batch_size: int, seed: int) -> None:
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.seed = seed
        self._kept: dict[int, NDArray[np.int64]] = {}

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch not in self._kept:
            self._kept = {e: p for e, p in self._kept.items() if e == epoch - 1}
            self._kept[epoch] = np.random.default_rng((self.seed, epoch)).permutation(self.num_samples)
        return self._kept[epoch]

    def batch(self, step: int) -> NDArray[np.int64]:
        """Return the samples (batch_size,) of the batch at `step`, from 0."""
        position, end = step * self.batch_size, (step + 1) * self.batch_size
        parts = []
        while position < end:
            epoch, start = divmod(position, self.num_samples)
            stop = min(self.num_samples, start + end - position)
            parts.append(self._permutation(epoch)[start:stop])
            position += stop - start
        return np.concatenate(parts)


def windows(lengths: Sequence[int], frame_stack: int, seq_length: int) -> NDArray[np.int64]:
    """Return the rows of each training sample, with robomimic's padding.

    A sample at step i holds the steps i - frame_stack + 1 to i + seq_length - 1 of its
    demonstration; before its beginning the first step is repeated, after its end the last
    (robomimic's `SequenceDataset` with `pad_frame_stack` and `pad_seq_length`).

    Args:
        lengths: steps of each demonstration; their rows stand one after another.
        frame_stack: steps up to the current one.
        seq_length: steps from the current one on.

    Returns:
        (sum of lengths, frame_stack - 1 + seq_length) rows.

    >>> windows([3, 2], frame_stack=2, seq_length=1)
    array([[0, 0],
           [0, 1],
           [1, 2],
           [3, 3],
           [3, 4]])
    """
    offsets = np.arange(1 - frame_stack, seq_length)
    starts = np.cumsum([0, *lengths[:-1]])
    return np.concatenate(
        [
            start + np.clip(np.arange(length)[:, None] + offsets, 0, length - 1)
            for start, length in zip(starts, lengths, strict=True)
        ]
    )

"""Demonstrations as tensors in memory, images as their embeddings or as a file of frames."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from egorobot.envs.demonstrations import DemoInfo, iterate_demos, read_demo
from egorobot.envs.history import history_indices
from egorobot.files import atomic_path, digest
from egorobot.policies.core import to_embedding_axes
from egorobot.policies.embedding import EmbeddingCache
from egorobot.policies.encoder import Encoder
from egorobot.policies.observations import ObservationSpec

Rows = NDArray[np.int64]


@dataclass
class TrainingData:
    """The transitions of several demonstrations, one after another.

    Attributes:
        lengths: steps of each demonstration.
        actions: (N, A) float32, N the sum of `lengths`.
        tensors: low-dimensional observations and embeddings, (N, ...) float32 by key.
        frames: images by key, where the policy is trained on pixels.
    """

    lengths: tuple[int, ...]
    actions: torch.Tensor
    tensors: dict[str, torch.Tensor]
    frames: "dict[str, FrameFile]"

    def observations(self, rows: Rows) -> dict[str, torch.Tensor]:
        """Return the observations of `rows` (...), shaped (..., observation) by key."""
        index = torch.from_numpy(rows)
        result = {key: tensor[index] for key, tensor in self.tensors.items()}
        return result | {key: torch.from_numpy(file.read(rows)) for key, file in self.frames.items()}


class FrameFile:
    """One camera's frames of a dataset, uncompressed in one file, read row by row.

    Memory stays the same however many frames there are.

    Args:
        path: raw uint8 frames, one after another.
        shape: of one frame, (H, W, 3).
        history: for each row, the rows of the frames that its observation shows, (N, T);
            None where observations are single frames.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], history: Rows | None = None) -> None:
        self.shape = shape
        self.history = history
        self._size = int(np.prod(shape))
        self._file = path.open("rb")

    def read(self, rows: Rows) -> NDArray[np.uint8]:
        """Return the images of `rows` (...): (..., H, W, 3), or (..., T, H, W, 3) with history."""
        rows = rows if self.history is None else self.history[rows]
        frames = np.empty((rows.size, *self.shape), np.uint8)
        for i, row in enumerate(rows.reshape(-1)):
            os.preadv(self._file.fileno(), [frames[i].data], int(row) * self._size)
        return frames.reshape(*rows.shape, *self.shape)


def load_training_data(
    info: DemoInfo,
    num_demos: int,
    spec: ObservationSpec,
    encoder: Encoder | None,
    cache_dir: str | Path,
    cached: bool,
    progress: bool = True,
) -> TrainingData:
    """Return what a policy is trained on: the first `num_demos` demonstrations of a file.

    Args:
        info: of the file.
        num_demos: demonstrations used.
        spec: what the policy observes.
        encoder: what sees the images; None where the policy learns to see by itself.
        cache_dir: where embeddings, or raw frames, are kept.
        cached: whether images become embeddings.
        progress: whether to show progress bars.
    """
    lengths = info.lengths[:num_demos]
    demos = list(iterate_demos(info, num_demos, list(spec.vectors)))
    tensors = {
        key: torch.from_numpy(np.concatenate([d.observations[key] for d in demos])).float() for key in spec.vectors
    }
    actions = torch.from_numpy(np.concatenate([d.actions for d in demos])).float()
    frames: dict[str, FrameFile] = {}
    for key, shape in spec.images.items():
        if cached and encoder is not None:
            embeddings = np.concatenate(embed_demonstrations(info, num_demos, key, encoder, cache_dir, progress))
            tensors[key] = torch.from_numpy(to_embedding_axes(embeddings, len(shape)))
        else:
            frames[key] = _frame_file(info, num_demos, key, encoder, cache_dir)
    return TrainingData(lengths, actions, tensors, frames)


def embed_demonstrations(
    info: DemoInfo, num_demos: int, image_key: str, encoder: Encoder, cache_dir: str | Path, progress: bool = True
) -> list[NDArray[np.float32]]:
    """Return the embeddings (L, D) of the first `num_demos` demonstrations, from the cache if they are there."""
    cache = EmbeddingCache(cache_dir, encoder)
    return cache.embed(
        info.digests[:num_demos],
        info.lengths[:num_demos],
        image_key,
        lambda index: read_demo(info, index, [image_key]).observations[image_key],
        progress,
    )


def _frame_file(info: DemoInfo, num_demos: int, key: str, encoder: Encoder | None, cache_dir: str | Path) -> FrameFile:
    path = Path(cache_dir) / "frames" / f"{digest(info.fingerprint(num_demos), key)}.raw"
    shape = read_demo(info, 0, [key]).observations[key].shape[1:]
    if not path.exists():
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            for demo in iterate_demos(info, num_demos, [key]):
                file.write(demo.observations[key].tobytes())
    if encoder is None or encoder.num_frames == 1:
        return FrameFile(path, shape)
    starts = np.cumsum([0, *info.lengths[: num_demos - 1]])
    history = [
        start + history_indices(step, encoder.num_frames, encoder.frame_rate)
        for start, length in zip(starts, info.lengths[:num_demos], strict=True)
        for step in range(length)
    ]
    return FrameFile(path, shape, np.stack(history))

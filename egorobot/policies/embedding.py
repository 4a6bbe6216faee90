"""Embeddings of frames, in batches of one size, and of demonstrations, kept on disk.

A matrix product may round differently when its batch is of another size. So frames are
embedded in batches of `EMBED_BATCH` rows always, the last one filled up: then a row's
embedding is the same to the last bit whatever stands beside it, in training and in a
rollout, with one environment or fifty.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.envs.history import history_indices
from egorobot.files import atomic_path, digest
from egorobot.policies.encoder import Encoder

# Throughput is flat from 8 rows on (CPU), and rollouts have few rows a step.
EMBED_BATCH = 8

CACHE_FORMAT = "1"  # part of every key: a change of what is stored makes old files unseen

Frames = NDArray[np.uint8]


def embed_padded(encoder: Encoder, frames: Frames) -> NDArray[np.float32]:
    """Return embeddings (N, D) of frames (N, T, H, W, 3), in batches of `EMBED_BATCH`."""
    result = np.empty((len(frames), encoder.dim), np.float32)
    for start in range(0, len(frames), EMBED_BATCH):
        batch = frames[start : start + EMBED_BATCH]
        rows = len(batch)
        if rows < EMBED_BATCH:
            batch = np.concatenate([batch, np.repeat(batch[-1:], EMBED_BATCH - rows, axis=0)])
        result[start : start + rows] = encoder.embed(batch)[:rows]
    return result


def embed_episode(encoder: Encoder, frames: Frames) -> NDArray[np.float32]:
    """Return the embedding at every step of an episode, (L, D), each of that step's history.

    Args:
        encoder: what sees.
        frames: one camera's frames, (L, H, W, 3), at the control rate.
    """
    chunks = []
    for start in range(0, len(frames), EMBED_BATCH):
        steps = range(start, min(start + EMBED_BATCH, len(frames)))
        indices = [history_indices(step, encoder.num_frames, encoder.frame_rate) for step in steps]
        chunks.append(embed_padded(encoder, frames[np.stack(indices)]))
    return np.concatenate(chunks)


class EmbeddingCache:
    """Embeddings of demonstrations on disk, one small file for each and camera.

    A key is made of the encoder's fingerprint, the history it sees and the demonstration's
    own fingerprint. So a dataset that grows is embedded only where it is new, and a killed
    process loses at most one demonstration.

    Args:
        folder: made if need be.
        encoder: what sees.
    """

    def __init__(self, folder: str | Path, encoder: Encoder) -> None:
        self.encoder = encoder
        self.folder = Path(folder) / encoder.fingerprint

    def path(self, demo_fingerprint: str, camera: str) -> Path:
        """Return where the embeddings of one demonstration through one camera are kept."""
        encoder = self.encoder
        history = f"{encoder.num_frames} {encoder.frame_rate}"
        return self.folder / f"{digest(CACHE_FORMAT, encoder.fingerprint, history, demo_fingerprint, camera)}.npy"

    def get(self, path: Path, num_steps: int) -> NDArray[np.float32] | None:
        """Return the embeddings (L, D) kept at `path`; None if there are none for `num_steps` L."""
        try:
            embeddings = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None  # missing, or no array: made again
        fits = embeddings.shape == (num_steps, self.encoder.dim) and embeddings.dtype == np.float32
        return embeddings if fits else None

    def embed(
        self,
        fingerprints: Sequence[str],
        lengths: Sequence[int],
        camera: str,
        read: Callable[[int], Frames],
        progress: bool = True,
    ) -> list[NDArray[np.float32]]:
        """Return the embeddings of demonstrations, making and keeping those that are missing.

        Args:
            fingerprints: of the demonstrations.
            lengths: their numbers of steps.
            camera: which images are meant.
            read: returns the frames (L, H, W, 3) of the demonstration with that index.
            progress: whether to show a progress bar where any are missing.
        """
        paths = [self.path(f, camera) for f in fingerprints]
        found = [self.get(path, length) for path, length in zip(paths, lengths, strict=True)]
        missing = [i for i, embeddings in enumerate(found) if embeddings is None]
        for i in tqdm(missing, f"embed {self.encoder.name}", unit="demo", disable=not (progress and missing)):
            made = embed_episode(self.encoder, read(i))
            with atomic_path(paths[i]) as temporary:
                np.save(temporary, made)
            found[i] = made
        return [embeddings for embeddings in found if embeddings is not None]

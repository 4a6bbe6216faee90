"""A corpus of simulated clips on disk: rendered once, in parallel, read one clip at a time."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.files import atomic_path, digest, write_json
from egorobot.pretrain.hands.clips import ClipOptions, ClipRenderer
from egorobot.processes import default_num_workers, exit_with_parent

SHARD_CLIPS = 20


@dataclass(frozen=True)
class ClipSample:
    """One clip as training sees it.

    Attributes:
        frames_slow: uint8, (T, H, W, 3).
        frames_fast: uint8, (lambda*T, H, W, 3).
        captions: the narration, then the captions of hand and object.
        clip_id: its name in the corpus.
    """

    frames_slow: NDArray[np.uint8]
    frames_fast: NDArray[np.uint8]
    captions: list[str]
    clip_id: str


class SimulatedHands:
    """Clips of simulated hands, rendered by `render` and read from disk.

    A clip depends on the options, the seed and its number, so a corpus can grow and its
    shards can be rendered in any order.

    Args:
        options: what clips are like.
        seed: of the corpus.
        num_clips: how many.
        cache_dir: folder for all corpora; this one gets a folder of its own in it.
        slow: which of a clip's frames the low-rate stream sees.
    """

    def __init__(
        self, options: ClipOptions, seed: int, num_clips: int, cache_dir: str | Path, slow: Sequence[int]
    ) -> None:
        self.options = options
        self.seed = seed
        self.num_clips = num_clips
        self.slow = list(slow)
        self.key = digest(json.dumps([options.to_dict(), seed, version("mujoco"), version("gymnasium-robotics")]))
        self.folder = Path(cache_dir) / f"simulated_hands_{self.key}"
        self._captions: dict[int, list[list[str]]] = {}

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`, which must have been rendered."""
        shard, row = divmod(number, SHARD_CLIPS)
        # Mapped, copied and unmapped: memory does not grow with the clips that were read.
        frames = np.load(self._frames_file(shard), mmap_mode="r")[row].copy()
        return ClipSample(frames[self.slow], frames, self._shard_captions(shard)[row], f"{self.key}/{number:06d}")

    def captions(self) -> Iterator[list[str]]:
        """Return the captions of every clip, in order."""
        for number in range(self.num_clips):
            shard, row = divmod(number, SHARD_CLIPS)
            yield self._shard_captions(shard)[row]

    def render(self, num_workers: int | None = None) -> None:
        """Render the shards that are not on disk, in spawned processes.

        Args:
            num_workers: processes; None is one a core.

        Raises:
            UserError: a worker died, for want of memory perhaps.
        """
        shards = [i for i in range(-(-self.num_clips // SHARD_CLIPS)) if not self._captions_file(i).exists()]
        if not shards:
            return
        workers = min(num_workers or default_num_workers(), len(shards))
        context = get_context("spawn")  # OpenGL contexts do not survive a fork
        with ProcessPoolExecutor(workers, mp_context=context, initializer=exit_with_parent) as pool:
            jobs = [pool.submit(_render_shard, self, shard) for shard in shards]
            try:
                done = len(shards) * SHARD_CLIPS
                with tqdm(total=done, desc="clips", unit="clip", dynamic_ncols=True) as bar:
                    for job in as_completed(jobs):
                        job.result()
                        bar.update(SHARD_CLIPS)
            except BrokenProcessPool as error:
                raise UserError(
                    "a process that renders clips died (out of memory?): try num_workers=1; finished clips are kept"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)

    def _shard_captions(self, shard: int) -> list[list[str]]:
        if shard not in self._captions:
            self._captions[shard] = json.loads(self._captions_file(shard).read_text(encoding="utf-8"))
        return self._captions[shard]

    def _frames_file(self, shard: int) -> Path:
        return self.folder / f"shard_{shard:05d}.npy"

    def _captions_file(self, shard: int) -> Path:
        """Written last, so a shard that has captions is whole."""
        return self.folder / f"shard_{shard:05d}.json"


_renderer: tuple[ClipOptions, ClipRenderer] | None = None  # of this worker process


def _render_shard(corpus: SimulatedHands, shard: int) -> None:
    global _renderer
    if _renderer is None or _renderer[0] != corpus.options:
        _renderer = (corpus.options, ClipRenderer(corpus.options))
    numbers = range(shard * SHARD_CLIPS, (shard + 1) * SHARD_CLIPS)
    clips = [_renderer[1].clip(corpus.seed, number) for number in numbers]
    with atomic_path(corpus._frames_file(shard)) as temporary:
        np.save(temporary, np.stack([clip.frames for clip in clips]))
    write_json(corpus._captions_file(shard), [clip.captions for clip in clips])

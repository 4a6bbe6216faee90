"""Clips of simulated hands on disk: rendered once, in parallel, read one at a time."""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.files import atomic_path, digest, explain_os_errors, sole_user, write_json
from egorobot.pretrain.hands.clips import RENDERED, VARIANTS, VERSION, VIDEO_GROUPS, ClipRenderer, RenderedClip
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.samples import ClipSample, ClipWords, FittedClip, HandObjectTracks, clip_name
from egorobot.processes import default_num_workers, exit_with_parent, spawn_context

SHARD_GROUPS = 6  # groups of clips that a file holds
GROUP_SIZE = len(VARIANTS)
VIDEO_CLIPS = VIDEO_GROUPS * GROUP_SIZE
SHARD_CLIPS = SHARD_GROUPS * GROUP_SIZE


class SimulatedHands:
    """Clips of simulated hands, rendered by `render` and read from disk.

    Clips come in groups of four which differ in one thing: time, direction, hand. A group
    depends on the options, the seed and its number, so a corpus can grow and its shards
    can be rendered in any order. The frames of a reversed clip are not stored.

    Args:
        options: what clips are like.
        seed: of the corpus.
        num_clips: how many; a multiple of four.
        cache_dir: folder for all corpora; this one gets a folder of its own in it.
        fast_ratio: high-rate frames for each low-rate one.
        num_shown: how many of a clip's frames are read, the last ones; None is all of them.

    Raises:
        UserError: `num_clips` is not made of whole groups.
    """

    name = "simulated_hands"
    group_size = GROUP_SIZE
    variants: tuple[str, ...] = VARIANTS

    def __init__(
        self,
        options: ClipOptions,
        seed: int,
        num_clips: int,
        cache_dir: str | Path,
        fast_ratio: int,
        num_shown: int | None = None,
    ) -> None:
        if num_clips < GROUP_SIZE or num_clips % GROUP_SIZE:
            raise UserError(f"num_clips={num_clips}: simulated clips come in groups of {GROUP_SIZE}, give a multiple")
        self.options = options
        self.seed = seed
        self.num_clips = num_clips
        self.fast_ratio = fast_ratio
        self._shown = slice(options.num_frames - (num_shown or options.num_frames), None)
        made_by = VERSION, version("mujoco"), version("gymnasium-robotics")
        self.key = digest(json.dumps([options.to_dict(), seed, *made_by]))
        self.folder = Path(cache_dir) / f"simulated_hands_{self.key}"

    def __len__(self) -> int:
        return self.num_clips

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`, which must have been rendered."""
        return self._sample(number, self._read_frames(self._frames_file(number // SHARD_CLIPS), number))

    def fitted(self, number: int, sizes: tuple[int, int]) -> FittedClip | None:
        """Return clip `number`, which must have been rendered; its small frames are kept once they have been made.

        Args:
            number: of the clip.
            sizes: sides of the low-rate and of the high-rate stream's frames, in pixels.

        Returns:
            The clip; None where the low-rate stream's frames have another size than is
            rendered, where both have one size, and where nothing can be written.

        Raises:
            UserError: the disk is full.
        """
        shard = number // SHARD_CLIPS
        small = self._small_file(shard, sizes[1])
        if sizes[0] != self.options.image_size or sizes[0] == sizes[1]:
            return None
        if not small.exists():
            if not os.access(self.folder, os.W_OK):
                return None
            self._write_small(shard, sizes[1])
        places = range(self.options.num_frames)[self._shown][self.fast_ratio - 1 :: self.fast_ratio]
        slow = [self._read_frames(self._frames_file(shard), number, place) for place in places]
        return FittedClip(self._sample(number, self._read_frames(small, number)), np.stack(slow))

    def _read_frames(self, path: Path, number: int, place: int | None = None) -> NDArray[np.uint8]:
        """Return the frames of clip `number` that are shown, from a file of its shard, or the one at a `place`."""
        group, variant = divmod(number % SHARD_CLIPS, GROUP_SIZE)
        backwards = VARIANTS[variant] == "reversed"
        stored = group, 0 if backwards else RENDERED.index(VARIANTS[variant])
        if place is not None:
            return _read_row(path, *stored, self.options.num_frames - 1 - place if backwards else place)
        frames = _read_row(path, *stored)
        return np.ascontiguousarray((frames[::-1] if backwards else frames)[self._shown])

    def _write_small(self, shard: int, size: int) -> None:
        # It needs torch, and the processes that render do without it.
        from egorobot.pretrain.augment import resize

        frames = np.load(self._frames_file(shard))
        small = resize(frames.reshape(-1, *frames.shape[3:]), size)
        with explain_os_errors(), atomic_path(self._small_file(shard, size)) as temporary:
            np.save(temporary, small.reshape(*frames.shape[:3], size, size, 3))

    def _sample(self, number: int, frames: NDArray[np.uint8]) -> ClipSample:
        shard, row = divmod(number, SHARD_CLIPS)
        tracks = _read_row(self._tracks_file(shard), row)[self._shown]
        return ClipSample(
            clip_id=self.clip_id(number),
            video_id=self._video_id(number),
            frames_fast=frames,
            fast_ratio=self.fast_ratio,
            **self.words(number)._asdict(),
            tracks=HandObjectTracks.from_array(tracks),
        )

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`: its video, and its times as if the clips of a video followed each other."""
        num_frames, rate = self.options.num_frames, self.options.frame_rate
        end = (number % VIDEO_CLIPS + 1) * num_frames
        shown = len(range(num_frames)[self._shown])
        return clip_name(self._video_id(number), (end - shown) / rate, end / rate)

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`, which must have been rendered."""
        shard, row = divmod(number, SHARD_CLIPS)
        words = _read_words(self._words_file(shard))[row]
        return ClipWords([words["narration"]], words["hod"])

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips."""
        for shard in range(-(-self.num_clips // SHARD_CLIPS)):
            for words in _read_words(self._words_file(shard))[: self.num_clips - shard * SHARD_CLIPS]:
                yield words["narration"]
                yield from words["hod"]

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out: the last, whole videos.

        Raises:
            UserError: one of the two would be empty.
        """
        videos = -(-self.num_clips // VIDEO_CLIPS)
        first = (videos - max(1, round(valid_share * videos))) * VIDEO_CLIPS
        if not 0 < first < self.num_clips:
            raise UserError(
                f"num_clips={self.num_clips} cannot be split into clips to train on and held-out ones: "
                f"{2 * VIDEO_CLIPS} or more"
            )
        return range(first), range(first, self.num_clips)

    def render(self, num_workers: int | None = None) -> None:
        """Render the shards that are not on disk, in spawned processes; wait for another process that does.

        Args:
            num_workers: processes; None is one a core.

        Raises:
            UserError: a worker died, for want of memory perhaps.
        """
        if not self._missing_shards():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with sole_user(self.folder, "clips", wait=True):
            if shards := self._missing_shards():
                self._render(shards, num_workers)

    def _missing_shards(self) -> list[int]:
        return [i for i in range(-(-self.num_clips // SHARD_CLIPS)) if not self._words_file(i).exists()]

    def _render(self, shards: Sequence[int], num_workers: int | None) -> None:
        workers = min(num_workers or default_num_workers(), len(shards))
        context = spawn_context()  # OpenGL contexts do not survive a fork
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

    def _video_id(self, number: int) -> str:
        return f"{self.key}/{number // VIDEO_CLIPS:06d}"

    def _frames_file(self, shard: int) -> Path:
        return self.folder / f"shard_{shard:06d}.npy"

    def _small_file(self, shard: int, size: int) -> Path:
        return self.folder / f"shard_{shard:06d}_{size}.npy"

    def _tracks_file(self, shard: int) -> Path:
        return self.folder / f"tracks_{shard:06d}.npy"

    def _words_file(self, shard: int) -> Path:
        """Written last, so a shard that has words is whole."""
        return self.folder / f"shard_{shard:06d}.json"


def _read_row(path: Path, *index: int) -> NDArray[Any]:
    """Return the part `index` of the array in the .npy file `path`; no more of it is read."""
    shape, dtype, offset = _read_header(path)
    places, rest = shape[: len(index)], shape[len(index) :]
    row = np.empty(rest, dtype)
    with path.open("rb", buffering=0) as file:  # half as long on its way as `np.fromfile`
        file.seek(offset + int(np.ravel_multi_index(index, places)) * row.nbytes)
        if file.readinto(row.data) != row.nbytes:
            raise UserError(f"{path} is cut short: remove its folder, and its clips are rendered again")
    return row


@lru_cache(maxsize=4096)
def _read_header(path: Path) -> tuple[tuple[int, ...], np.dtype[Any], int]:
    """Return the shape and type of the array in the .npy file `path`, and where its numbers begin, in bytes."""
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return shape, dtype, file.tell()


@lru_cache(maxsize=1024)
def _read_words(path: Path) -> list[dict[str, Any]]:
    """Return what is said of the clips of a shard; the last few shards are remembered, so memory is bounded."""
    words: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return words


_renderer: tuple[ClipOptions, ClipRenderer] | None = None  # of this worker process


def _render_shard(corpus: SimulatedHands, shard: int) -> None:
    global _renderer
    if _renderer is None or _renderer[0] != corpus.options:
        _renderer = (corpus.options, ClipRenderer(corpus.options))
    first = shard * SHARD_GROUPS
    groups = [_renderer[1].group(corpus.seed, number) for number in range(first, first + SHARD_GROUPS)]
    clips = [clip for group in groups for clip in group]
    with atomic_path(corpus._frames_file(shard)) as temporary:
        np.save(temporary, np.stack([_stored_frames(group) for group in groups]))
    with atomic_path(corpus._tracks_file(shard)) as temporary:
        np.save(temporary, np.stack([clip.tracks.to_array() for clip in clips]))
    write_json(corpus._words_file(shard), [{"narration": clip.narration, "hod": clip.hod} for clip in clips])


def _stored_frames(group: list[RenderedClip]) -> NDArray[np.uint8]:
    """Return the frames of a group that are not another's played backwards, (3, F, H, W, 3)."""
    return np.stack([group[VARIANTS.index(name)].frames for name in RENDERED])

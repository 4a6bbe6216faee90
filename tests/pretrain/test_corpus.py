"""The corpus on disk: rendered once, whole or not at all, growing."""

from pathlib import Path

import numpy as np
import pytest

from egorobot.pretrain import corpus as corpus_module
from egorobot.pretrain.augment import jitter_colours
from egorobot.pretrain.batches import Augmentation, batch_numbers, training_batch
from egorobot.pretrain.corpus import SHARD_CLIPS, SimulatedHands
from egorobot.pretrain.hands.clips import ClipOptions, ClipRenderer

OPTIONS = ClipOptions(num_frames=4, image_size=32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    SimulatedHands(OPTIONS, 0, SHARD_CLIPS, folder, [1, 3]).render(num_workers=1)
    return folder


def test_clips_come_back_as_they_were_rendered(cache: Path) -> None:
    corpus = SimulatedHands(OPTIONS, 0, SHARD_CLIPS, cache, [1, 3])
    sample = corpus[7]
    clip = ClipRenderer(OPTIONS).clip(0, 7)
    np.testing.assert_array_equal(sample.frames_fast, clip.frames)
    np.testing.assert_array_equal(sample.frames_slow, clip.frames[[1, 3]])
    assert sample.captions == clip.captions
    assert sample.clip_id.endswith("000007")
    assert len(list(corpus.captions())) == len(corpus) == SHARD_CLIPS


def test_what_is_rendered_is_kept_and_what_is_missing_is_added(cache: Path) -> None:
    corpus = SimulatedHands(OPTIONS, 0, SHARD_CLIPS + 5, cache, [3])
    shard = corpus.folder / "shard_00000.npy"
    written = shard.stat().st_mtime_ns
    half = corpus.folder / "shard_00001.npy"
    half.write_bytes(b"half a shard, from a run that was killed")
    corpus.render(num_workers=1)
    assert shard.stat().st_mtime_ns == written
    assert corpus[SHARD_CLIPS + 4].frames_fast.shape == (4, 32, 32, 3)
    assert not [path for path in corpus.folder.iterdir() if path.name.startswith(".")]


def test_other_options_and_seeds_have_other_folders(tmp_path: Path) -> None:
    folders = {
        SimulatedHands(options, seed, 20, tmp_path, [0]).folder
        for options, seed in ((OPTIONS, 0), (OPTIONS, 1), (ClipOptions(num_frames=4, image_size=40), 0))
    }
    assert len(folders) == 3


def test_workers_need_no_torch() -> None:
    """A rendering process should not spend seconds and 300 MB on it."""
    import subprocess
    import sys

    code = f"import sys, {corpus_module.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_epoch_shows_every_clip_once_in_another_order() -> None:
    clips = range(10, 20)
    seen = [number for step in range(5) for number in batch_numbers(clips, 4, seed=0, step=step)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(clips)
    assert seen[:10] != seen[10:]
    assert batch_numbers(clips, 4, 0, 2) == seen[8:12]  # no need to have drawn the steps before
    assert batch_numbers(clips, 4, 1, 0) != seen[:4]


def test_batches_are_a_function_of_seed_and_step(cache: Path) -> None:
    corpus = SimulatedHands(OPTIONS, 0, SHARD_CLIPS, cache, [1, 3])
    batch, again, other = (
        training_batch(corpus, range(SHARD_CLIPS), 4, 0, step, Augmentation(flip=0.5)) for step in (3, 3, 4)
    )
    assert batch.frames_fast.equal(again.frames_fast) and batch.captions == again.captions
    assert not batch.frames_fast.equal(other.frames_fast)
    assert batch.frames_slow.equal(batch.frames_fast[:, [1, 3]])


def test_mirrored_clips_have_mirrored_captions(cache: Path) -> None:
    corpus = SimulatedHands(OPTIONS, 0, SHARD_CLIPS, cache, [3])
    plain, flipped = (
        training_batch(corpus, range(SHARD_CLIPS), 8, 0, 0, Augmentation(flip=flip, colour=0.0)) for flip in (0.0, 1.0)
    )
    numbers = batch_numbers(range(SHARD_CLIPS), 8, 0, 0)
    assert plain.frames_fast.numpy().shape == (8, 4, 32, 32, 3)
    for i, number in enumerate(numbers):
        np.testing.assert_array_equal(flipped.frames_fast[i].numpy(), corpus[number].frames_fast[:, :, ::-1])
        assert plain.captions[i] in corpus[number].captions
    assert any("hand" in caption for caption in flipped.captions)


def test_colours_change_alike_in_all_frames() -> None:
    frames = np.full((3, 2, 2, 3), 100, np.uint8)
    changed = jitter_colours(frames, np.random.default_rng(0), 0.2)
    assert changed.dtype == np.uint8
    assert (changed == changed[0, 0, 0]).all() and (changed != frames).any()
    np.testing.assert_array_equal(jitter_colours(frames, np.random.default_rng(0), 0.0), frames)

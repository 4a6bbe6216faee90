"""The corpus on disk: rendered once, whole or not at all, growing."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.augment import Augmentation, Seen, augment
from egorobot.pretrain.batches import TrainingBatches, TrainingCorpus
from egorobot.pretrain.corpora import simulated_hands, sources
from egorobot.pretrain.corpora.simulated_hands import SHARD_CLIPS, VIDEO_CLIPS, SimulatedHands
from egorobot.pretrain.hands.clips import VARIANTS, ClipRenderer
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.model import SIZES
from egorobot.pretrain.samples import ClipSample, FittedClip, clip_span

OPTIONS = ClipOptions(num_frames=4, image_size=32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_corpus(folder).render(num_workers=1)
    return folder


def make_corpus(
    folder: Path, num_clips: int = SHARD_CLIPS, options: ClipOptions = OPTIONS, seed: int = 0
) -> SimulatedHands:
    return SimulatedHands(options, seed, num_clips, folder, fast_ratio=2)


@pytest.mark.parametrize("variant", range(len(VARIANTS)), ids=VARIANTS)
def test_clips_come_back_as_they_were_rendered(cache: Path, variant: int) -> None:
    corpus = make_corpus(cache)
    number = len(VARIANTS) + variant
    sample = corpus[number]
    clip = ClipRenderer(OPTIONS).group(0, 1)[variant]
    np.testing.assert_array_equal(sample.frames_fast, clip.frames)
    np.testing.assert_array_equal(sample.frames_slow, clip.frames[[1, 3]])
    assert sample.captions == [clip.narration, *clip.hod]
    assert sample.tracks is not None
    np.testing.assert_array_equal(sample.tracks.hands, clip.tracks.hands)
    np.testing.assert_array_equal(sample.tracks.object, clip.tracks.object)
    np.testing.assert_array_equal(sample.tracks.contact, clip.tracks.contact)
    assert sample.clip_id == corpus.clip_id(number)
    seconds = OPTIONS.num_frames / OPTIONS.frame_rate
    times = pytest.approx((number % 8 * seconds, (number % 8 + 1) * seconds), abs=1e-3)
    assert clip_span(sample.clip_id)[0] == sample.video_id and clip_span(sample.clip_id)[1:] == times


@pytest.mark.parametrize("variant", [0, 1])
def test_of_more_frames_than_a_model_sees_the_last_are_shown(cache: Path, variant: int) -> None:
    whole, short = make_corpus(cache)[variant], SimulatedHands(OPTIONS, 0, SHARD_CLIPS, cache, 1, num_shown=1)[variant]
    np.testing.assert_array_equal(short.frames_fast, whole.frames_fast[-1:])
    np.testing.assert_array_equal(short.frames_slow, whole.frames_fast[-1:])
    assert short.captions == whole.captions and short.tracks is not None and whole.tracks is not None
    np.testing.assert_array_equal(short.tracks.hands, whole.tracks.hands[-1:])


@pytest.mark.parametrize("num_shown", [None, 2])
def test_fitted_clips_are_those_that_training_would_resize(cache: Path, num_shown: int | None) -> None:
    corpus = SimulatedHands(OPTIONS, 0, SHARD_CLIPS, cache, 2, num_shown)
    sizes = OPTIONS.image_size, 16

    def seen(clip: ClipSample | FittedClip, number: int) -> Seen:
        return augment(clip, Augmentation(), sizes, *map(np.random.default_rng, (number, number)))

    for number in range(SHARD_CLIPS):
        kept = corpus.fitted(number, sizes)
        assert kept is not None
        fitted, anew = seen(kept, number), seen(corpus[number], number)
        np.testing.assert_array_equal(fitted.sample.frames_fast, anew.sample.frames_fast)
        assert fitted.slow is not None and anew.slow is not None
        np.testing.assert_array_equal(fitted.slow, anew.slow)
        assert fitted.caption == anew.caption and fitted.sample.clip_id == anew.sample.clip_id
        assert fitted.sample.tracks is not None and anew.sample.tracks is not None
        np.testing.assert_array_equal(fitted.sample.tracks.to_array(), anew.sample.tracks.to_array())


@pytest.mark.parametrize("augmentation", [Augmentation(), Augmentation(flip=0.5), Augmentation(crop=(0.5, 1.0))])
def test_batches_are_the_same_whether_clips_are_kept_in_the_models_sizes_or_not(
    cache: Path, augmentation: Augmentation
) -> None:
    source = TrainingCorpus(make_corpus(cache), range(SHARD_CLIPS), augmentation=augmentation)
    batches = [
        TrainingBatches([replace(source, keep_fitted=keep)], 8, (OPTIONS.image_size, 16), seed=0)[1]
        for keep in (True, False)
    ]
    assert batches[0].frames_fast.equal(batches[1].frames_fast)
    assert batches[0].frames_slow.equal(batches[1].frames_slow)
    assert batches[0].captions == batches[1].captions


def test_small_frames_are_resized_once(cache: Path) -> None:
    corpus = make_corpus(cache)
    first = corpus.fitted(0, (OPTIONS.image_size, 8))
    [written] = corpus.folder.glob("*_8.npy")
    when = written.stat().st_mtime_ns
    again = corpus.fitted(1, (OPTIONS.image_size, 8))
    assert first is not None and first.sample.frames_fast.shape == (4, 8, 8, 3) and written.stat().st_mtime_ns == when
    assert again is not None
    np.testing.assert_array_equal(again.sample.frames_fast, first.sample.frames_fast[::-1])  # played backwards


def test_clips_are_not_fitted_where_they_would_need_more_than_smaller_frames(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, size = make_corpus(cache), OPTIONS.image_size
    assert corpus.fitted(0, (size, size)) is None
    assert corpus.fitted(0, (size // 2, 8)) is None
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert corpus.fitted(0, (size, 12)) is None


def test_all_captions_are_those_of_the_clips(cache: Path) -> None:
    corpus = make_corpus(cache, VIDEO_CLIPS)
    assert list(corpus.captions()) == [caption for i in range(len(corpus)) for caption in corpus[i].captions]


def test_what_is_rendered_is_kept_and_what_is_missing_is_added(cache: Path) -> None:
    corpus = make_corpus(cache, SHARD_CLIPS + len(VARIANTS))
    shard = corpus.folder / "shard_000000.npy"
    written = shard.stat().st_mtime_ns
    half = corpus.folder / "shard_000001.npy"
    half.write_bytes(b"half a shard, from a run that was killed")
    corpus.render(num_workers=1)
    assert shard.stat().st_mtime_ns == written
    assert corpus[SHARD_CLIPS + 3].frames_fast.shape == (4, 32, 32, 3)
    assert not [path for path in corpus.folder.iterdir() if path.name.startswith(".")]


def test_a_file_that_is_cut_short_is_named(cache: Path, tmp_path: Path) -> None:
    corpus = make_corpus(Path(shutil.copytree(cache, tmp_path / "copy")))
    path = corpus.folder / "shard_000000.npy"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"shard_000000\.npy is cut short: remove its folder"):
        corpus[SHARD_CLIPS - 1]


def test_other_options_and_seeds_have_other_folders(tmp_path: Path) -> None:
    corpora = [make_corpus(tmp_path, 40), make_corpus(tmp_path, 40, seed=1)]
    corpora.append(make_corpus(tmp_path, 40, ClipOptions(num_frames=4, image_size=40)))
    assert len({corpus.folder for corpus in corpora}) == 3


def test_held_out_clips_are_whole_videos_and_the_last() -> None:
    train, valid = make_corpus(Path("nowhere"), 10 * VIDEO_CLIPS).split(0.2)
    assert [*train, *valid] == list(range(10 * VIDEO_CLIPS))
    assert len(valid) == 2 * VIDEO_CLIPS


@pytest.mark.parametrize(("num_clips", "share"), [(VIDEO_CLIPS, 0.5), (4, 0.1), (10 * VIDEO_CLIPS, 0.99)])
def test_a_corpus_too_small_to_split_is_refused(num_clips: int, share: float) -> None:
    with pytest.raises(UserError, match="cannot be split"):
        make_corpus(Path("nowhere"), num_clips).split(share)


def test_a_corpus_has_whole_groups() -> None:
    with pytest.raises(UserError, match="num_clips=10: simulated clips come in groups of 4"):
        make_corpus(Path("nowhere"), 10)


def test_workers_need_no_torch() -> None:
    """A rendering process should not spend seconds and 300 MB on it."""
    import subprocess
    import sys

    code = f"import sys, {simulated_hands.__name__}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_clips_of_one_frame_are_refused(tmp_path: Path) -> None:
    node = OmegaConf.to_container(load_config("pretrain", []).corpus)
    sizes = replace(SIZES["nano"], num_slow=1, fast_ratio=1)
    with pytest.raises(UserError, match=r"nothing moves in clips of one frame: .* corpus.num_frames=8"):
        sources.make_corpus(node, sizes, 0, tmp_path)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())

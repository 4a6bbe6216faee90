"""Batches: a function of seed, step and place, whoever makes them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from egorobot.errors import UserError
from egorobot.pretrain.augment import Augmentation, resize
from egorobot.pretrain.batches import MAX_BAD, Batch, TrainingBatches, TrainingCorpus

EVERYTHING = Augmentation(flip=0.5, crop=(0.5, 1.0), colour=0.2)


def make(
    corpora: list[TrainingCorpus], rank: int = 0, num_ranks: int = 1, seed: int = 0, fast_size: int = 32
) -> TrainingBatches:
    return TrainingBatches(corpora, 8, (32, fast_size), seed, rank, num_ranks)


def same(a: Batch, b: Batch) -> bool:
    return a.frames_fast.equal(b.frames_fast) and a.captions == b.captions and a.clip_ids == b.clip_ids


def test_batches_are_a_function_of_seed_and_step(two_corpora: list[TrainingCorpus]) -> None:
    corpora = [replace(source, augmentation=EVERYTHING) for source in two_corpora]
    batch = make(corpora)[3]
    assert len(batch) == 8 and batch.frames_fast.shape == (8, 2, 32, 32, 3)
    assert same(make(corpora)[3], batch)
    assert not same(make(corpora)[4], batch) and not same(make(corpora, seed=1)[3], batch)
    assert batch.frames_slow.equal(batch.frames_fast[:, [1]])


@pytest.mark.parametrize("num_ranks", [2, 4, 8])
def test_processes_share_out_the_very_batch_that_one_would_see(
    two_corpora: list[TrainingCorpus], num_ranks: int
) -> None:
    corpora = [replace(source, augmentation=EVERYTHING) for source in two_corpora]
    whole = make(corpora)[5]
    parts = [make(corpora, rank, num_ranks)[5] for rank in range(num_ranks)]
    assert torch.cat([part.frames_fast for part in parts]).equal(whole.frames_fast)
    assert [caption for part in parts for caption in part.captions] == whole.captions


def test_without_augmentation_a_batch_shows_the_clips_as_they_are(two_corpora: list[TrainingCorpus]) -> None:
    corpora = [replace(source, augmentation=Augmentation(colour=0.0)) for source in two_corpora]
    by_name = {source.corpus.name: source.corpus for source in corpora}
    batch = make(corpora)[0]
    for frames, caption, clip_id in zip(batch.frames_fast.numpy(), batch.captions, batch.clip_ids, strict=True):
        name, number = clip_id.split("/")
        sample = by_name[name][int(number)]
        assert caption in sample.captions
        if name == "groups":
            np.testing.assert_array_equal(frames, sample.frames_fast)


@pytest.mark.parametrize("fast_size", [16, 32, 40])
def test_each_stream_sees_frames_of_its_own_size_changed_alike(
    two_corpora: list[TrainingCorpus], fast_size: int
) -> None:
    large, own = make(two_corpora)[2], make(two_corpora, fast_size=fast_size)[2]
    assert own.frames_slow.equal(large.frames_slow)
    shape = (8, 2, fast_size, fast_size, 3)
    assert own.frames_fast.shape == shape and own.to(torch.device("cpu")).frames_slow.equal(large.frames_slow)
    # Colours are changed after frames are resized: levels are rounded, and cut off, otherwise.
    expected = np.stack([resize(frames, fast_size) for frames in large.frames_fast.numpy()]).astype(int)
    differences = np.abs(own.frames_fast.numpy() - expected).mean(axis=(1, 2, 3, 4))
    assert differences.max() < 2
    parts = list(own.split(3))
    assert torch.cat([part.frames_slow for part in parts]).equal(own.frames_slow)


def test_clips_of_a_group_have_captions_of_one_kind(two_corpora: list[TrainingCorpus]) -> None:
    by_name = {source.corpus.name: source.corpus for source in two_corpora}
    batches, kinds = make(two_corpora), []
    for step in range(8):
        batch = batches[step]
        kinds_of: dict[int, set[bool]] = {}
        for group, caption, clip_id in zip(batch.groups.tolist(), batch.captions, batch.clip_ids, strict=True):
            name, number = clip_id.split("/")
            kinds_of.setdefault(group, set()).add(caption in by_name[name][int(number)].hod)
        assert all(len(found) == 1 for found in kinds_of.values())
        kinds += [found.pop() for found in kinds_of.values()]
    assert 0.2 < np.mean(kinds) < 0.8  # and both kinds come


def test_each_corpus_has_its_own_augmentation(two_corpora: list[TrainingCorpus]) -> None:
    plain = Augmentation(colour=0.0)
    flipped = [replace(s, augmentation=replace(plain, flip=float(s.corpus.name == "groups"))) for s in two_corpora]
    unflipped = [replace(s, augmentation=plain) for s in two_corpora]
    changed, batch = make(flipped)[0], make(unflipped)[0]
    for i, clip_id in enumerate(batch.clip_ids):
        expected = batch.frames_fast[i].flip(2) if clip_id.startswith("groups") else batch.frames_fast[i]
        assert changed.frames_fast[i].equal(expected)


def test_a_batch_splits_into_parts(batches: TrainingBatches) -> None:
    batch = batches[0]
    parts = list(batch.split(3))
    assert [len(part) for part in parts] == [3, 3, 2]
    assert torch.cat([part.frames_slow for part in parts]).equal(batch.frames_slow)
    assert [clip for part in parts for clip in part.clip_ids] == batch.clip_ids


def test_bad_clips_are_replaced_the_same_way_everywhere_and_told(tiny_corpus: Any) -> None:
    good, bad = (TrainingCorpus(tiny_corpus("c", 16, bad=numbers), range(16)) for numbers in ((), (3, 7)))
    whole = make([good])[0], make([good])[1]
    for step, intact in enumerate(whole):
        batch = make([bad])[step]
        halves = [make([bad], rank, 2)[step] for rank in range(2)]
        hit = [clip for clip in intact.clip_ids if clip in ("c/3", "c/7")]
        assert {record.clip_id for record in batch.bad} >= set(hit)
        assert all(record.reason == f"clip {record.clip_id[2:]} is bad" for record in batch.bad)
        assert torch.cat([half.frames_fast for half in halves]).equal(batch.frames_fast)
        assert [record for half in halves for record in half.bad] == batch.bad
        for i, clip_id in enumerate(intact.clip_ids):
            if clip_id in hit:
                assert batch.clip_ids[i] not in ("c/3", "c/7")
            else:
                assert batch.clip_ids[i] == clip_id and batch.frames_fast[i].equal(intact.frames_fast[i])
    assert sum(len(make([bad])[step].bad) for step in range(2)) >= 2


def test_too_many_bad_clips_in_a_row_are_one_line(tiny_corpus: Any) -> None:
    corpus = tiny_corpus("gone", 16, bad=range(16))
    with pytest.raises(UserError, match=f"{MAX_BAD} clips of corpus gone in a row") as caught:
        make([TrainingCorpus(corpus, range(16))])[0]
    assert "\n" not in str(caught.value)


def test_a_batch_that_cannot_be_shared_out_is_refused(two_corpora: list[TrainingCorpus]) -> None:
    with pytest.raises(UserError, match="by 3 processes"):
        make(two_corpora, 0, 3)

"""Shards: what is written comes back, in any order, also from files that are cut off or damaged."""

import os
import pickle
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.corpora.frames import ClipFrames
from egorobot.pretrain.corpora.shard_index import open_index
from egorobot.pretrain.corpora.shard_writer import END_OF_TAR
from egorobot.pretrain.corpora.shards import ShardCorpus, find_shards
from egorobot.pretrain.corpora.splitting import video_hash
from egorobot.pretrain.corpora.tar_samples import from_tar, to_members, to_sample, to_tar
from egorobot.pretrain.hod.clips import read_clip
from egorobot.pretrain.samples import BadClip, ClipSample, HandObjectTracks

FRAMES = ClipFrames(num_frames=4, fast_ratio=2, frame_rate=None, short_side=24)


def make_sample(number: int, video_id: str = "v", with_tracks: bool = False) -> ClipSample:
    rng = np.random.default_rng(number)
    hands = rng.random((4, 2, 4), np.float32)
    hands[1, 0] = np.nan
    tracks = HandObjectTracks(hands, rng.random((4, 4), np.float32), rng.random((4, 2)) < 0.5)
    return ClipSample(
        clip_id=f"{video_id}/{number}",
        video_id=video_id,
        frames_fast=rng.integers(0, 256, (4, 24, 32, 3), np.uint8),
        fast_ratio=2,
        narrations=[f"narration {number}"],
        hod=["C's links ✋"] * (number % 2),
        tracks=tracks if with_tracks else None,
    )


def write_shard(
    path: Path, samples: Sequence[ClipSample], jpeg_quality: int | None = None, group_size: int = 1
) -> list[int]:
    """Write `samples` as one shard and return where each of them ends."""
    record = {"group_size": group_size, "variants": [f"variant {i}" for i in range(group_size)]}
    parts = [to_tar(f"{i:08}", to_members(sample, record, jpeg_quality)) for i, sample in enumerate(samples)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(parts) + END_OF_TAR)
    return np.cumsum([len(part) for part in parts]).tolist()


def open_shards(folder: Path) -> ShardCorpus:
    return ShardCorpus(find_shards(str(folder / "*.tar")), FRAMES, folder / "cache")


def assert_same(found: ClipSample, expected: ClipSample) -> None:
    np.testing.assert_array_equal(found.frames_fast, expected.frames_fast)
    for name in ("clip_id", "video_id", "fast_ratio", "narrations", "hod"):
        assert getattr(found, name) == getattr(expected, name)


def bad_clips(corpus: ShardCorpus) -> dict[int, str]:
    bad = {}
    for number in range(len(corpus)):
        try:
            corpus[number]
        except BadClip as error:
            bad[number] = str(error)
    return bad


def test_clips_come_back_in_any_order(tmp_path: Path) -> None:
    samples = [make_sample(i, f"video {i // 3}") for i in range(20)]
    write_shard(tmp_path / "shard-000000.tar", samples[:13])
    write_shard(tmp_path / "shard-000001.tar", samples[13:])
    corpus = open_shards(tmp_path)
    assert len(corpus) == 20 and corpus.group_size == 1
    for number in np.random.default_rng(0).permutation(20):
        assert_same(corpus[int(number)], samples[number])
        assert corpus.clip_id(int(number)) == samples[number].clip_id
    assert list(corpus.captions()) == [caption for sample in samples for caption in sample.captions]
    assert [corpus[13].frames_slow.shape[0], corpus[13].fast_ratio] == [2, 2]
    with pytest.raises(IndexError):
        corpus[20]


def test_tracks_come_back_to_the_last_bit() -> None:
    sample = make_sample(3, with_tracks=True)
    members = to_members(sample, {}, None)
    assert "NaN" not in members["json"].decode()
    found = to_sample(from_tar(to_tar("k", members)), 2).tracks
    assert found is not None and sample.tracks is not None
    for name in ("hands", "object", "contact"):
        np.testing.assert_array_equal(getattr(found, name), getattr(sample.tracks, name), strict=True)


def test_jpeg_is_smaller_and_looks_alike() -> None:
    sample = make_sample(0)
    smooth = np.linspace(0, 200, 4 * 24 * 32 * 3).reshape(4, 24, 32, 3).astype(np.uint8)
    members = to_members(sample.with_frames(smooth), {}, 90)
    assert [*members] == ["json", "000.jpg", "001.jpg", "002.jpg", "003.jpg"]
    found = to_sample(from_tar(to_tar("k", members)), 2).frames_fast
    assert np.abs(found.astype(int) - smooth).mean() < 3
    rougher = to_members(sample, {}, 30)
    assert sum(map(len, rougher.values())) < sum(map(len, to_members(sample, {}, 95).values()))


def test_the_same_clips_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_shard(tmp_path / f"{name}.tar", [make_sample(i) for i in range(3)])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


@pytest.mark.parametrize("jpeg_quality", [None, 90])
def test_webdataset_reads_them(tmp_path: Path, jpeg_quality: int | None) -> None:
    wds = pytest.importorskip("webdataset")
    samples = [make_sample(i) for i in range(5)]
    write_shard(tmp_path / "s.tar", samples, jpeg_quality)
    found = list(wds.WebDataset(str(tmp_path / "s.tar"), shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in found] == [f"{i:08}" for i in range(5)]
    assert [sample["json"]["narrations"] for sample in found] == [sample.narrations for sample in samples]
    if jpeg_quality is None:
        np.testing.assert_array_equal(found[4]["npy"], samples[4].frames_fast)
    else:
        assert found[4]["003.jpg"].shape == (24, 32, 3)


def test_webdatasets_own_shards_are_read(tmp_path: Path) -> None:
    wds = pytest.importorskip("webdataset")
    sample = make_sample(1)
    record = {"clip_id": "c", "video_id": "v", "narrations": ["x"]}
    with wds.TarWriter(str(tmp_path / "s.tar")) as writer:
        for i in range(3):
            writer.write({"__key__": f"folder/{i}", "npy": sample.frames_fast, "json": record})
    corpus = open_shards(tmp_path)
    assert len(corpus) == 3
    np.testing.assert_array_equal(corpus[2].frames_fast, sample.frames_fast)
    assert corpus[2].captions == ["x"]


# Damage.


def test_a_shard_cut_off_anywhere_keeps_its_whole_clips(tmp_path: Path) -> None:
    samples = [make_sample(i) for i in range(4)]
    write_shard(tmp_path / "good.tar", [make_sample(0, "good")])
    path = tmp_path / "shard.tar"
    ends = write_shard(path, samples)
    content = path.read_bytes()
    for size in [0, 1, 511, 700, ends[0], ends[1] - 1000, ends[1] - 1, ends[1] + 300, ends[2] + 512, ends[2] + 600]:
        path.write_bytes(content[:size])
        corpus = open_shards(tmp_path)
        whole = sum(end <= size for end in ends)
        assert len(corpus) == 1 + whole + 1, size
        bad = bad_clips(corpus)
        assert [*bad] == [1 + whole], size
        assert all("shard.tar" in reason and "\n" not in reason for reason in bad.values())
        assert len({corpus.clip_id(i) for i in range(len(corpus))}) == len(corpus)
        assert len(list(corpus.captions())) >= 1 + whole


def test_damaged_members_are_bad_and_their_neighbours_good(tmp_path: Path) -> None:
    samples = [make_sample(i, f"video {i}") for i in range(6)]
    path = tmp_path / "shard.tar"
    ends = write_shard(path, samples)
    content = bytearray(path.read_bytes())
    content[ends[0] + 512 + 3] ^= 0xFF  # of the JSON
    content[ends[2] - 2000] ^= 1  # a pixel, by one
    start = content.find(b"NUMPY", ends[3])
    content[start : start + 5] = b"XXXXX"
    path.write_bytes(content)
    corpus = open_shards(tmp_path)
    bad = bad_clips(corpus)
    assert [*bad] == [1, 2, 4]
    assert "JSON" in bad[1] and "checksum" in bad[2] and "checksum" in bad[4]
    assert corpus.clip_id(1) == "shard.tar:1" and corpus.clip_id(2) == "video 2/2"
    training, held_out = corpus.split(0.5)
    assert len(training) + len(held_out) == 6


def test_a_damaged_header_loses_the_rest_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    ends = write_shard(path, [make_sample(i) for i in range(6)])
    content = bytearray(path.read_bytes())
    content[ends[2] + 150] ^= 0xFF  # of the checksum in the fourth sample's first header
    path.write_bytes(content)
    bad = bad_clips(open_shards(tmp_path))
    assert [*bad] == [3] and f"bytes {ends[2]} to {len(content)}" in bad[3]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"json": None}, "no JSON"),
        ({"json": b"{}"}, "JSON cannot be read"),
        ({"json": b"[1]"}, "JSON cannot be read"),
        ({"json": b'{"clip_id": "c", "video_id": "v", "narrations": []}'}, "no captions"),
        ({"json": b'{"clip_id": "c", "video_id": "v", "narrations": "x"}'}, "no captions"),
        ({"json": b'{"clip_id": "c", "video_id": "v", "narrations": "x", "hod": ["y"]}'}, "no captions"),
        ({"json": b'{"clip_id": 3, "video_id": "v", "narrations": ["x"]}'}, "no captions, or names"),
        ({"npy": None}, "frames"),
        ({"npy": b"\x93NUMPY"}, "checksum"),
    ],
)
def test_members_that_are_no_clip(change: dict[str, bytes | None], reason: str) -> None:
    members = {**to_members(make_sample(0), {}, None), **change}
    with pytest.raises(BadClip, match=reason):
        to_sample({key: value for key, value in members.items() if value is not None}, 2)


def test_frames_are_never_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([print, 1], dtype=object))
    record = b'{"clip_id": "c", "video_id": "v", "narrations": ["x"]}'
    with pytest.raises(BadClip, match="allow_pickle"):
        to_sample({"json": record, "npy": (tmp_path / "x.npy").read_bytes()}, 2)
    np.save(tmp_path / "x.npy", np.zeros((4, 24, 32, 3), np.float32))
    with pytest.raises(BadClip, match="are float32"):
        to_sample({"json": record, "npy": (tmp_path / "x.npy").read_bytes()}, 2)


# Which shards, and what of them.


def test_shards_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"s-{i:03}.tar" for i in range(8, 12)]
    for path in paths:
        path.touch()
    monkeypatch.chdir(tmp_path)
    assert (
        find_shards(str(tmp_path)) == find_shards(f"{tmp_path}/*.tar") == find_shards(f"{tmp_path}/s-{{008..011}}.tar")
    )
    assert find_shards("s-*.tar") == [Path(path.name) for path in paths]
    assert find_shards([str(paths[2]), str(paths[0])]) == [paths[2], paths[0]]
    for pattern in (f"{tmp_path}/s-{{008..012}}.tar", f"{tmp_path}/t*.tar", "nowhere"):
        with pytest.raises(UserError, match="no shard "):
            find_shards(pattern)
    with pytest.raises(UserError, match="its braces do not match"):
        find_shards("s-{000..")
    with pytest.raises(UserError, match="shards names none"):
        find_shards([])


def test_shards_for_another_model_are_refused(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", [make_sample(0)])
    with pytest.raises(UserError, match="has clips of 4 frames, and the model takes 8"):
        ShardCorpus([tmp_path / "s.tar"], replace(FRAMES, num_frames=8), tmp_path / "cache")
    (tmp_path / "s.tar").write_bytes(b"not a tar file" * 100)
    with pytest.raises(UserError, match="no clip can be read"):
        open_shards(tmp_path)


def test_shards_of_another_frame_rate_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "s.tar"
    path.write_bytes(to_tar("0", to_members(make_sample(0), {"frame_rate": 6.25}, None)) + END_OF_TAR)
    with pytest.raises(UserError, match=r"clips of 6\.25 frames a second, and the model takes 12\.5: model\.frame"):
        ShardCorpus([path], replace(FRAMES, frame_rate=12.5), tmp_path / "cache")
    for rate in (6.25, None):
        assert len(ShardCorpus([path], replace(FRAMES, frame_rate=rate), tmp_path / "cache")) == 1
    write_shard(path, [make_sample(0)])  # which does not say
    assert len(ShardCorpus([path], replace(FRAMES, frame_rate=12.5), tmp_path / "cache")) == 1


def test_the_index_is_kept_until_the_shard_changes(tmp_path: Path) -> None:
    path, cache = tmp_path / "s.tar", tmp_path / "cache"
    write_shard(path, [make_sample(i) for i in range(3)])
    assert len(open_index(path, cache)) == 3
    (file,) = cache.iterdir()
    written = file.stat().st_mtime_ns
    assert isinstance(open_index(path, cache), np.memmap)
    assert file.stat().st_mtime_ns == written
    write_shard(path, [make_sample(i) for i in range(4)])
    assert len(open_index(path, cache)) == 4
    os.utime(path, (1, 1))
    open_index(path, cache)
    assert len(list(cache.iterdir())) == 3


def test_a_corpus_is_sent_to_other_processes_without_its_index(tmp_path: Path) -> None:
    write_shard(tmp_path / "s.tar", [make_sample(i) for i in range(300)])
    packed = pickle.dumps(open_shards(tmp_path))
    assert len(packed) < 2000
    assert_same(pickle.loads(packed)[299], make_sample(299))


def test_whole_videos_are_held_out(tmp_path: Path) -> None:
    samples = [make_sample(i, f"video {i % 10}") for i in range(40)]
    write_shard(tmp_path / "a.tar", samples[:25])
    write_shard(tmp_path / "b.tar", samples[25:])
    training, held_out = open_shards(tmp_path).split(0.3)
    assert sorted([*training, *held_out]) == list(range(40))
    assert {i % 10 for i in held_out} == {i for i in range(10) if video_hash(f"video {i}") < 0.3 * 2**64}


def test_groups_stay_whole(tmp_path: Path) -> None:
    """A shard that ends within a group has the rest of it as clips that cannot be read."""
    samples = [make_sample(i, f"video {i}") for i in range(12)]
    ends = write_shard(tmp_path / "a.tar", samples, group_size=4)
    write_shard(tmp_path / "b.tar", samples[:4], group_size=4)
    (tmp_path / "a.tar").write_bytes((tmp_path / "a.tar").read_bytes()[: ends[8]])
    corpus = open_shards(tmp_path)
    assert corpus.group_size == 4 and corpus.variants == ("variant 0", "variant 1", "variant 2", "variant 3")
    assert len(corpus) == 16 and [*bad_clips(corpus)] == [9, 10, 11]
    assert "ends within a group" in bad_clips(corpus)[10]
    assert corpus[12].clip_id == "video 0/0"
    for part in corpus.split(0.4):
        assert all(part[i] + 1 == part[i + 1] for i in range(len(part)) if part[i] % 4 != 3)


@pytest.mark.parametrize(("rate", "shown", "first"), [(6.25, 6.25, 5 - 1.5 / 6.25), (None, 0.4, 1.25)])
def test_captioning_knows_when_frames_are(tmp_path: Path, rate: float | None, shown: float, first: float) -> None:
    """Around the middle of the clip at the rate that was written, or spread over it, the middle of each part."""
    sample = replace(make_sample(0), clip_id="v/5.000-15.000")
    path = tmp_path / "s.tar"
    path.write_bytes(to_tar("0", to_members(sample, {"frame_rate": rate}, None)) + END_OF_TAR)
    clip = read_clip(open_shards(tmp_path), 0)
    assert clip.frame_rate == pytest.approx(shown) and clip.first == pytest.approx(first)
    times = replace(FRAMES, frame_rate=rate).times(5.0, 15.0)
    np.testing.assert_allclose(clip.annotated.start + clip.first + clip.times, times)

import numpy as np
import pytest
import timm

from egorobot.envs.history import history_indices
from egorobot.policies.controls import BlankEncoder, random_vit
from egorobot.policies.embedding import EMBED_BATCH, EmbeddingCache, embed_episode, embed_padded
from egorobot.policies.library import from_timm
from egorobot.policies.registry import load_encoder


class MeanEncoder:
    """Sees each frame's mean; counts what it is asked."""

    name, dim, fingerprint = "mean", 4, "mean 4"
    num_frames, frame_rate = 4, 6.25

    def __init__(self):
        self.batches = []

    def embed(self, frames):
        self.batches.append(frames.shape)
        return frames.mean((2, 3, 4), dtype=np.float32)


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (2 * EMBED_BATCH + 3, 1, 32, 32, 3), dtype=np.uint8)


def resnet():
    return from_timm("timm:resnet", timm.create_model("test_resnet"))


@pytest.mark.parametrize("make", [random_vit, resnet, lambda: load_encoder("egovideo_nano")])
def test_a_row_depends_on_neither_its_place_nor_its_neighbours(make, frames):
    encoder = make()
    frames = np.repeat(frames, encoder.num_frames, axis=1)
    together = embed_padded(encoder, frames)
    for i in (0, 1, EMBED_BATCH - 1, EMBED_BATCH, len(frames) - 1):
        np.testing.assert_array_equal(embed_padded(encoder, frames[i : i + 1])[0], together[i])
    np.testing.assert_array_equal(embed_padded(encoder, frames[::-1]), together[::-1])


def test_batches_have_one_size():
    encoder = MeanEncoder()
    embed_padded(encoder, np.zeros((EMBED_BATCH + 1, 4, 8, 8, 3), np.uint8))
    assert encoder.batches == [(EMBED_BATCH, 4, 8, 8, 3)] * 2
    assert embed_padded(encoder, np.zeros((0, 4, 8, 8, 3), np.uint8)).shape == (0, 4)


def test_an_episode_is_embedded_with_its_own_history():
    steps = np.arange(20, dtype=np.uint8)
    episode = np.broadcast_to(steps[:, None, None, None], (20, 8, 8, 3))
    embeddings = embed_episode(MeanEncoder(), episode)
    for step in range(20):
        np.testing.assert_array_equal(embeddings[step], history_indices(step, 4, 6.25))


def episode(value: int, length: int = 5) -> np.ndarray:
    return np.full((length, 8, 8, 3), value, np.uint8)


def test_what_is_kept_is_not_made_again(tmp_path):
    encoder = MeanEncoder()
    read = []

    def reader(i):
        read.append(i)
        return episode(i)

    def embed(count):
        names = [f"demo {i}" for i in range(count)]
        return EmbeddingCache(tmp_path, encoder).embed(names, [5] * count, "camera", reader, progress=False)

    first = embed(2)
    assert read == [0, 1]
    grown = embed(3)  # a dataset that was extended
    assert read == [0, 1, 2]
    np.testing.assert_array_equal(grown[:2], first)
    assert [e[0, 0] for e in grown] == [0, 1, 2]


def test_a_killed_process_loses_one_demonstration(tmp_path):
    cache = EmbeddingCache(tmp_path, MeanEncoder())
    names = ["a", "b", "c"]

    def dies(i):
        if i == 1:
            raise KeyboardInterrupt
        return episode(i)

    with pytest.raises(KeyboardInterrupt):
        cache.embed(names, [5] * 3, "camera", dies, progress=False)
    assert [cache.path(n, "camera").exists() for n in names] == [True, False, False]
    assert len(list(cache.folder.iterdir())) == 1  # no half-written file


def test_other_encoders_histories_and_cameras_have_other_keys(tmp_path):
    encoder = MeanEncoder()
    path = EmbeddingCache(tmp_path, encoder).path("demo", "left")
    assert EmbeddingCache(tmp_path, encoder).path("demo", "right") != path
    assert EmbeddingCache(tmp_path, encoder).path("other demo", "left") != path
    assert EmbeddingCache(tmp_path, BlankEncoder()).path("demo", "left") != path
    encoder.num_frames = 8
    assert EmbeddingCache(tmp_path, encoder).path("demo", "left") != path


@pytest.mark.parametrize("harm", ["truncate", "garbage", "shape", "pickle"])
def test_damaged_files_are_made_again(harm, tmp_path):
    cache = EmbeddingCache(tmp_path, MeanEncoder())

    def embed():
        return cache.embed(["demo"], [5], "camera", lambda i: episode(9), progress=False)[0]

    good = embed()
    path = cache.path("demo", "camera")
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:-5])
    elif harm == "garbage":
        path.write_bytes(b"nothing")
    elif harm == "shape":
        np.save(path, good[:2])
    else:
        np.save(path, np.array([{}], dtype=object), allow_pickle=True)
    np.testing.assert_array_equal(embed(), good)
    np.testing.assert_array_equal(np.load(path), good)

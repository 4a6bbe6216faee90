"""A corpus in memory, and a model to go with it, for the tests of training."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from egorobot.pretrain import data
from egorobot.pretrain.batches import TrainingBatches, TrainingCorpus
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.model.text import vocabulary_of
from egorobot.pretrain.options import CorpusOptions, PretrainOptions

TINY_MODEL = {
    "num_slow": 1, "fast_ratio": 2, "image_size": 32, "patch_size": 8, "fast_image_size": 16, "fast_patch_size": 8,
    "width": 32, "depth": 2, "heads": 2, "joint_dim": 32, "text_width": 32, "text_depth": 1, "text_heads": 2,
    "grid_size": 4, "grid_channels": 4, "stem": (),
}  # fmt: skip

# In a file of its own, since other processes import it too.
TINY_CORPUS = """
import os
import signal

import numpy as np

from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords, HandObjectTracks

WORDS = "opens closes lifts pushes kettle door knob light left right".split()


class TinyCorpus:
    variants = ()

    def __init__(self, name, num_clips, group_size=1, shape=(32, 32), bad=()):
        self.name, self.num_clips, self.group_size, self.shape, self.bad = name, num_clips, group_size, shape, bad

    def __len__(self):
        return self.num_clips

    def __getitem__(self, number):
        if number in self.bad:
            raise BadClip(f"clip {number} is bad")
        rng = np.random.default_rng([number, *map(ord, self.name)])
        frames = rng.integers(0, 256, (2, *self.shape, 3), dtype=np.uint8)
        said, done = (" ".join(rng.choice(WORDS, length)) for length in (3, 5))
        corners = np.sort(rng.random((2, 3, 2, 2), np.float32), axis=2).reshape(2, 3, 4)
        boxes = HandObjectTracks(corners[:, :2], corners[:, 2], np.zeros((2, 2), bool))
        tracks = boxes if number % 3 else None
        return ClipSample(self.clip_id(number), f"video {number}", frames, 2, [said], [f"the hand {done}"], tracks)

    def clip_id(self, number):
        return f"{self.name}/{number}"

    def words(self, number):
        sample = self[number]
        return ClipWords(sample.narrations, sample.hod)

    def captions(self):
        for number in range(self.num_clips):
            if number not in self.bad:
                yield from self[number].captions

    def split(self, valid_share):
        held_out = round(valid_share * self.num_clips / self.group_size) * self.group_size
        return range(self.num_clips - held_out), range(self.num_clips - held_out, self.num_clips)


class DeadlyCorpus(TinyCorpus):
    def __getitem__(self, number):
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="session")
def tiny_folder(shared_folder: Path) -> Path:
    """A folder with the module `egorobot_tiny_corpus`."""
    path = shared_folder / "egorobot_tiny_corpus.py"
    if not path.exists():
        path.write_text(TINY_CORPUS)
    if str(shared_folder) not in sys.path:
        sys.path.insert(0, str(shared_folder))
    return shared_folder


@pytest.fixture(scope="session")
def tiny_corpus(tiny_folder: Path) -> Any:
    """The class TinyCorpus(name, num_clips, group_size=1, shape=(32, 32), bad=())."""
    return importlib.import_module("egorobot_tiny_corpus").TinyCorpus


@pytest.fixture(scope="session")
def deadly_corpus(tiny_corpus: Any) -> Any:
    """The class DeadlyCorpus, which kills the process that reads it."""
    return importlib.import_module("egorobot_tiny_corpus").DeadlyCorpus


@pytest.fixture
def tiny_sources(tiny_corpus: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources of corpora are the arguments of TinyCorpus."""
    monkeypatch.setattr(data, "make_corpus", lambda source, *_: tiny_corpus(**source))


@pytest.fixture(scope="session")
def tiny_options() -> PretrainOptions:
    """Four steps on two corpora, with `tiny_sources`."""
    corpora = {
        "main": CorpusOptions({"name": "singles", "num_clips": 24}),
        "groups": CorpusOptions({"name": "groups", "num_clips": 24, "group_size": 4, "shape": (40, 48)}, 0.5),
    }
    return PretrainOptions(
        corpora,
        model=TINY_MODEL,
        valid_share=0.2,
        steps=4,
        batch_size=8,
        learning_rate=3e-3,
        text_share=0.5,
        precision="float64",
    )


@pytest.fixture
def two_corpora(tiny_corpus: Any) -> list[TrainingCorpus]:
    """One of single clips, wide, and one of groups of four, square."""
    singles, groups = tiny_corpus("singles", 24, shape=(36, 48)), tiny_corpus("groups", 16, 4)
    return [TrainingCorpus(singles, range(24)), TrainingCorpus(groups, range(16))]


@pytest.fixture
def batches(two_corpora: list[TrainingCorpus]) -> TrainingBatches:
    """Batches of eight clips of both."""
    return TrainingBatches(two_corpora, batch_size=8, sizes=(32, 32), seed=0)


@pytest.fixture
def tiny_model(two_corpora: list[TrainingCorpus]) -> EgoVideo:
    """A model that knows the words of `two_corpora`."""
    captions = [caption for source in two_corpora for caption in source.corpus.captions()]
    return EgoVideo(get_size("nano", **TINY_MODEL, vocabulary=vocabulary_of(captions), box_head=True), seed=0)

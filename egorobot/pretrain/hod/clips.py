"""Clips as captioning sees them, whatever corpus they come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.corpora.frames import SteadyFrames
from egorobot.pretrain.corpora.shards import ShardCorpus
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.samples import Corpus, HandObjectTracks, clip_span


@dataclass(frozen=True)
class HodClip:
    """What detectors are given.

    Attributes:
        annotated: which stretch of which video it is, and what is said of it.
        frames: uint8, (F, H, W, 3).
        frame_rate: of the frames, in Hz.
        tracks: the truth, where the corpus has it.
        first: when the first frame is, in s from the clip's start.
    """

    annotated: AnnotatedClip
    frames: NDArray[np.uint8]
    frame_rate: float
    tracks: HandObjectTracks | None = None
    first: float = 0.0

    @property
    def times(self) -> NDArray[np.float64]:
        """When the frames are, in s from the first, (F,)."""
        return np.arange(len(self.frames)) / self.frame_rate


def read_clip(corpus: Corpus, number: int) -> HodClip:
    """Return clip `number` of `corpus`, all its frames.

    Raises:
        BadClip: it cannot be read, or its name does not say when it is.
    """
    sample = corpus[number]
    count = len(sample.frames_fast)
    if isinstance(corpus, VideoCorpus):
        annotated = corpus.table[number]
        if isinstance(corpus.frames, SteadyFrames):
            return HodClip(annotated, sample.frames_fast, corpus.frames.frame_rate, sample.tracks)
    else:
        video_id, start, end = clip_span(sample.clip_id)
        annotated = AnnotatedClip(video_id, corpus.name, start, end, sample.narrations, sample.hod)
    seconds = annotated.end - annotated.start
    if isinstance(corpus, ShardCorpus):  # frames of a video, around the clip's middle or spread over it
        rate = corpus.frame_rate or count / seconds
        return HodClip(annotated, sample.frames_fast, rate, sample.tracks, (seconds - (count - 1) / rate) / 2)
    return HodClip(annotated, sample.frames_fast, count / seconds, sample.tracks)


def annotations(corpus: Corpus) -> str | None:
    """Return a hash of what the annotation files of a corpus say; None where it has none."""
    return corpus.table.fingerprint() if isinstance(corpus, VideoCorpus) else None

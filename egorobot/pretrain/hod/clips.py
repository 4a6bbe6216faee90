"""Clips as captioning sees them, whatever corpus they come from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.corpora.frames import SteadyFrames
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
    """

    annotated: AnnotatedClip
    frames: NDArray[np.uint8]
    frame_rate: float
    tracks: HandObjectTracks | None = None

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
    rate = None
    if isinstance(corpus, VideoCorpus):
        annotated = corpus.table[number]
        rate = corpus.frames.frame_rate if isinstance(corpus.frames, SteadyFrames) else None
    else:
        video_id, start, end = clip_span(sample.clip_id)
        annotated = AnnotatedClip(video_id, corpus.name, start, end, sample.narrations, sample.hod)
    rate = rate or len(sample.frames_fast) / (annotated.end - annotated.start)
    return HodClip(annotated, sample.frames_fast, rate, sample.tracks)

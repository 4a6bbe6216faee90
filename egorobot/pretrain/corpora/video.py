"""A corpus of clips that are stretches of videos, named by annotation files and decoded when they are read."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import AnnotatedClip, ClipTable
from egorobot.pretrain.corpora.decoding import VideoReader, check_decoder, open_video
from egorobot.pretrain.corpora.frames import ROUNDING, ClipFrames, SteadyFrames
from egorobot.pretrain.corpora.splitting import split_by_video, video_hash
from egorobot.pretrain.corpora.track_table import TrackTable
from egorobot.pretrain.corpora.video_files import VideoFolder, VideoPart
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords


@dataclass
class VideoCorpus:
    """Clips by number; see `Corpus`.

    Attributes:
        table: the clips.
        folder: the videos.
        frames: which frames samples have.
        decoder: what reads them, see `open_video`.
        threads: that decode. With one, as many processes as cores make the most clips.
        tracks: where hands and objects are, if that is known.
        name: what the corpus is called in messages.
        group_size: 1.
        variants: none.

    Raises:
        UserError: none of the videos is there, or the decoder is not, or `tracks` are of other clips.
    """

    table: ClipTable
    folder: VideoFolder
    frames: ClipFrames | SteadyFrames
    decoder: str = "pyav"
    threads: int = 1
    tracks: TrackTable | None = None
    name: str = "video"
    group_size: int = 1
    variants: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that there is something to read, and something that reads it."""
        check_decoder(self.decoder)
        table = self.table
        self.folder.check((table.video_ids[i], table.datasets[i]) for i in range(len(table.video_ids)))
        if self.tracks is not None and not any(self.tracks.has(self.clip_id(number)) for number in range(len(self))):
            raise UserError(
                f"the records of hands and objects are of none of the clips of corpus {self.name}, whose first is "
                f"{self.clip_id(0)}: were they made of other clips?"
            )

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`.

        Raises:
            BadClip: a video is missing, damaged or shorter than the clip says.
        """
        clip = self.table[number]
        frames, times = self._read(clip)
        return ClipSample(
            clip_id=clip.clip_id,
            video_id=clip.video_id,
            frames_fast=frames,
            fast_ratio=self.frames.fast_ratio,
            narrations=clip.narrations,
            hod=clip.hod,
            tracks=None if self.tracks is None else self.tracks.at(clip.clip_id, times),
        )

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`: its video and its times."""
        return self.table[number].clip_id

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`."""
        clip = self.table[number]
        return ClipWords(clip.narrations, clip.hod)

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips."""
        return self.table.captions()

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out; see `split_by_video`."""
        videos = self.table.video_ids
        hashes = np.array([video_hash(videos[i]) for i in range(len(videos))], np.uint64)
        return split_by_video(hashes[self.table.videos], valid_share, self.name)

    def _read(self, clip: AnnotatedClip) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
        """Return the frames of `clip`, uint8 (F, H, W, 3), and when they are, in s (F,)."""
        times = self.frames.times(clip.start, clip.end)
        reach = max(0.0, times[-1] - clip.end)  # how far frames may have to move back, see `_inside`
        first = max(0.0, min(clip.start, times[0]) - reach)
        parts = self.folder.parts(clip.video_id, clip.dataset, first, max(clip.end - ROUNDING, times[-1]))
        with ExitStack() as stack:
            readers = [stack.enter_context(open_video(part.path, self.decoder, self.threads)) for part in parts]
            times = _inside(times, clip, parts[-1], readers[-1])
            owners = np.searchsorted([part.start for part in parts], times + ROUNDING, side="right") - 1
            owners = owners.clip(0)  # a time just before the first part is that part's
            images = [
                readers[i].frames_at(list(times[owners == i] - parts[i].start), self.frames.short_side)
                for i in np.unique(owners)
            ]
        if len({image.shape[1:] for image in images}) > 1:
            raise BadClip(f"the chunks of {clip.video_id} differ in size")
        return np.concatenate(images), times


def _inside(
    times: NDArray[np.float64], clip: AnnotatedClip, last: VideoPart, reader: VideoReader
) -> NDArray[np.float64]:
    """Return `times` moved, all alike, so that none lies before or behind the video.

    Frames of a fixed rate reach beyond a clip that is short; that is not the clip's fault.

    Raises:
        BadClip: the video is shorter than the clip says, or than the frames need.
    """
    times = times - min(0.0, times[0])
    if reader.seconds is None:
        return times
    end = last.start + reader.seconds
    if clip.end > end + reader.frame_interval + ROUNDING:
        raise BadClip(f"the clip ends at {clip.end:.2f} s, and its video {last.path} at {end:.2f} s")
    times = times - max(0.0, times[-1] - end)
    if times[0] < -reader.frame_interval:
        raise BadClip(f"the video {last.path} is shorter ({end:.2f} s) than the frames of a clip")
    return times

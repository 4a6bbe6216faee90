"""What every corpus of clips offers, whatever it is made of."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

SIDES = ("left", "right")  # order of hands in `HandObjectTracks`


class BadClip(Exception):
    """A clip that cannot be read; the message is the reason, in one line."""


def clip_name(video_id: str, start: float, end: float) -> str:
    """Return what the stretch of a video from `start` to `end`, in s, is called."""
    return f"{video_id}/{start:.3f}-{end:.3f}"


def clip_span(clip_id: str) -> tuple[str, float, float]:
    """Return the video, the start and the end, in s, of a clip that `clip_name` named.

    Raises:
        BadClip: the name does not tell them.

    Example:
        >>> clip_span("kitchen/12/0.500-2.000")
        ('kitchen/12', 0.5, 2.0)
    """
    found = re.fullmatch(r"(.*)/(\d+\.\d+)-(\d+\.\d+)", clip_id, re.DOTALL)
    if found is None or float(found[2]) >= float(found[3]):
        raise BadClip(f"the name {clip_id} does not say from when to when the clip is: <video>/<start>-<end>, in s")
    return found[1], float(found[2]), float(found[3])


@dataclass(frozen=True)
class HandObjectTracks:
    """Where hands and the object they work on are, frame by frame.

    Attributes:
        hands: boxes of the left and of the right hand, float32 (F, 2, 4): left, top,
            right, bottom in the image, in [0, 1]; NaN where a hand is not in view.
        object: box of the object, float32 (F, 4), likewise.
        contact: whether the left and the right hand touch the object, (F, 2).
    """

    hands: NDArray[np.float32]
    object: NDArray[np.float32]
    contact: NDArray[np.bool_]

    def to_array(self) -> NDArray[np.float32]:
        """Return all of it as one array, (F, 14)."""
        frames = len(self.hands)
        parts = [self.hands.reshape(frames, 8), self.object, self.contact.astype(np.float32)]
        return np.concatenate(parts, axis=1)

    @classmethod
    def from_array(cls, array: NDArray[np.float32]) -> "HandObjectTracks":
        """Return the tracks that `to_array` made `array` (F, 14) of."""
        return cls(array[:, :8].reshape(-1, 2, 4), array[:, 8:12], array[:, 12:] > 0.5)

    def reversed(self) -> "HandObjectTracks":
        """Return the tracks of the clip played backwards."""
        return HandObjectTracks(self.hands[::-1], self.object[::-1], self.contact[::-1])

    def mirrored(self) -> "HandObjectTracks":
        """Return the tracks of the mirrored clip: places and the two hands exchanged."""
        return HandObjectTracks(_mirror(self.hands)[:, ::-1], _mirror(self.object), self.contact[:, ::-1])

    def cropped(self, left: float, top: float, right: float, bottom: float) -> "HandObjectTracks":
        """Return the tracks in a part of the frame, whose sides are in [0, 1]; what is not in it is not in view."""
        corner = np.array([left, top] * 2, np.float32)
        size = np.array([right - left, bottom - top] * 2, np.float32)

        def within(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
            moved = np.clip((boxes - corner) / size, 0, 1)
            outside = (moved[..., :2] >= moved[..., 2:]).any(axis=-1, keepdims=True)
            return np.where(outside, np.float32(np.nan), moved)

        return HandObjectTracks(within(self.hands), within(self.object), self.contact)


def _mirror(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    left, top, right, bottom = np.moveaxis(boxes, -1, 0)
    return np.stack([1 - right, top, 1 - left, bottom], axis=-1)


class ClipWords(NamedTuple):
    """What is said of a clip; the same as in its `ClipSample`."""

    narrations: list[str]
    hod: list[str]


@dataclass(frozen=True)
class ClipSample:
    """One clip as training sees it.

    Attributes:
        clip_id: its name, unique in its corpus.
        video_id: what it was cut from.
        frames_fast: frames of the high-rate stream, uint8, (lambda*T, H, W, 3).
        fast_ratio: lambda.
        narrations: what people said of it, one at least unless `hod` has one.
        hod: captions of its hand-object dynamics.
        tracks: ground truth or detections, where there are any.
    """

    clip_id: str
    video_id: str
    frames_fast: NDArray[np.uint8]
    fast_ratio: int
    narrations: list[str]
    hod: list[str]
    tracks: HandObjectTracks | None = None

    @property
    def frames_slow(self) -> NDArray[np.uint8]:
        """Frames of the low-rate stream, uint8, (T, H, W, 3): every lambda-th, the last among them."""
        return self.frames_fast[self.fast_ratio - 1 :: self.fast_ratio]

    @property
    def captions(self) -> list[str]:
        """The narrations, then the captions of hand-object dynamics."""
        return [*self.narrations, *self.hod]

    def with_frames(self, frames: NDArray[np.uint8]) -> "ClipSample":
        """Return the same clip with other `frames`."""
        return replace(self, frames_fast=frames)


class FittedClip(NamedTuple):
    """A clip in the sizes that a model takes.

    Attributes:
        sample: the clip, with frames of the high-rate stream's size.
        slow: frames of the low-rate stream, uint8 (T, H, W, 3), where they have another size.
    """

    sample: ClipSample
    slow: NDArray[np.uint8] | None


@runtime_checkable
class Fitting(Protocol):
    """A corpus that keeps clips in the sizes that a model takes, for those who read them often."""

    def fitted(self, number: int, sizes: tuple[int, int]) -> FittedClip | None:
        """Return clip `number`, or None where it is not kept in such sizes.

        Args:
            number: of the clip.
            sizes: sides of the low-rate and of the high-rate stream's frames, in pixels.
        """


class Corpus(Protocol):
    """Clips by number; reading one depends on its number only.

    Attributes:
        name: what it is called in messages.
        group_size: clips that a batch takes together; their numbers follow each other.
        variants: what sets each clip of a group apart from its first, by name, the first
            clip's own name included; empty where groups are single clips.
    """

    name: str
    group_size: int
    variants: tuple[str, ...]

    def __len__(self) -> int:
        """Return how many clips there are."""

    def __getitem__(self, number: int) -> ClipSample:
        """Return clip `number`.

        Raises:
            BadClip: it cannot be read.
        """

    def clip_id(self, number: int) -> str:
        """Return the name of clip `number`, without reading it."""

    def words(self, number: int) -> ClipWords:
        """Return what is said of clip `number`, without reading its frames.

        Raises:
            BadClip: it cannot be read.
        """

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips."""

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        """Return the clips to train on and those held out, in whole groups; none shares a video with the others.

        Args:
            valid_share: about which share is held out, in (0, 1).

        Raises:
            UserError: one of the two would be empty.
        """

"""Which clips are held out: whole videos, chosen by a hash of their names, the same ones whenever asked."""

import hashlib
from array import array

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError


def video_hash(video_id: str) -> int:
    """Return a number in [0, 2^64) that depends on the name only."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8], "little")


def split_by_video(hashes: NDArray[np.uint64], valid_share: float, corpus: str) -> tuple["array[int]", "array[int]"]:
    """Return the numbers of the clips to train on, and of those held out.

    A video is held out if its hash is in the lowest `valid_share` of all numbers, so more
    videos can come without those that are there changing sides. Where that leaves one
    side empty, the video with the lowest or the highest hash goes there.

    Args:
        hashes: of each clip's video, (C,).
        valid_share: about which share of the videos is held out, in (0, 1).
        corpus: its name, for the message.

    Raises:
        UserError: all clips are of one video.
    """
    if len(hashes) == 0 or hashes.min() == hashes.max():
        raise UserError(f"corpus {corpus} has one video only, and none can be held out to measure with: add another")
    limit = min(max(round(valid_share * 2**64), int(hashes.min()) + 1), int(hashes.max()))
    held_out = hashes < np.uint64(limit)
    return _numbers(~held_out), _numbers(held_out)


def _numbers(chosen: NDArray[np.bool_]) -> "array[int]":
    # 8 bytes a clip, and Python's own numbers when they are asked for one by one.
    return array("q", np.flatnonzero(chosen).astype(np.int64).tobytes())

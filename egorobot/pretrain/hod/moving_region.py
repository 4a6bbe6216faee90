"""The object as the region that moves with a hand, whatever it is: from dense optical flow, without a network."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hod.captioning import Detector
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections, HandDetection
from egorobot.pretrain.hod.optical_flow import Motion, Region, motion_between, region_of, small_image
from egorobot.pretrain.samples import SIDES

BASELINE = 0.1  # s between the frames that are compared: over less, a hand moves by less than flow can measure
STEADY = 0.3  # s that votes on contact are summed over
MIN_VOTES = 2  # frames that a contact is told by, more than speak against it: one alone may be noise
NO_CONTACT, UNKNOWN, CONTACT = -1, 0, 1  # what a frame says of a hand


class MovingRegion:
    """Adds to another detector's hands the region that moves with one of them, and their contact.

    Camera motion is the median flow outside the hands, and is subtracted. A hand that then
    moves is compared with the pixels around it, up to one size of its box away: those that
    move as it does are the object. It is an object of a frame with a score of at most 0.6,
    lower where the hand is slow, the region is small or its motion differs from the hand's.

    A hand whose contact the other detector does not tell gets "P" while a region that moves
    with it touches it, "N" while it moves alone past surroundings that have texture. Else,
    as while it rests, it keeps what it had; a hand of which nothing is ever known gets None.
    What the hand's own box covers cannot be told from it: a small thing in a fist is missed.

    A forearm moves with its hand too: what has the hand's colour or reaches the edge of the
    image is taken for one and left out, and so are objects of that kind. A sleeve that ends
    within the image is not told from an object, and what has no texture is not seen.

    Args:
        hands: finds the hands; objects that it finds are kept.
    """

    name = "motion"

    def __init__(self, hands: Detector) -> None:
        self.hands = hands

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return what the other detector finds in each frame of `clip`, with regions and contact added.

        Raises:
            BadClip: the other detector raises it.
            UserError: OpenCV is not installed, or the other detector raises it.
        """
        frames = self.hands.detect(clip)
        motions = _motions(clip, frames)
        regions = [_regions(frame, motion) for frame, motion in zip(frames, motions, strict=True)]
        reach = max(1, round(STEADY * clip.frame_rate / 2))
        contacts = {side: _steady([_vote(found.get(side)) for found in regions], reach) for side in SIDES}
        added = []
        for i, (frame, found) in enumerate(zip(frames, regions, strict=True)):
            hands = [_with_contact(hand, contacts[hand.side][i]) for hand in frame.hands]
            things = [region.thing for region in found.values() if region.thing is not None]
            best = sorted(things, key=lambda thing: thing.score)[-1:]
            added.append(replace(frame, hands=hands, objects=[*frame.objects, *best]))
        return added


def _motions(clip: HodClip, frames: Sequence[FrameDetections]) -> list[Motion | None]:
    """Return how each frame that has hands moves against one before or after it."""
    last = len(frames) - 1
    step = min(max(1, round(BASELINE * clip.frame_rate)), last)
    if last < 1 or not any(frame.hands for frame in frames):
        return [None] * len(frames)
    images = [small_image(frame) for frame in clip.frames]
    motions = []
    for i, frame in enumerate(frames):
        other = i + step if i + step <= last else i - step  # which way does not matter, only what moves alike
        boxes = [hand.box for hand in frame.hands]
        motions.append(motion_between(images[i], images[other], boxes) if boxes else None)
    return motions


def _regions(frame: FrameDetections, motion: Motion | None) -> dict[str, Region]:
    """Return what moves with the surest hand of each side, by side; nothing for a hand that rests."""
    if motion is None:
        return {}
    surest = {hand.side: hand for hand in sorted(frame.hands, key=lambda hand: hand.score)}
    found = {side: region_of(motion, hand.box) for side, hand in surest.items()}
    return {side: region for side, region in found.items() if region is not None}


def _vote(region: Region | None) -> int:
    if region is None or region.touches is None:
        return UNKNOWN
    return CONTACT if region.touches else NO_CONTACT


def _steady(votes: Sequence[int], reach: int) -> list[str | None]:
    """Return the contact in each frame: what most of the frames at most `reach` away say.

    Frames without a majority are as the one before; those before the first, as the first:
    a hand that was not seen to take a thing must not be said to.
    """
    sums = np.convolve(votes, np.ones(2 * reach + 1, int))[reach : reach + len(votes)]
    told: NDArray[np.int64] = np.flatnonzero(np.abs(sums) >= MIN_VOTES)
    if not len(told):
        return [None] * len(votes)
    before = np.maximum(np.searchsorted(told, np.arange(len(votes)), side="right") - 1, 0)
    return ["P" if sums[i] > 0 else "N" for i in told[before]]


def _with_contact(hand: HandDetection, contact: str | None) -> HandDetection:
    return hand if hand.contact is not None else replace(hand, contact=contact)

"""What a scenario shows, played without rendering: words' and boxes' ground truth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hands.boxes import BoxFinder
from egorobot.pretrain.hands.camera import project
from egorobot.pretrain.hands.captions import SeenObject, Story, opening_words
from egorobot.pretrain.hands.fixtures import FIXTURES, KETTLE_SITE
from egorobot.pretrain.hands.motion import Motion
from egorobot.pretrain.hands.pose import Vector
from egorobot.pretrain.hands.scene import HandKitchen
from egorobot.pretrain.hands.staging import Scenario, Stage
from egorobot.pretrain.samples import SIDES, HandObjectTracks

HANDLE_REACH = 0.3  # m before a handle within which it is its own door or the hand that is seen


@dataclass(frozen=True)
class Take:
    """What a scenario shows.

    Attributes:
        story: what is said of it.
        others_first: other things in view at the first frame.
        tracks: boxes and contact.
        hidden: whether something stands before the handle at either end.
    """

    story: Story
    others_first: list[SeenObject]
    tracks: HandObjectTracks
    hidden: bool

    def is_in_view(self) -> bool:
        """Return whether the handle is in view at both ends, nothing before it, and the hand in most frames."""
        story = self.story
        seen = sum(inside(place) for place in story.hand)
        return (
            not self.hidden and inside(story.handle[0]) and inside(story.handle[-1]) and seen > 0.75 * len(story.hand)
        )


def take(stage: Stage, boxes: BoxFinder, scenario: Scenario) -> Take:
    """Play `scenario` on `stage` without rendering it, and return what it shows."""
    stage.reset(scenario.scene)
    motion, path, count = scenario.motion, scenario.path, stage.options.num_frames
    middle, axes = path.at(0.5)
    hands, handles, places, handle_places, found, others = [], [], [], [], [], []
    hidden = False
    for frame in range(count):
        point = stage.place(scenario, frame).point
        handle = stage.kitchen.data.site(motion.site).xpos.copy()
        view = path.at(frame / max(count - 1, 1))
        hands.append(point)
        handles.append(handle)
        places.append(project(point, *view, path.fovy))
        handle_places.append(project(handle, *view, path.fovy))
        found.append(boxes.find(motion, *view, path.fovy))
        if frame in (0, count - 1):
            hidden = hidden or stage.kitchen.is_hidden(handle, view[0], HANDLE_REACH)
            others.append(_others(stage.kitchen, motion, *view, path.fovy))
    contact = np.array([motion.in_contact(stage.time(i)) for i in range(count)])
    opening = np.empty(0)
    if motion.fixture:
        opening = np.array([float(motion.position(stage.time(i))[0]) for i in range(count)]) / motion.fixture.opened
    story = Story(
        side=motion.side,
        verb=motion.verb,
        fixture=motion.fixture,
        noun=motion.noun,
        hand=np.array(places),
        handle=np.array(handle_places),
        contact=contact,
        hand_in_camera=(np.array(hands) - middle) @ axes,
        handle_in_camera=(np.array(handles) - middle) @ axes,
        distance=np.linalg.norm(np.array(hands) - handles, axis=1),
        height=np.array(handles)[:, 2],
        opening=opening,
        others=others[-1],
    )
    side = SIDES.index(motion.side)
    touches = np.zeros((count, 2), bool)
    touches[:, side] = contact
    hand_boxes, object_boxes = (np.stack(part).astype(np.float32) for part in zip(*found, strict=True))
    return Take(story, others[0], HandObjectTracks(hand_boxes, object_boxes, touches), hidden)


def _others(
    kitchen: HandKitchen, motion: Motion, eye: Vector, rotation: NDArray[np.float64], fovy: float
) -> list[SeenObject]:
    """Return what else is in view now, nothing before it."""
    things = [(KETTLE_SITE, "kettle", "")] if motion.fixture else []
    for fixture in FIXTURES:
        if fixture is not motion.fixture:
            opening = float(kitchen.data.joint(fixture.joint).qpos[0]) / fixture.opened
            things.append((fixture.site, fixture.noun, opening_words(fixture.states, opening)))
    seen = []
    for site, noun, state in things:
        point = kitchen.data.site(site).xpos
        place = project(point, eye, rotation, fovy)
        if inside(place) and not kitchen.is_hidden(point, eye, HANDLE_REACH):
            seen.append(SeenObject(noun, state, place))
    return seen


def inside(place: Vector) -> bool:
    """Return whether (u, v) is in the image."""
    return bool((place >= 0).all() and (place <= 1).all())

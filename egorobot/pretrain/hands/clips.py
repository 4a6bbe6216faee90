"""Rendering clips, in groups whose members differ in one thing; each a pure function of options, seed and number."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.rendering import OffscreenRenderer
from egorobot.pretrain.hands.appearance import Appearance
from egorobot.pretrain.hands.boxes import BoxFinder
from egorobot.pretrain.hands.camera import HeadPath, draw_head, draw_near_robot_camera, project
from egorobot.pretrain.hands.captions import SeenObject, Story, hand_sentence, hod_captions, narration, opening_words
from egorobot.pretrain.hands.draws import draw_distraction, draw_kettle_place, draw_motion
from egorobot.pretrain.hands.fixtures import FIXTURES, KETTLE_SITE
from egorobot.pretrain.hands.motion import Distraction, Motion, place_kettle
from egorobot.pretrain.hands.pose import HandPose, Vector
from egorobot.pretrain.hands.scene import HEAD_CAMERA, PRESET, SIDES, HandKitchen
from egorobot.pretrain.samples import HandObjectTracks

# The clips of a group, and what sets each apart from the first: time, direction, hand.
VARIANTS = ("original", "reversed", "other direction", "other hand")
RENDERED = ("original", "other direction", "other hand")  # a reversed clip is the first, played backwards
VIDEO_GROUPS = 2  # groups with the same kitchen, light and colours

MAX_TRIES = 200  # to draw a group whose hands are in view
HANDLE_REACH = 0.3  # m before a handle within which it is its own door or the hand that is seen
DISTRACTION_SHARE = 0.4  # of the groups in which the other hand is about

# Counted up when clips of the same options come out differently; part of the cache's key.
VERSION = 2


@dataclass(frozen=True)
class ClipOptions:
    """What clips are like.

    Attributes:
        num_frames: frames of a clip.
        frame_rate: in Hz.
        image_size: side of a frame, in pixels.
        robot_views: share of clips seen from near the robot's cameras, in [0, 1].
        desk: largest offset of the desk along x and y, in m.
        open_share: share of the fixtures not worked on that are found open, in [0, 1].
    """

    num_frames: int = 8
    frame_rate: float = 6.25
    image_size: int = 112
    robot_views: float = 0.25
    desk: float = 0.12
    open_share: float = 0.3

    def to_dict(self) -> dict[str, Any]:
        """Return the options and the renderer's version, for a cache's key."""
        return {**asdict(self), "version": VERSION}


@dataclass(frozen=True)
class RenderedClip:
    """One clip.

    Attributes:
        frames: uint8, (F, H, W, 3).
        narration: what happens, in general.
        hod: captions of hand and object.
        tracks: boxes and contact.
    """

    frames: NDArray[np.uint8]
    narration: str
    hod: list[str]
    tracks: HandObjectTracks


class ClipRenderer:
    """Draws groups of clips of simulated hands; one OpenGL context.

    Args:
        options: what clips are like.
    """

    def __init__(self, options: ClipOptions) -> None:
        self.options = options
        self.kitchen = HandKitchen()
        self.appearance = Appearance(self.kitchen.model)
        self.renderer = OffscreenRenderer(self.kitchen.model, PRESET, options.image_size)
        self.boxes = BoxFinder(self.kitchen)

    def group(self, seed: int, number: int) -> list[RenderedClip]:
        """Return the clips of group `number` of the corpus with `seed`, in the order of `VARIANTS`."""
        scene = self._draw_scene(np.random.default_rng([seed, 0, number // VIDEO_GROUPS]))
        rng = np.random.default_rng([seed, 1, number])
        scenarios, takes = self._draw_in_view(rng, scene)
        stories = _stories(takes)
        self.appearance.draw(np.random.default_rng([seed, 2, number // VIDEO_GROUPS]), plain=scene.plain)
        frames = [self._render(scenario) for scenario in scenarios]
        tracks = [take.tracks for take in takes]
        words = narration(stories[0], rng)  # the same for all: it cannot tell them apart
        return [
            RenderedClip(f, words, hod_captions(story, rng), t)
            for f, story, t in zip(
                [frames[0], frames[0][::-1], *frames[1:]],
                stories,
                [tracks[0], tracks[0].reversed(), *tracks[1:]],
                strict=True,
            )
        ]

    def close(self) -> None:
        """Free the OpenGL context."""
        self.renderer.close()

    def _draw_scene(self, rng: np.random.Generator) -> "_Scene":
        options = self.options
        near_robot = bool(rng.random() < options.robot_views)
        openings = [rng.uniform(0.1, 1.0) if rng.random() < options.open_share else 0.0 for _ in FIXTURES]
        desk = rng.uniform((-options.desk, -options.desk, -0.1), (options.desk, options.desk, 0.0))
        kettle = draw_kettle_place(rng, desk)
        return _Scene(
            near_robot, near_robot and bool(rng.random() < 0.5), desk, openings, kettle, rng.uniform(-0.3, 0.3)
        )

    def _draw_in_view(self, rng: np.random.Generator, scene: "_Scene") -> tuple[list["_Scenario"], list["_Take"]]:
        """Draw until everything can be seen and the clips' captions differ."""
        for _ in range(MAX_TRIES):
            scenarios = self._draw(rng, scene)
            takes: list[_Take] = []
            for scenario in scenarios:
                takes.append(self._take(scenario))
                if not takes[-1].is_in_view():
                    break
            else:
                if len(set(map(hand_sentence, _stories(takes)))) == len(VARIANTS):
                    return scenarios, takes
        raise RuntimeError(f"{MAX_TRIES} groups drawn, and none is in view: {self.options}")

    def _draw(self, rng: np.random.Generator, scene: "_Scene") -> list["_Scenario"]:
        """Draw a motion, who else is about and where it is seen from; return what is to be rendered."""
        kitchen = self.kitchen
        kitchen.model.body_pos[kitchen.desk_id] = kitchen.desk_rest + scene.desk
        length = self._time(self.options.num_frames - 1)
        shift = rng.uniform(-0.15, 0.15)
        motion = draw_motion(rng, length, scene.desk, 0.0, scene.near_robot)
        self._reset(scene)
        kitchen.forward()
        handle = kitchen.data.site(motion.site).xpos.copy()
        body = 0.7 * handle[0] + shift
        motion = motion.with_body(body)
        other = None
        if rng.random() < DISTRACTION_SHARE:
            other = draw_distraction(rng, "left" if motion.side == "right" else "right", body, scene.near_robot)
        motion.apply(kitchen, length / 2)
        focus = kitchen.data.site(motion.site).xpos.copy()
        path = draw_near_robot_camera(rng, focus, scene.desk) if scene.near_robot else draw_head(rng, focus, body)
        first = _Scenario(scene, motion, other, path)
        hand = _Scenario(scene, motion.with_other_hand(), other and other.with_other_hand(body), path)
        return [first, _Scenario(scene, motion.turned_round(), other, path), hand]

    def _time(self, frame: int) -> float:
        return frame / self.options.frame_rate

    def _reset(self, scene: "_Scene") -> None:
        """Put everything that no motion moves where it is."""
        for fixture, opening in zip(FIXTURES, scene.openings, strict=True):
            self.kitchen.set_joint(fixture.joint, fixture.opened * opening)
        place_kettle(self.kitchen, scene.kettle, scene.yaw)
        for side in SIDES:
            self.kitchen.hide_hand(side)

    def _place(self, scenario: "_Scenario", frame: int) -> HandPose:
        share = frame / max(self.options.num_frames - 1, 1)
        if scenario.other:
            scenario.other.apply(self.kitchen, share)
        pose = scenario.motion.apply(self.kitchen, self._time(frame))
        position, rotation = scenario.path.at(share)
        self.kitchen.place_camera(position, rotation, scenario.path.fovy)
        self.kitchen.forward()
        return pose

    def _render(self, scenario: "_Scenario") -> NDArray[np.uint8]:
        self._reset(scenario.scene)
        frames = []
        for frame in range(self.options.num_frames):
            self._place(scenario, frame)
            frames.append(self.renderer.render(self.kitchen.data, HEAD_CAMERA))
        return np.stack(frames)

    def _take(self, scenario: "_Scenario") -> "_Take":
        """Play `scenario` without rendering it."""
        self._reset(scenario.scene)
        motion, path, count = scenario.motion, scenario.path, self.options.num_frames
        middle, axes = path.at(0.5)
        hands, handles, places, handle_places, boxes, others = [], [], [], [], [], []
        hidden = False
        for frame in range(count):
            point = self._place(scenario, frame).point
            handle = self.kitchen.data.site(motion.site).xpos.copy()
            view = path.at(frame / max(count - 1, 1))
            hands.append(point)
            handles.append(handle)
            places.append(project(point, *view, path.fovy))
            handle_places.append(project(handle, *view, path.fovy))
            boxes.append(self.boxes.find(motion, *view, path.fovy))
            if frame in (0, count - 1):
                hidden = hidden or self.kitchen.is_hidden(handle, view[0], HANDLE_REACH)
                others.append(self._others(motion, *view, path.fovy))
        contact = np.array([motion.in_contact(self._time(i)) for i in range(count)])
        opening = np.empty(0)
        if motion.fixture:
            opening = np.array([float(motion.position(self._time(i))[0]) for i in range(count)]) / motion.fixture.opened
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
        side = ("left", "right").index(motion.side)
        touches = np.zeros((count, 2), bool)
        touches[:, side] = contact
        hand_boxes, object_boxes = (np.stack(part).astype(np.float32) for part in zip(*boxes, strict=True))
        return _Take(story, others[0], HandObjectTracks(hand_boxes, object_boxes, touches), hidden)

    def _others(self, motion: Motion, eye: Vector, rotation: NDArray[np.float64], fovy: float) -> list[SeenObject]:
        """Return what else is in view now, nothing before it."""
        kitchen = self.kitchen
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


def _stories(takes: list["_Take"]) -> list[Story]:
    """Return what the clips of a group show, in the order of `VARIANTS`, given those of `RENDERED`."""
    original, direction, hand = takes
    return [original.story, original.story.reversed(original.others_first), direction.story, hand.story]


@dataclass(frozen=True)
class _Scene:
    near_robot: bool
    plain: bool
    desk: Vector
    openings: list[float]
    kettle: Vector
    yaw: float


@dataclass(frozen=True)
class _Scenario:
    scene: _Scene
    motion: Motion
    other: Distraction | None
    path: HeadPath


@dataclass(frozen=True)
class _Take:
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


def inside(place: Vector) -> bool:
    """Return whether (u, v) is in the image."""
    return bool((place >= 0).all() and (place <= 1).all())

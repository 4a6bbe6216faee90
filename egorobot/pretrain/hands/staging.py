"""The kitchen made ready for a clip: what stands where, who does what, and where it is seen from."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from egorobot.pretrain.hands.camera import HeadPath, draw_head, draw_near_robot_camera
from egorobot.pretrain.hands.draws import draw_distraction, draw_kettle_place, draw_motion
from egorobot.pretrain.hands.fixtures import FIXTURES
from egorobot.pretrain.hands.motion import Distraction, Motion, other_side, place_kettle
from egorobot.pretrain.hands.pose import HandPose, Vector
from egorobot.pretrain.hands.scene import SIDES, HandKitchen

DISTRACTION_SHARE = 0.4  # of the groups in which the other hand is about
BODY_SHIFT = 0.12  # m, at most, from where people stand: before what they work on, an arm to each side

# Counted up when clips of the same options come out differently; part of the cache's key.
VERSION = 4


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
class Scene:
    """What the clips of a video share.

    Attributes:
        near_robot: whether it is seen from near the robot's cameras.
        plain: whether the kitchen has about the colours that it came with.
        desk: offset of the desk from its rest, in m.
        openings: how far open each fixture is that no hand works, from 0 to 1.
        kettle: where the kettle stands, in m.
        yaw: how it is turned, in rad.
    """

    near_robot: bool
    plain: bool
    desk: Vector
    openings: list[float]
    kettle: Vector
    yaw: float


@dataclass(frozen=True)
class Scenario:
    """A clip before it is rendered: who does what in a scene, and the head that sees it."""

    scene: Scene
    motion: Motion
    other: Distraction | None
    path: HeadPath


class Stage:
    """A kitchen in which scenarios are drawn and played.

    Args:
        kitchen: its fixtures, hands and camera are moved.
        options: what clips are like.
    """

    def __init__(self, kitchen: HandKitchen, options: ClipOptions) -> None:
        self.kitchen = kitchen
        self.options = options

    def draw_scene(self, rng: np.random.Generator) -> Scene:
        """Draw what the clips of a video share."""
        options = self.options
        near_robot = bool(rng.random() < options.robot_views)
        openings = [rng.uniform(0.1, 1.0) if rng.random() < options.open_share else 0.0 for _ in FIXTURES]
        desk = rng.uniform((-options.desk, -options.desk, -0.1), (options.desk, options.desk, 0.0))
        kettle = draw_kettle_place(rng, desk)
        return Scene(
            near_robot, near_robot and bool(rng.random() < 0.5), desk, openings, kettle, rng.uniform(-0.3, 0.3)
        )

    def draw_group(self, rng: np.random.Generator, scene: Scene) -> list[Scenario]:
        """Draw a motion, who is about and where it is seen from; return it, turned round, and by the other hand."""
        kitchen = self.kitchen
        kitchen.model.body_pos[kitchen.desk_id] = kitchen.desk_rest + scene.desk
        length = self.time(self.options.num_frames - 1)
        shift = rng.uniform(-BODY_SHIFT, BODY_SHIFT)
        motion = draw_motion(rng, length, scene.desk, scene.near_robot)
        self.reset(scene)
        kitchen.forward()
        handle = kitchen.data.site(motion.site).xpos.copy()
        body = handle[0] + shift
        motion = motion.with_body(body)
        other = None
        if rng.random() < DISTRACTION_SHARE:
            other = draw_distraction(rng, other_side(motion.side), body, scene.near_robot)
        motion.apply(kitchen, length / 2)
        focus = kitchen.data.site(motion.site).xpos.copy()
        path = draw_near_robot_camera(rng, focus, scene.desk) if scene.near_robot else draw_head(rng, focus, body)
        first = Scenario(scene, motion, other, path)
        hand = Scenario(scene, motion.with_other_hand(), other and other.with_other_hand(body), path)
        return [first, Scenario(scene, motion.turned_round(), other, path), hand]

    def time(self, frame: int) -> float:
        """Return when `frame` is, in s."""
        return frame / self.options.frame_rate

    def reset(self, scene: Scene) -> None:
        """Put everything that no motion moves where it is."""
        for fixture, opening in zip(FIXTURES, scene.openings, strict=True):
            self.kitchen.set_joint(fixture.joint, fixture.opened * opening)
        place_kettle(self.kitchen, scene.kettle, scene.yaw)
        for side in SIDES:
            self.kitchen.hide_hand(side)

    def place(self, scenario: Scenario, frame: int) -> HandPose:
        """Put hands, handle and camera where they are at `frame`, and return the pose of the hand that works."""
        share = frame / max(self.options.num_frames - 1, 1)
        if scenario.other:
            scenario.other.apply(self.kitchen, share)
        pose = scenario.motion.apply(self.kitchen, self.time(frame))
        position, rotation = scenario.path.at(share)
        self.kitchen.place_camera(position, rotation, scenario.path.fovy)
        self.kitchen.forward()
        return pose

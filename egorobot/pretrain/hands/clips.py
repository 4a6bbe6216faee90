"""Rendering clips: each a pure function of the corpus' options, a seed and its number."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.rendering import OffscreenRenderer
from egorobot.pretrain.hands.appearance import Appearance
from egorobot.pretrain.hands.camera import HeadPath, draw_head, draw_near_robot_camera
from egorobot.pretrain.hands.captions import SeenObject, Track, make_captions, opening_words
from egorobot.pretrain.hands.fixtures import FIXTURES, KETTLE_SITE
from egorobot.pretrain.hands.motion import Motion, draw_kettle_place, draw_motion, place_kettle
from egorobot.pretrain.hands.pose import POSTURES, HandPose, Vector
from egorobot.pretrain.hands.scene import HEAD_CAMERA, PRESET, SIDES, HandKitchen

MAX_TRIES = 20  # to draw a clip whose hand is in view
HANDLE_REACH = 0.3  # m before a handle within which it is its own door or the hand that is seen

# Counted up when clips of the same options come out differently; part of the cache's key.
VERSION = 1


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
    robot_views: float = 0.5
    desk: float = 0.12
    open_share: float = 0.3

    def to_dict(self) -> dict[str, Any]:
        """Return the options and the renderer's version, for a cache's key."""
        return {**asdict(self), "version": VERSION}


@dataclass(frozen=True)
class RenderedClip:
    """Frames uint8 (F, H, W, 3) and their captions."""

    frames: NDArray[np.uint8]
    captions: list[str]


class ClipRenderer:
    """Draws clips of simulated hands; one OpenGL context.

    Args:
        options: what clips are like.
    """

    def __init__(self, options: ClipOptions) -> None:
        self.options = options
        self.kitchen = HandKitchen()
        self.appearance = Appearance(self.kitchen.model)
        self.renderer = OffscreenRenderer(self.kitchen.model, PRESET, options.image_size)

    def clip(self, seed: int, number: int) -> RenderedClip:
        """Return clip `number` of the corpus with `seed`."""
        rng = np.random.default_rng([seed, number])
        for _ in range(MAX_TRIES):
            scenario = self._draw(rng)
            track = self._track(scenario)
            if _is_in_view(track):
                break
        frames = [self._render(scenario, i) for i in range(self.options.num_frames)]
        return RenderedClip(np.stack(frames), make_captions(scenario.motion, track, rng))

    def close(self) -> None:
        """Free the OpenGL context."""
        self.renderer.close()

    def _draw(self, rng: np.random.Generator) -> "_Scenario":
        options, kitchen = self.options, self.kitchen
        near_robot = bool(rng.random() < options.robot_views)
        desk = rng.uniform((-options.desk, -options.desk, -0.1), (options.desk, options.desk, 0.0))
        motion = draw_motion(rng, self._time(options.num_frames - 1), desk, near_robot)
        kitchen.model.body_pos[kitchen.desk_id] = kitchen.desk_rest + desk
        for fixture in FIXTURES:
            opening = rng.uniform(0.1, 1.0) if rng.random() < options.open_share else 0.0
            kitchen.set_joint(fixture.joint, fixture.opened * opening)
        place_kettle(kitchen, draw_kettle_place(rng, desk), rng.uniform(-0.3, 0.3))
        for side in SIDES:
            kitchen.hide_hand(side)
        if rng.random() < 0.2:
            other = "left" if motion.side == "right" else "right"
            sign = 1.0 if other == "right" else -1.0
            rest = rng.uniform((-0.1, 0.05, 1.65), (0.1, 0.3, 1.85)) + np.array([0.35 * sign, 0, 0])
            kitchen.place_hand(
                other, HandPose(rest, np.array([0, 1.0, 0.1]), np.array([-sign, 0, 0.5])), POSTURES["open"]
            )
        motion.apply(kitchen, self._time(options.num_frames // 2))
        focus = kitchen.data.site(motion.site).xpos.copy()
        self.appearance.draw(rng, plain=near_robot and rng.random() < 0.5)
        path = draw_near_robot_camera(rng, focus, desk) if near_robot else draw_head(rng, focus)
        return _Scenario(motion, path)

    def _time(self, frame: int) -> float:
        return frame / self.options.frame_rate

    def _place(self, scenario: "_Scenario", frame: int) -> HandPose:
        pose = scenario.motion.apply(self.kitchen, self._time(frame))
        position, rotation = scenario.path.at(frame / max(self.options.num_frames - 1, 1))
        self.kitchen.place_camera(position, rotation, scenario.path.fovy)
        self.kitchen.forward()
        return pose

    def _render(self, scenario: "_Scenario", frame: int) -> NDArray[np.uint8]:
        self._place(scenario, frame)
        return self.renderer.render(self.kitchen.data, HEAD_CAMERA)

    def _track(self, scenario: "_Scenario") -> Track:
        """Return where hand and handle are in every frame."""
        motion, path, options = scenario.motion, scenario.path, self.options
        hands, handles, contact = [], [], []
        for frame in range(options.num_frames):
            pose = self._place(scenario, frame)
            hands.append(pose.point)
            handles.append(self.kitchen.data.site(motion.site).xpos.copy())
            contact.append(motion.in_contact(self._time(frame)))
        views = [path.at(i / max(options.num_frames - 1, 1)) for i in range(options.num_frames)]
        position, rotation = views[-1]
        opening = np.empty(0)
        if motion.fixture:
            share = np.array([motion.progress(self._time(i)) for i in range(options.num_frames)])
            opening = ((1 - share) * motion.begin[0] + share * motion.end[0]) / motion.fixture.opened
        return Track(
            hand=np.array([project(point, *view, path.fovy) for point, view in zip(hands, views, strict=True)]),
            handle=np.array([project(point, *view, path.fovy) for point, view in zip(handles, views, strict=True)]),
            contact=np.array(contact),
            hand_in_camera=(np.array(hands) - position) @ rotation,
            hidden=self.kitchen.is_hidden(handles[-1], position, HANDLE_REACH),
            opening=opening,
            others=self._others(motion, lambda point: project(point, position, rotation, path.fovy)),
        )

    def _others(self, motion: Motion, project: Any) -> list[SeenObject]:
        """Return what else is in view now."""
        seen = []
        for fixture in FIXTURES:
            place = project(self.kitchen.data.site(fixture.site).xpos)
            if fixture is not motion.fixture and _inside(place):
                opening = float(self.kitchen.data.joint(fixture.joint).qpos[0]) / fixture.opened
                seen.append(SeenObject(fixture.noun, opening_words(fixture.states, opening), place))
        place = project(self.kitchen.data.site(KETTLE_SITE).xpos)
        if motion.fixture and _inside(place):
            seen.append(SeenObject("kettle", "", place))
        return seen


@dataclass(frozen=True)
class _Scenario:
    motion: Motion
    path: HeadPath


def project(point: Vector, position: Vector, rotation: NDArray[np.float64], fovy: float) -> Vector:
    """Return where `point` (m) is in a square image: from left and from top, in [0, 1] when in view."""
    right, up, back = (point - position) @ rotation
    reach = max(-back, 1e-3) * np.tan(np.radians(fovy) / 2)
    return np.array([0.5 + 0.5 * right / reach, 0.5 - 0.5 * up / reach])


def _inside(place: Vector) -> bool:
    return bool((place >= 0).all() and (place <= 1).all())


def _is_in_view(track: Track) -> bool:
    """Return whether the handle is in view at the end, nothing before it, and the hand in most frames."""
    return (
        not track.hidden
        and _inside(track.handle[-1])
        and sum(_inside(place) for place in track.hand) > len(track.hand) / 2
    )

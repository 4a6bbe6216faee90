"""What happens in a clip: a hand reaches, moves something, lets go."""

from dataclasses import dataclass

import numpy as np

from egorobot.pretrain.hands.fixtures import (
    FIXTURES,
    KETTLE_MOTIONS,
    KETTLE_REST,
    KETTLE_SITE,
    Fixture,
    hold_kettle,
    push_kettle,
)
from egorobot.pretrain.hands.pose import POSTURES, HandPose, Vector, blend_postures, smooth_step
from egorobot.pretrain.hands.scene import HandKitchen

GRASP_TIME = 0.25  # s to close or open the fingers
REACH, WITHDRAW, MANIPULATE = "reach", "withdraw", "manipulate"


@dataclass(frozen=True)
class Timing:
    """When things happen, in s from the clip's first frame; some lie outside the clip.

    Attributes:
        leave: the hand starts from its rest.
        contact: it touches the handle.
        start: the handle starts to move.
        stop: the handle stops.
        release: the hand lets go.
        back: it is at rest again.
    """

    leave: float
    contact: float
    start: float
    stop: float
    release: float
    back: float


@dataclass(frozen=True)
class Motion:
    """One hand and one thing, over time.

    Attributes:
        side: "right" or "left".
        phase: what the clip shows most of: "reach", "manipulate" or "withdraw".
        verb: "open" or "close" a fixture; "lift", "put down" or "push" the kettle.
        fixture: the fixture, or None for the kettle.
        begin: joint position before (rad, m); for the kettle its position, (3,) in m.
        end: the same afterwards.
        yaw: of the kettle, in rad.
        tilt: lean of the forearm, see `Fixture.hold`.
        rest: where the hand comes from and goes to.
        timing: when.
    """

    side: str
    phase: str
    verb: str
    fixture: Fixture | None
    begin: Vector
    end: Vector
    yaw: float
    tilt: float
    rest: HandPose
    timing: Timing

    @property
    def site(self) -> str:
        """MuJoCo site at the handle."""
        return self.fixture.site if self.fixture else KETTLE_SITE

    @property
    def noun(self) -> str:
        """The handle and what it belongs to."""
        if self.fixture:
            return self.fixture.noun
        return "kettle" if self.verb == "push" else "handle of the kettle"

    def progress(self, time: float) -> float:
        """Return how far along the handle's way the handle is at `time` (s), from 0 to 1."""
        return smooth_step((time - self.timing.start) / (self.timing.stop - self.timing.start))

    def in_contact(self, time: float) -> bool:
        """Return whether the hand holds the handle at `time` (s)."""
        return self.timing.contact <= time <= self.timing.release

    def apply(self, kitchen: HandKitchen, time: float) -> HandPose:
        """Put the fixture and the hand where they are at `time` (s) and return the hand's pose."""
        share = self.progress(time)
        position = (1 - share) * self.begin + share * self.end
        if self.fixture:
            kitchen.set_joint(self.fixture.joint, position)
        else:
            place_kettle(kitchen, position, self.yaw)
        kitchen.forward()
        hold = self._hold(kitchen)
        when = self.timing
        near = smooth_step((time - when.leave) / (when.contact - when.leave))
        near *= 1 - smooth_step((time - when.release) / (when.back - when.release))
        closed = smooth_step((time - when.contact + GRASP_TIME) / GRASP_TIME)
        closed *= 1 - smooth_step((time - when.release) / GRASP_TIME)
        pose = self.rest.towards(hold, near)
        kitchen.place_hand(self.side, pose, blend_postures(POSTURES["open"], POSTURES[hold.grip], closed))
        return pose

    def _hold(self, kitchen: HandKitchen) -> HandPose:
        if self.fixture:
            return self.fixture.hold(kitchen.data, self.tilt)
        if self.verb == "push":
            way = (self.end - self.begin) * (1, 1, 0)
            return push_kettle(kitchen.data, self.side, way / np.linalg.norm(way))
        return hold_kettle(kitchen.data, self.side, self.tilt)


def place_kettle(kitchen: HandKitchen, position: Vector, yaw: float) -> None:
    """Put the kettle at `position` (m), turned by `yaw` (rad)."""
    kitchen.set_joint("kettle", np.concatenate([position, [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]]))


def draw_motion(rng: np.random.Generator, length: float, desk: Vector, from_robot: bool) -> Motion:
    """Draw what happens in a clip.

    Args:
        rng: source of randomness.
        length: of the clip, in s.
        desk: offset of the desk from its rest, in m.
        from_robot: the hand comes from where the robot stands, not from below a head.
    """
    side = "right" if rng.random() < 0.6 else "left"
    phase = str(rng.choice([MANIPULATE, REACH, WITHDRAW], p=[0.7, 0.18, 0.12]))
    choice = int(rng.integers(len(FIXTURES) + 2))  # the kettle has three motions
    yaw = float(rng.uniform(-0.3, 0.3))
    if choice < len(FIXTURES):
        fixture: Fixture | None = FIXTURES[choice]
        verb, begin, end = _draw_opening(rng, FIXTURES[choice])
    else:
        fixture = None
        verb, begin, end = _draw_kettle_way(rng, desk)
    return Motion(
        side=side,
        phase=phase,
        verb=verb,
        fixture=fixture,
        begin=begin,
        end=end,
        yaw=yaw,
        tilt=float(rng.uniform(-0.6, 0.3)),
        rest=_draw_rest(rng, side, from_robot),
        timing=_draw_timing(rng, phase, length),
    )


def draw_kettle_place(rng: np.random.Generator, desk: Vector) -> Vector:
    """Draw where the kettle stands, in m: in its place as often as not."""
    shift = np.zeros(3) if rng.random() < 0.5 else rng.uniform((-0.2, -0.1, 0), (0.35, 0.15, 0))
    return KETTLE_REST + shift + desk * (0, 0, 1)


def _draw_opening(rng: np.random.Generator, fixture: Fixture) -> tuple[str, Vector, Vector]:
    shut = fixture.opened * rng.uniform(0.0, 0.15)
    opened = fixture.opened * rng.uniform(0.5, 1.0)
    if rng.random() < 0.6:
        return "open", np.array([shut]), np.array([opened])
    return "close", np.array([opened]), np.array([shut])


def _draw_kettle_way(rng: np.random.Generator, desk: Vector) -> tuple[str, Vector, Vector]:
    verb = str(rng.choice(KETTLE_MOTIONS))
    place = draw_kettle_place(rng, desk)
    if verb == "push":
        angle = rng.choice([0, np.pi / 2, np.pi]) + rng.normal(0, 0.2)
        return verb, place, place + rng.uniform(0.08, 0.2) * np.array([np.cos(angle), np.sin(angle), 0])
    raised = place + rng.uniform((-0.15, -0.15, 0.1), (0.15, 0.05, 0.3))
    return (verb, place, raised) if verb == "lift" else (verb, raised, place)


def _draw_rest(rng: np.random.Generator, side: str, from_robot: bool) -> HandPose:
    sign = 1.0 if side == "right" else -1.0
    if from_robot:
        point = rng.uniform((-0.35, -0.1, 1.7), (0.35, 0.3, 2.5))
    else:
        point = rng.uniform((-0.5, -0.1, 1.65), (0.3, 0.25, 2.1)) + np.array([0.15 * sign, 0, 0])
    pointing = np.array([0.0, 1.0, 0.0]) + rng.normal(0, 0.25, 3)
    # A resting palm faces down or inwards: the thumb is on the inner side or on top.
    thumb = np.array([-sign * rng.uniform(0.2, 1.0), 0.0, rng.uniform(0.2, 1.0)])
    return HandPose(point, pointing, thumb)


def _draw_timing(rng: np.random.Generator, phase: str, length: float) -> Timing:
    duration = rng.uniform(0.5, 1.4) * max(length, 0.5)
    if phase == REACH:
        contact = rng.uniform(0.85, 1.15) * length
        start = contact + rng.uniform(0.1, 0.3)
    elif phase == WITHDRAW:
        stop = rng.uniform(-0.3, 0.05) * length
        start = stop - duration
        contact = start - 0.2
    else:
        start = rng.uniform(0.35, 0.65) * length - duration / 2
        contact = start - rng.uniform(0.05, 0.25)
    stop = start + duration
    release = stop + rng.uniform(0.05, 0.25)
    return Timing(
        leave=contact - rng.uniform(0.7, 1.3),
        contact=contact,
        start=start,
        stop=stop,
        release=release,
        back=release + rng.uniform(0.7, 1.3),
    )

"""What a hand does: where it and the thing it works on are at every time."""

from dataclasses import dataclass, replace

import numpy as np

from egorobot.pretrain.hands.fixtures import KETTLE_SITE, Fixture, hold_kettle, push_kettle
from egorobot.pretrain.hands.pose import MIRROR, POSTURES, HandPose, Vector, blend_postures, smooth_step, unit
from egorobot.pretrain.hands.scene import HandKitchen

GRASP_TIME = 0.25  # s to close or open the fingers
ELBOW_SHARE = 0.7  # of a forearm's direction that its elbow decides, the rest being the handle's
ELBOW = np.array([0.52, 0.0, 1.65])  # of a right arm, from the body's middle, in m
ELBOW_SWING = 0.45  # m that it swings over the whole range of a knob or switch


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
        verb: "work" a fixture; "lift" or "push" the kettle; "reach" for either.
        fixture: the fixture, or None for the kettle.
        begin: joint position before (rad, m); for the kettle its position, (3,) in m.
        end: the same afterwards.
        yaw: of the kettle, in rad.
        tilt: lean of the forearm, see `Fixture.hold`.
        body: x of the middle of the body whose hand it is, in m.
        rest: where the hand comes from and goes to.
        near: how near the handle the hand begins and ends a reach, from 0 at rest to 1.
        timing: when.
    """

    side: str
    verb: str
    fixture: Fixture | None
    begin: Vector
    end: Vector
    yaw: float
    tilt: float
    body: float
    rest: HandPose
    near: tuple[float, float]
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

    def position(self, time: float) -> Vector:
        """Return the handle's joint position at `time` (s): rad, m, or the kettle's place (3,)."""
        share = self.progress(time)
        return (1 - share) * self.begin + share * self.end

    def in_contact(self, time: float) -> bool:
        """Return whether the hand holds the handle at `time` (s)."""
        return self.verb != "reach" and self.timing.contact <= time <= self.timing.release

    def apply(self, kitchen: HandKitchen, time: float) -> HandPose:
        """Put the fixture and the hand where they are at `time` (s) and return the hand's pose."""
        if self.fixture:
            kitchen.set_joint(self.fixture.joint, self.position(time))
        else:
            place_kettle(kitchen, self.position(time), self.yaw)
        kitchen.forward()
        hold = self._with_elbow(self._hold(kitchen), self.position(time))
        near, closed = self._nearness(time)
        pose = self.rest.towards(hold, near)
        kitchen.place_hand(self.side, pose, blend_postures(POSTURES["open"], POSTURES[hold.grip], closed))
        return pose

    def with_other_hand(self) -> "Motion":
        """Return the same done by the other hand, which comes from the other side of the body."""
        return replace(self, side=other_side(self.side), rest=self.rest.mirrored(self.body))

    def with_body(self, body: float) -> "Motion":
        """Return the same done by a body whose middle is at x = `body` (m)."""
        rest = replace(self.rest, point=self.rest.point + np.array([body - self.body, 0, 0]))
        return replace(self, body=body, rest=rest)

    def turned_round(self) -> "Motion":
        """Return the motion that begins alike and goes the other way."""
        first, last = self.near
        return replace(self, end=2 * self.begin - self.end, near=(first, max(2 * first - last, 0.0)))

    def _nearness(self, time: float) -> tuple[float, float]:
        """Return how near the handle the hand is, and how far its fingers are closed, from 0 to 1."""
        when = self.timing
        if self.verb == "reach":
            first, last = self.near
            near = first + (last - first) * self.progress(time)
            return near, smooth_step(2 * near - 1.5)
        near = smooth_step((time - when.leave) / (when.contact - when.leave))
        near *= 1 - smooth_step((time - when.release) / (when.back - when.release))
        closed = smooth_step((time - when.contact + GRASP_TIME) / GRASP_TIME)
        return near, closed * (1 - smooth_step((time - when.release) / GRASP_TIME))

    def _hold(self, kitchen: HandKitchen) -> HandPose:
        if self.fixture:
            return self.fixture.hold(kitchen.data, self.tilt)
        if self.verb == "push":
            way = (self.end - self.begin) * (1, 1, 0)
            return push_kettle(kitchen.data, self.side, way / np.linalg.norm(way))
        return hold_kettle(kitchen.data, self.side, self.tilt)

    def _with_elbow(self, hold: HandPose, position: Vector) -> HandPose:
        """Return `hold` with the forearm coming from its own side of the body."""
        sign = 1.0 if self.side == "right" else -1.0
        elbow = ELBOW * (sign, 1, 1) + (self.body, 0, 0)
        if self.fixture and hold.grip in ("pinch", "point"):  # the elbow swings about the wrist
            turn = 0.5 - float(position[0]) / self.fixture.opened
            elbow = elbow + ELBOW_SWING * turn * np.array([1.0, 0.0, sign * 0.5])
        forearm = unit(hold.point - elbow)
        return replace(hold, pointing=(1 - ELBOW_SHARE) * hold.pointing + ELBOW_SHARE * forearm)


@dataclass(frozen=True)
class Distraction:
    """The other hand, which works on nothing.

    Attributes:
        side: "right" or "left".
        rest: its pose at mid-clip.
        drift: how far it moves in the clip, in m.
    """

    side: str
    rest: HandPose
    drift: Vector

    def apply(self, kitchen: HandKitchen, share: float) -> None:
        """Put the hand where it is at `share` (0 to 1) of the clip."""
        pose = replace(self.rest, point=self.rest.point + (smooth_step(share) - 0.5) * self.drift)
        kitchen.place_hand(self.side, pose, POSTURES["open"])

    def with_other_hand(self, body: float) -> "Distraction":
        """Return the same of the other hand, mirrored about the body's middle at x = `body` (m)."""
        return Distraction(other_side(self.side), self.rest.mirrored(body), self.drift * MIRROR)


def place_kettle(kitchen: HandKitchen, position: Vector, yaw: float) -> None:
    """Put the kettle at `position` (m), turned by `yaw` (rad)."""
    kitchen.set_joint("kettle", np.concatenate([position, [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]]))


def other_side(side: str) -> str:
    """Return "left" for "right" and "right" for "left"."""
    return "left" if side == "right" else "right"

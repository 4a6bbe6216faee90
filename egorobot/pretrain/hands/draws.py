"""Drawing what happens in a clip: which hand does what, from where, how fast."""

import numpy as np

from egorobot.pretrain.hands.fixtures import FIXTURES, KETTLE_REST, Fixture
from egorobot.pretrain.hands.motion import Distraction, Motion, Timing
from egorobot.pretrain.hands.pose import HandPose, Vector

REACH_SHARE = 0.2  # of the motions without contact
MOST_OPEN = 0.5  # from half open, the same way leads to open and to closed


def draw_motion(rng: np.random.Generator, length: float, desk: Vector, from_robot: bool) -> Motion:
    """Draw what a hand does in a clip; the middle of its body is at x = 0.

    Args:
        rng: source of randomness.
        length: of the clip, in s.
        desk: offset of the desk from its rest, in m.
        from_robot: the hand comes from where the robot stands, not from below a head.
    """
    side = "right" if rng.random() < 0.5 else "left"
    choice = int(rng.integers(len(FIXTURES) + 2))  # the kettle has two motions
    fixture = FIXTURES[choice] if choice < len(FIXTURES) else None
    verb = "work" if fixture else str(rng.choice(["lift", "push"]))
    if fixture:
        begin, end = _draw_opening(rng, fixture)
    else:
        begin, end = _draw_kettle_way(rng, verb, desk)
    near = (float(rng.uniform(0.35, 0.6)), 1.0)
    if rng.random() < REACH_SHARE:
        verb, end = "reach", begin
    return Motion(
        side=side,
        verb=verb,
        fixture=fixture,
        begin=begin,
        end=end,
        yaw=float(rng.uniform(-0.3, 0.3)),
        tilt=float(rng.uniform(-0.6, 0.3)),
        body=0.0,
        rest=draw_rest(rng, side, 0.0, from_robot),
        near=near,
        timing=_draw_timing(rng, length),
    )


def draw_distraction(rng: np.random.Generator, side: str, body: float, from_robot: bool) -> Distraction:
    """Draw what the `side` hand does while the other one works."""
    drift = rng.normal(0, 0.1, 3) if rng.random() < 0.7 else np.zeros(3)
    return Distraction(side, draw_rest(rng, side, body, from_robot), drift)


def draw_rest(rng: np.random.Generator, side: str, body: float, from_robot: bool) -> HandPose:
    """Draw where the `side` hand of a body at x = `body` (m) rests."""
    sign = 1.0 if side == "right" else -1.0
    low, high = ((-0.1, 1.7), (0.3, 2.3)) if from_robot else ((-0.1, 1.65), (0.25, 2.1))
    point = np.array([body + sign * rng.uniform(0.12, 0.38), *rng.uniform(low, high)])
    pointing = np.array([-sign * 0.3, 1.0, 0.0]) + rng.normal(0, 0.2, 3)
    # A resting palm faces down or inwards: the thumb is on the inner side or on top.
    thumb = np.array([-sign * rng.uniform(0.2, 1.0), 0.0, rng.uniform(0.2, 1.0)])
    return HandPose(point, pointing, thumb)


def draw_kettle_place(rng: np.random.Generator, desk: Vector) -> Vector:
    """Draw where the kettle stands, in m: in its place as often as not."""
    shift = np.zeros(3) if rng.random() < 0.5 else rng.uniform((-0.2, -0.1, 0), (0.35, 0.15, 0))
    return KETTLE_REST + shift + desk * (0, 0, 1)


def _draw_opening(rng: np.random.Generator, fixture: Fixture) -> tuple[Vector, Vector]:
    """Draw a way that also fits in turned round."""
    amount = rng.uniform(0.4, MOST_OPEN)
    begin = rng.uniform(amount, 1 - amount)
    end = begin + amount * rng.choice([-1, 1])
    return np.array([fixture.opened * begin]), np.array([fixture.opened * end])


def _draw_kettle_way(rng: np.random.Generator, verb: str, desk: Vector) -> tuple[Vector, Vector]:
    place = draw_kettle_place(rng, desk)
    if verb == "push":
        angle = rng.choice([0, np.pi]) + rng.normal(0, 0.35)
        return place, place + rng.uniform(0.08, 0.2) * np.array([np.cos(angle), np.sin(angle), 0])
    rise = rng.uniform(0.08, 0.2)
    raised = place + rng.uniform((-0.1, -0.15, rise), (0.1, 0.0, 0.25))
    return raised, raised + np.array([*rng.uniform(-0.08, 0.08, 2), rise * rng.choice([-1, 1])])


def _draw_timing(rng: np.random.Generator, length: float) -> Timing:
    """Draw when the handle moves, and whether it is taken or left within the clip."""
    duration = rng.uniform(0.5, 0.95) * length
    start = rng.uniform(0.4, 0.6) * length - duration / 2
    stop = start + duration
    contact = start - rng.uniform(0.02, 0.3)
    release = stop + rng.uniform(0.02, 0.3)
    leave, back = contact - rng.uniform(0.7, 1.3), release + rng.uniform(0.7, 1.3)
    return Timing(leave=leave, contact=contact, start=start, stop=stop, release=release, back=back)

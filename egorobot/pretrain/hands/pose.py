"""Where a hand is, how it is turned, and how its fingers are bent."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Posture = dict[str, float]  # joint of the Shadow hand: angle in rad

# What a hand holds things with, in the frame of its mount (m; right hand): fingers point
# along z, the palm faces -y, the thumb is on the side of +x. The palm is 0.29 m from the
# mount, the fingertips 0.48 m.
GRIP_POINTS: dict[str, Vector] = {
    "wrap": np.array([0.007, -0.035, 0.365]),
    "pinch": np.array([0.020, -0.045, 0.430]),
    "point": np.array([0.033, 0.005, 0.478]),
    "flat": np.array([0.007, -0.010, 0.370]),
}

MIRROR = np.array([-1.0, 1.0, 1.0])  # reflects x

_FINGERS = ("FF", "MF", "RF", "LF")


def _posture(knuckle: float, middle: float, tip: float, thumb: tuple[float, float, float]) -> Posture:
    """Return a posture with four fingers bent alike; `thumb` is its opposition, base and tip."""
    posture = {f"{finger}J{i}": angle for finger in _FINGERS for i, angle in ((2, knuckle), (1, middle), (0, tip))}
    return posture | {"THJ4": thumb[0], "THJ3": thumb[1], "THJ0": thumb[2]}


POSTURES: dict[str, Posture] = {
    "open": _posture(0.15, 0.2, 0.15, (0.3, 0.1, -0.1)),
    "wrap": _posture(1.1, 1.2, 0.7, (1.0, 0.5, -0.6)),
    "pinch": _posture(0.75, 0.6, 0.35, (1.0, 0.5, -0.3)),
    "point": _posture(1.3, 1.3, 0.8, (0.9, 0.6, -0.7)) | {"FFJ2": 0.1, "FFJ1": 0.15, "FFJ0": 0.1},
    "flat": _posture(0.05, 0.1, 0.1, (0.0, 0.0, -0.1)),
}


@dataclass(frozen=True)
class HandPose:
    """A hand's grip point and directions, for either hand.

    Attributes:
        point: where the grip point is, in m.
        pointing: where the fingers point when they are straight.
        thumb: the thumb's side; only its part across `pointing` counts.
        grip: key of `GRIP_POINTS`.
    """

    point: Vector
    pointing: Vector
    thumb: Vector
    grip: str = "wrap"

    def rotation(self, sign: float) -> NDArray[np.float64]:
        """Return the rotation (3, 3) of the hand's mount; `sign` is 1 for a right hand and -1 for a left."""
        z = unit(self.pointing)
        x = sign * unit(self.thumb - (self.thumb @ z) * z)
        return np.column_stack([x, np.cross(z, x), z])

    def mirrored(self, middle: float) -> "HandPose":
        """Return the pose on the other side of the plane x = `middle` (m), for the other hand."""
        point = self.point * MIRROR + np.array([2 * middle, 0, 0])
        return HandPose(point, self.pointing * MIRROR, self.thumb * MIRROR, self.grip)

    def towards(self, other: "HandPose", share: float) -> "HandPose":
        """Return the pose that is `share` (0 to 1) of the way from here to `other`, with its grip."""
        return HandPose(
            (1 - share) * self.point + share * other.point,
            (1 - share) * unit(self.pointing) + share * unit(other.pointing),
            (1 - share) * unit(self.thumb) + share * unit(other.thumb),
            other.grip,
        )


def blend_postures(start: Posture, end: Posture, share: float) -> Posture:
    """Return the posture that is `share` (0 to 1) of the way from `start` to `end`."""
    return {name: (1 - share) * start[name] + share * end[name] for name in start}


def unit(vector: Vector) -> Vector:
    """Return `vector` at length 1."""
    return vector / np.linalg.norm(vector)


def smooth_step(value: float) -> float:
    """Return 0 below 0, 1 above 1, and a smooth rise between."""
    x = min(max(value, 0.0), 1.0)
    return x * x * (3 - 2 * x)

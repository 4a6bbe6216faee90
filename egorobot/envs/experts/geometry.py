"""Small geometry shared by the experts: hand orientations, ramps, turned points."""

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
UP = np.array([0.0, 0.0, 1.0])


def ramp(value: float, start: float, end: float) -> float:
    """Return how far `value` is on the way from `start` to `end`, in [0, 1]; smooth at both ends.

    `start` may be larger than `end`: then the result grows as `value` falls.
    """
    x = float(np.clip((value - start) / (end - start), 0.0, 1.0))
    return x * x * (3.0 - 2.0 * x)


def hand_rotation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> NDArray[np.float64]:
    """Return the rotation (3, 3) of a hand whose fingers point along yaw and pitch.

    Args:
        yaw: heading of the fingers about the vertical; 0 is +x, pi/2 is +y (rad).
        pitch: of the fingers above the horizontal (rad).
        roll: about the fingers' direction; at 0 they open horizontally (rad).
    """
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    side = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    up = np.cross(side, forward)
    opening = np.cos(roll) * side + np.sin(roll) * up
    return np.column_stack([np.cross(opening, forward), opening, forward])


def turn_about(point: Vector, anchor: Vector, axis: Vector, angle: float) -> Vector:
    """Return `point` (3,) turned by `angle` (rad) about the unit `axis` through `anchor`."""
    arm = point - anchor
    along = axis * (axis @ arm)
    across = arm - along
    return anchor + along + np.cos(angle) * across + np.sin(angle) * np.cross(axis, across)

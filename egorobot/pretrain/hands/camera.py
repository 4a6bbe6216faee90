"""Where clips are seen from: heads, which move, and the neighbourhood of the robots' cameras."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.pretrain.hands.pose import Vector, unit

ROBOT_VIEWS = (np.array([-1.4, -1.0, 1.8]), np.array([1.3, -0.7, 3.4]))  # left_cap2, right_cap2
LEFT_WALL = -1.48  # x from which a view is not all wall, with the desk at rest, m


@dataclass(frozen=True)
class HeadPath:
    """A camera that looks somewhere while it sways.

    Attributes:
        position: at mid-clip, in m.
        target: what it looks at, in m.
        turn: how far the target has moved at the end of a clip, in m.
        sway: amplitude of the position's sway, in m, along each axis.
        phase: phase of the sway, in rad, along each axis.
        roll: rotation about the view axis, in rad.
        fovy: vertical field of view, in degrees.
    """

    position: Vector
    target: Vector
    turn: Vector
    sway: Vector
    phase: Vector
    roll: float
    fovy: float

    def at(self, share: float) -> tuple[Vector, NDArray[np.float64]]:
        """Return position (3,) and rotation (3, 3: right, up, backward) at `share` (0 to 1) of the clip."""
        position = self.position + self.sway * np.sin(self.phase + 2 * np.pi * 0.6 * share)
        back = unit(position - (self.target + (share - 0.5) * self.turn))
        right = unit(np.cross([0.0, 0.0, 1.0], back))
        up = np.cross(back, right)
        cos, sin = np.cos(self.roll), np.sin(self.roll)
        return position, np.column_stack([cos * right + sin * up, cos * up - sin * right, back])


def draw_head(rng: np.random.Generator, focus: Vector, body: float) -> HeadPath:
    """Draw a head, and how it moves, for a clip in which a hand of a body at x = `body` works at `focus` (m)."""
    position = np.array(
        [body + rng.uniform(-0.1, 0.1), focus[1] - rng.uniform(0.45, 0.7), focus[2] + rng.uniform(0.2, 0.5)]
    )
    return HeadPath(
        position=position,
        target=focus + rng.normal(0, 0.05, 3),
        turn=rng.normal(0, 0.05, 3),
        sway=rng.uniform(0, 0.02, 3),
        phase=rng.uniform(0, 2 * np.pi, 3),
        roll=rng.normal(0, 0.06),
        fovy=rng.uniform(48, 70),
    )


def draw_near_robot_camera(rng: np.random.Generator, focus: Vector, desk: Vector) -> HeadPath:
    """Draw a camera near left_cap2, or now and then near right_cap2; often as still as these are.

    It looks at the hand and shows about a metre around it.

    Args:
        rng: source of randomness.
        focus: where the hand works, in m.
        desk: offset of the desk, and of the wall beside it, from its rest, in m.
    """
    left = rng.random() < 0.75
    position = ROBOT_VIEWS[0 if left else 1] + rng.normal(0, rng.choice([0.03, 0.2]), 3)
    position[0] = max(position[0], LEFT_WALL + desk[0])
    still = rng.random() < 0.6
    return HeadPath(
        position=position,
        target=focus + rng.normal(0, 0.06, 3),
        turn=np.zeros(3) if still else rng.normal(0, 0.04, 3),
        sway=np.zeros(3) if still else rng.uniform(0, 0.015, 3),
        phase=rng.uniform(0, 2 * np.pi, 3),
        roll=0.0 if still else rng.normal(0, 0.03),
        fovy=2 * np.degrees(np.arctan(rng.uniform(0.4, 0.6) / np.linalg.norm(focus - position))),
    )


def project_all(points: Vector, position: Vector, rotation: NDArray[np.float64], fovy: float) -> Vector:
    """Return where `points` (N, 3; m) are in a square image, (N, 2): from left and from top, in [0, 1] when in view."""
    right, up, back = ((points - position) @ rotation).T
    reach = np.maximum(-back, 1e-3) * np.tan(np.radians(fovy) / 2)
    return np.stack([0.5 + 0.5 * right / reach, 0.5 - 0.5 * up / reach], axis=1)


def project(point: Vector, position: Vector, rotation: NDArray[np.float64], fovy: float) -> Vector:
    """Return where one `point` (3,) is, (2,); see `project_all`."""
    return project_all(point[None], position, rotation, fovy)[0]

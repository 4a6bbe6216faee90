"""Experts that push a short lever round its joint with closed fingers: the knob and the light switch."""

from dataclasses import dataclass

import numpy as np

from egorobot.envs.experts.base import CLOSED, Expert, Target
from egorobot.envs.experts.geometry import Vector, hand_rotation, ramp, turn_about
from egorobot.envs.simulation import KitchenSimulation


@dataclass(frozen=True)
class Push:
    """How the fingertips push a lever; distances in m.

    Attributes:
        lever: direction of the lever at joint position 0, from the joint's axis outwards.
        radius: from the joint's axis to where the fingers push.
        radius_rate: change of the radius with the joint's position (m / rad).
        front: how far in front of the joint's body, along -y, the fingertips are kept.
        gap: from the lever's middle to the fingers': half of each.
        clearance: kept beside the lever on the way in.
        force: along the arc (N).
        lead: how far ahead of the lever the fingers aim (rad).
        stop: joint position aimed at (rad).
        yaw, pitch, roll: of the hand (rad).
        yaw_rate, roll_rate: their change with the joint's position (rad / rad).
        orientation_cost: weight of the hand's orientation against its position.
        tolerance: distance from the strip beside the lever up to which the hand moves in.
        standoff: the most that the fingertips stay out, seen from where they push.
    """

    lever: tuple[float, float, float]
    radius: float
    radius_rate: float
    front: float
    gap: float
    clearance: float
    force: float
    lead: float
    stop: float
    yaw: float
    pitch: float
    roll: float
    yaw_rate: float
    roll_rate: float
    orientation_cost: float
    tolerance: float
    standoff: float


# The knob's numbers were found by the cross-entropy method around a script, on success
# and length with bursts. Pointing straight at it would drive joint 6 to its limit.
PUSHES: dict[str, Push] = {
    "knob": Push(
        lever=(0.0, 0.0, 1.0),
        radius=0.0394,
        radius_rate=-0.0036,
        front=0.0468,
        gap=0.0249,
        clearance=0.0116,
        force=58.0,
        lead=0.66,
        stop=-1.77,
        yaw=1.436,
        pitch=0.362,
        roll=-0.098,
        yaw_rate=-0.018,
        roll_rate=0.11,
        orientation_cost=0.0154,
        tolerance=0.0114,
        standoff=0.08,
    ),
    "light": Push(
        lever=(0.372, -0.928, 0.0),
        radius=0.08,
        radius_rate=0.0,
        front=0.0,
        gap=0.036,
        clearance=0.010,
        force=30.0,
        lead=0.4,
        stop=-0.9,
        yaw=1.95,
        pitch=0.2,
        roll=0.0,
        yaw_rate=0.5,
        roll_rate=0.0,
        orientation_cost=0.03,
        tolerance=0.012,
        standoff=0.11,
    ),
}

# For every metre off the strip beside the lever the hand stays BACK_OFF metres out.
BACK_OFF = 2.5


class PushExpert(Expert):
    """Puts the closed fingertips beside the lever and pushes it round."""

    reach = 0.043  # the fingertips

    def __init__(self, simulation: KitchenSimulation, push: Push) -> None:
        super().__init__(simulation)
        self.push = push
        self._joint_id = simulation.model.joint(simulation.task.joint).id

    def target(self) -> Target:
        """Return the fingertips' pose in front of the panel, beside the lever, or pushing it."""
        push, joint = self.push, self.simulation.joint_position
        forward = self.hand_rotation[:, 2]
        contact, turning = self._contact(joint)
        offset = self.hand_position - contact
        depth = float(offset @ forward)
        beside = offset - depth * forward
        ahead = float(beside @ turning)
        along = float(np.linalg.norm(beside - ahead * turning))
        # Outside the strip next to the lever, or with the lever wedged between them, the
        # fingers come back out before they go in.
        stray = max(ahead - 0.012, -0.03 - ahead, 0.0) + max(along - push.tolerance, 0.0)
        stray += 2.0 * max(self.finger_width - 0.025, 0.0)
        standoff = float(np.clip(BACK_OFF * stray, 0.0, push.standoff))
        pushing = ramp(depth, -0.035, -0.015) * ramp(stray, 0.015, 0.0)
        further = self._contact(max(joint - push.lead, push.stop))[0] - contact
        return Target(
            position=contact - (1 - pushing) * push.clearance * turning + pushing * further - standoff * forward,
            rotation=hand_rotation(push.yaw + push.yaw_rate * joint, push.pitch, push.roll + push.roll_rate * joint),
            force=pushing * push.force * turning,
            fingers=CLOSED,
            orientation_cost=push.orientation_cost,
        )

    def _contact(self, joint: float) -> tuple[Vector, Vector]:
        """Return where the fingertips touch the lever at a joint position (rad), and which way it turns there.

        Both joints turn towards negative positions.
        """
        push, data = self.push, self.simulation.data
        anchor, axis = data.xanchor[self._joint_id], data.xaxis[self._joint_id]
        lever = turn_about(np.array(push.lever), np.zeros(3), axis, joint)
        turning = -np.cross(axis, lever)
        radius = push.radius + push.radius_rate * joint
        return anchor + np.array([0.0, -push.front, 0.0]) + radius * lever - push.gap * turning, turning

"""The expert that turns a knob by pushing the top of its bar with closed fingers."""

from dataclasses import dataclass

import numpy as np

from egorobot.envs.experts.base import CLOSED, Expert, Target
from egorobot.envs.experts.geometry import Vector, hand_rotation, ramp
from egorobot.envs.simulation import KitchenSimulation

STOP = -1.57  # rad


@dataclass(frozen=True)
class Push:
    """How the fingertips push the bar; distances in m.

    Attributes:
        force: along the arc (N).
        lead: how far ahead of the bar the fingers aim (rad).
        radius: from the knob's axis to where the fingers push.
        radius_rate: change of the radius with the joint's position (m / rad).
        bar_depth: how far in front of the knob's body the fingertips are kept.
        gap: from the bar's middle plane to the fingers': half the bar and half the fingers.
        clearance: kept beside the bar on the way in.
        yaw, pitch, roll: of the hand (rad).
        yaw_rate, roll_rate: their change with the joint's position (rad / rad).
        orientation_cost: weight of the hand's orientation against its position.
        tolerance: distance from the line beside the bar up to which the hand moves in.
        back_off: how far the hand comes out for every metre beyond.
        standoff: the most it comes out.
    """

    force: float = 58
    lead: float = 0.66
    radius: float = 0.0394
    radius_rate: float = -0.0036
    bar_depth: float = 0.0468
    gap: float = 0.0249
    clearance: float = 0.0116
    yaw: float = 1.436
    pitch: float = 0.362
    roll: float = -0.098
    yaw_rate: float = -0.018
    roll_rate: float = 0.11
    orientation_cost: float = 0.0154
    tolerance: float = 0.0114
    back_off: float = 2.5
    standoff: float = 0.08


class KnobExpert(Expert):
    """Puts the closed fingertips left of the bar's top and pushes it round."""

    reach = 0.043  # the fingertips

    def __init__(self, simulation: KitchenSimulation, push: Push = Push()) -> None:
        super().__init__(simulation)
        self.push = push
        self._body_id = simulation.model.joint(simulation.task.joint).bodyid

    def target(self) -> Target:
        """Return the fingertips' pose in front of the panel, beside the bar, or pushing it."""
        push, joint = self.push, self.simulation.joint_position
        forward = self.hand_rotation[:, 2]
        contact = self._contact(joint)
        turning = np.array([np.cos(joint), 0.0, np.sin(joint)])  # across the bar, the way it turns
        offset = self.hand_position - contact
        depth = float(offset @ forward)
        beside = offset - depth * forward
        ahead = float(beside @ turning)
        along = float(np.linalg.norm(beside - ahead * turning))
        # Outside the strip next to the bar the fingers come back out before they go in.
        stray = max(ahead - 0.012, -0.03 - ahead, 0.0) + max(along - push.tolerance, 0.0)
        standoff = float(np.clip(push.back_off * stray, 0.0, push.standoff))
        pushing = ramp(depth, -0.035, -0.015) * ramp(stray, 0.015, 0.0)
        further = self._contact(max(joint - push.lead, STOP - 0.2)) - contact
        return Target(
            position=contact - (1 - pushing) * push.clearance * turning + pushing * further - standoff * forward,
            rotation=hand_rotation(push.yaw + push.yaw_rate * joint, push.pitch, push.roll + push.roll_rate * joint),
            force=pushing * push.force * turning,
            fingers=CLOSED,
            orientation_cost=push.orientation_cost,
        )

    def _contact(self, joint: float) -> Vector:
        """Return where the fingertips touch the bar when the knob's joint is at `joint` (rad)."""
        push = self.push
        bar = np.array([-np.sin(joint), 0.0, np.cos(joint)])  # from the axis to the bar's top
        turning = np.array([np.cos(joint), 0.0, np.sin(joint)])
        hub = self.simulation.data.xpos[self._body_id].reshape(3)
        radius = push.radius + push.radius_rate * joint
        return hub + np.array([0.0, -push.bar_depth, 0.0]) + radius * bar - push.gap * turning

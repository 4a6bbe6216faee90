"""Experts that take a vertical bar between the fingers and move it along its joint's path."""

from dataclasses import dataclass

import mujoco
import numpy as np

from egorobot.envs.experts.base import CLOSED, OPEN, Expert, Target
from egorobot.envs.experts.geometry import UP, Vector, hand_rotation, ramp, turn_about
from egorobot.envs.simulation import KitchenSimulation


@dataclass(frozen=True)
class Grasp:
    """How a bar is taken and moved.

    Attributes:
        site: MuJoCo site at the middle of the bar.
        height: where the bar is taken, above its middle (m).
        yaw: heading of the fingers at joint position 0 (rad).
        yaw_rate: change of the heading with the joint's position (rad / rad; rad / m for a slide).
        pitch: of the fingers above the horizontal (rad).
        force: along the bar's path while it is held (N).
        lead: how far ahead of the joint the hand aims (rad, m).
        stop: joint position at which the hand stops (rad, m).
        orientation_cost: weight of the hand's orientation against its position.
    """

    site: str
    height: float
    yaw: float
    yaw_rate: float
    pitch: float
    force: float
    lead: float
    stop: float
    orientation_cost: float = 0.03


GRASPS: dict[str, Grasp] = {
    "microwave": Grasp("microhandle_site", 0.08, 1.72, -0.875, -0.07, force=50.0, lead=0.2, stop=-1.2),
    "right_door": Grasp("hinge_site2", -0.08, 1.57, -0.6, 0.0, force=40.0, lead=0.3, stop=1.3),
    "slide": Grasp("slide_site", 0.0, 1.57, -0.8, 0.0, force=20.0, lead=0.15, stop=0.44),
}

# The hand goes in along its fingers once it is within TOLERANCE of their line; for every
# metre it is further off it stays BACK_OFF metres in front of the bar, up to STANDOFF.
TOLERANCE, BACK_OFF, STANDOFF = 0.015, 2.5, 0.10


class HandleExpert(Expert):
    """Takes the bar of a hinged or sliding door between the fingers and pulls the door open."""

    def __init__(self, simulation: KitchenSimulation, grasp: Grasp) -> None:
        super().__init__(simulation)
        self.grasp = grasp
        self._site_id = simulation.model.site(grasp.site).id
        self._joint_id = simulation.model.joint(simulation.task.joint).id
        self._turns = simulation.model.jnt_type[self._joint_id] == mujoco.mjtJoint.mjJNT_HINGE

    def target(self) -> Target:
        """Return the pose in front of the bar, on it, or ahead of it on its path."""
        return self.handle_target()

    def handle_target(self) -> Target:
        """Return the pose in front of the bar, on it, or ahead of it on its path."""
        grasp, joint = self.grasp, self.simulation.joint_position
        bar = self.bar_position
        rotation = hand_rotation(grasp.yaw + grasp.yaw_rate * joint, grasp.pitch)
        aside, depth = self.grasp_offset()
        gripped = self.gripped()
        standoff = float(np.clip(BACK_OFF * (aside - TOLERANCE), 0.0, STANDOFF))
        way = float(np.clip(grasp.stop - joint, -grasp.lead, grasp.lead))
        # A bar that has slipped towards the fingertips is pulled from there.
        ahead = self._moved(bar, gripped * way) + (gripped * depth - (1 - gripped) * standoff) * rotation[:, 2]
        closing = max(ramp(depth, -0.03, -0.015) * ramp(aside, 0.04, 0.025), gripped)
        return Target(
            position=ahead,
            rotation=rotation,
            force=gripped * grasp.force * way / grasp.lead * self._tangent(bar),
            fingers=OPEN + closing * (CLOSED - OPEN),
            orientation_cost=grasp.orientation_cost,
        )

    @property
    def bar_position(self) -> Vector:
        """Where the bar is to be taken, (3,) in m."""
        return self.simulation.data.site_xpos[self._site_id] + self.grasp.height * UP

    def grasp_offset(self) -> tuple[float, float]:
        """Return how far the hand is off the bar across and along its fingers, in m."""
        up, across, along = self.hand_rotation.T @ (self.hand_position - self.bar_position)
        return float(np.hypot(up, across)), float(along)

    def gripped(self) -> float:
        """Return how surely the fingers hold the bar, in [0, 1]: it is between them, and they are as wide as it."""
        aside, depth = self.grasp_offset()
        between = ramp(aside, 0.04, 0.025) * ramp(depth, -0.045, -0.03)
        return between * ramp(self.finger_width, 0.055, 0.045)

    def _moved(self, point: Vector, way: float) -> Vector:
        data = self.simulation.data
        axis = data.xaxis[self._joint_id]
        return turn_about(point, data.xanchor[self._joint_id], axis, way) if self._turns else point + way * axis

    def _tangent(self, point: Vector) -> Vector:
        """Return the unit direction (3,) in which `point` moves as the joint's position grows."""
        data = self.simulation.data
        if not self._turns:
            return data.xaxis[self._joint_id]
        tangent = np.cross(data.xaxis[self._joint_id], point - data.xanchor[self._joint_id])
        return tangent / np.linalg.norm(tangent)

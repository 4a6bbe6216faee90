"""The control law that all experts share: from a wanted hand pose to an action."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.experts.geometry import Vector
from egorobot.envs.experts.kinematics import HAND_SITE, NUM_ARM_JOINTS, ArmKinematics
from egorobot.envs.simulation import NUM_ROBOT_JOINTS, KitchenSimulation

# Share of a commanded displacement that a joint covers within one control step: its
# position gain against its damping, over 0.08 s (joints 1 to 4, then 5 to 7).
TRACKING_GAIN = np.array([0.5, 0.5, 0.5, 0.5, 0.6, 0.6, 0.6])
# Largest displacement (rad) asked of an arm joint. At 0.1 the actuators' torque saturates
# at once (force limit over gain), at 0.13 for the first quarter of the motion: a larger
# label would be about the same motion, and hard to learn.
MAX_DISPLACEMENT = 0.13
# r3m's 50 steps need the speed: 27 of 40 microwaves with bursts, against 22 at 0.13.
FAST_DISPLACEMENT = {"r3m": 0.16}
# The linearised kinematics hold for about this far (m).
MAX_REACH = 0.12
OPEN, CLOSED = 0.04, 0.0  # m, of each finger


@dataclass(frozen=True)
class Target:
    """What the hand should do now.

    Attributes:
        position: where the guided point of the hand should be, (3,) in m.
        rotation: how it should be turned, (3, 3).
        force: what it should exert on what it touches, (3,) in N.
        fingers: position of each finger, in m.
        orientation_cost: weight of 1 rad of rotation against 1 m of position.
    """

    position: Vector
    rotation: NDArray[np.float64]
    force: Vector = field(default_factory=lambda: np.zeros(3))
    fingers: float = OPEN
    orientation_cost: float = 0.03


class Expert(ABC):
    """A scripted policy that sees the true state.

    An action is a pure function of the simulation's state: a policy without memory can
    learn it, and it goes on from wherever a disturbance leaves the arm.

    Args:
        simulation: the kitchen to act in; read, never written.

    Attributes:
        reach: how far ahead of the hand's site, along the fingers, the point lies that
            targets are about (m).
    """

    reach: float = 0.0

    def __init__(self, simulation: KitchenSimulation) -> None:
        self.simulation = simulation
        self._kinematics = ArmKinematics(self.reach)
        self._max_displacement = FAST_DISPLACEMENT.get(simulation.protocol.name, MAX_DISPLACEMENT)
        model = simulation.model
        self._stiffness = model.actuator_gainprm[:NUM_ARM_JOINTS, 0].copy()  # N m / rad
        self._hand_id = model.site(HAND_SITE).id

    @property
    def hand_position(self) -> Vector:
        """Where the guided point of the hand is, (3,) in m."""
        return self.simulation.data.site_xpos[self._hand_id] + self.reach * self.hand_rotation[:, 2]

    @property
    def hand_rotation(self) -> NDArray[np.float64]:
        """How the hand is turned, (3, 3): up, along the fingers' opening, along the fingers."""
        return self.simulation.data.site_xmat[self._hand_id].reshape(3, 3).copy()

    @property
    def finger_width(self) -> float:
        """Distance between the fingers, in m."""
        return float(self.simulation.data.qpos[NUM_ARM_JOINTS:NUM_ROBOT_JOINTS].sum())

    @abstractmethod
    def target(self) -> Target:
        """Return what the hand should do now, from the true state alone."""

    def act(self) -> NDArray[np.float64]:
        """Return the action (9,) in [-1, 1] for the simulation's state now."""
        data = self.simulation.data
        target = self.target()
        self._kinematics.update(data.qpos[:NUM_ARM_JOINTS])
        way = target.position - self.hand_position
        way *= min(1.0, MAX_REACH / max(float(np.linalg.norm(way)), 1e-9))
        step = self._kinematics.step_towards(self.hand_position + way, target.rotation, target.orientation_cost)
        motion = step / TRACKING_GAIN
        motion *= min(1.0, self._max_displacement / max(float(np.abs(motion).max()), 1e-9))
        # The actuators are springs: hold the arm up, and lean on what is touched.
        torques = data.qfrc_bias[:NUM_ARM_JOINTS] + self._kinematics.joint_torques(target.force)
        arm = np.clip(motion + torques / self._stiffness, -self._max_displacement, self._max_displacement)
        fingers = target.fingers - data.qpos[NUM_ARM_JOINTS:NUM_ROBOT_JOINTS]
        return np.clip(np.concatenate([arm, fingers]) / self.simulation.protocol.action_scale, -1.0, 1.0)

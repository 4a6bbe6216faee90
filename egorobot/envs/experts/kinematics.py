"""Differential inverse kinematics of the arm, by mink on a model of the robot alone."""

from functools import cache

import mink
import mujoco
import numpy as np
from numpy.typing import NDArray

from egorobot.envs.protocols import ROBOT_REST
from egorobot.envs.scene import RENDER_PRESETS, kitchen_spec

NUM_ARM_JOINTS = 7
HAND_SITE = "end_effector"

# The kitchen around the robot; its joints would only make every solve larger.
_SCENERY = ("desk", "kettle", "panda0_leftfinger", "panda0_rightfinger")

# A weak pull to the rest pose decides the redundant joint (per rad, against 1 per m).
POSTURE_COST = 0.01
# Levenberg-Marquardt damping keeps steps small near singular poses.
DAMPING = 1e-4


@cache
def arm_model(reach: float) -> mujoco.MjModel:
    """Return a model of the arm without fingers, actuators and kitchen: seven joints.

    Its hand site lies `reach` metres further along the fingers than the simulation's.
    """
    spec = kitchen_spec(RENDER_PRESETS["fast"])
    for element in [*spec.equalities, *spec.cameras, *spec.keys, *spec.actuators]:
        spec.delete(element)
    for name in _SCENERY:
        spec.delete(spec.body(name))
    spec.site(HAND_SITE).pos[2] += reach  # in the frame of the last link, whose z axis the fingers follow
    return spec.compile()


class ArmKinematics:
    """Joint steps that bring the hand towards a pose.

    The result of every method depends on its arguments and on the last `update` alone.

    Args:
        reach: how far ahead of the hand's site the guided point lies, along the fingers (m).
    """

    def __init__(self, reach: float) -> None:
        self._configuration = mink.Configuration(arm_model(reach))
        self._hand = mink.FrameTask(HAND_SITE, "site", position_cost=1.0, orientation_cost=1.0)
        self._posture = mink.PostureTask(self._configuration.model, cost=POSTURE_COST)
        self._posture.set_target(np.array(ROBOT_REST[:NUM_ARM_JOINTS]))
        self._limits = [mink.ConfigurationLimit(self._configuration.model)]

    def update(self, joints: NDArray[np.float64]) -> None:
        """Take over the arm's joint positions, (7,) in rad."""
        self._configuration.update(joints)

    def step_towards(
        self, position: NDArray[np.float64], rotation: NDArray[np.float64], orientation_cost: float
    ) -> NDArray[np.float64]:
        """Return the joint displacement (7,), in rad, that brings the hand to a pose.

        Args:
            position: of the guided point, (3,) in m.
            rotation: of the hand, (3, 3).
            orientation_cost: weight of 1 rad of rotation against 1 m of position.
        """
        self._hand.set_orientation_cost(orientation_cost)
        self._hand.set_target(
            mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rotation), np.asarray(position))
        )
        return mink.solve_ik(
            self._configuration, [self._hand, self._posture], 1.0, "daqp", damping=DAMPING, limits=self._limits
        )

    def joint_torques(self, force: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return joint torques (7,), in N m, by which the guided point exerts `force` (3,), in N."""
        jacobian = self._configuration.get_frame_jacobian(HAND_SITE, "site")[:3]  # in the hand's frame
        rotation = self._configuration.get_transform_frame_to_world(HAND_SITE, "site").rotation().as_matrix()
        return jacobian.T @ (rotation.T @ force)

"""Where the positions are in observations of the Franka Kitchen, as one library or another writes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.camera_env import IMAGE_SUFFIX
from egorobot.envs.scene import CAMERAS
from egorobot.errors import UserError


@dataclass(frozen=True)
class Layout:
    """What the numbers of a flat observation are.

    Attributes:
        robot: positions of the robot's joints.
        objects: positions of the objects' joints.
        robot_velocities: velocities of the robot's joints; None where they are not in it.
        object_velocities: of the objects' joints.
        desk: position of the desk; None where it does not move.
        protocol: of the environment; None where it may be `kitchen` or `r3m`.
    """

    robot: slice
    objects: slice
    robot_velocities: slice | None = None
    object_velocities: slice | None = None
    desk: slice | None = None
    protocol: str | None = "d4rl"


# By the number of numbers.
LAYOUTS: dict[int, Layout] = {
    # D4RL 1.1, d4rl/kitchen/adept_envs/franka/kitchen_multitask_v0.py: positions, then the goal (30).
    60: Layout(slice(0, 9), slice(9, 30)),
    # gymnasium-robotics, FrankaKitchen-v1.
    59: Layout(slice(0, 9), slice(18, 39), slice(9, 18), slice(39, 59)),
    # This package's environments with include_state=True and no camera, flattened: proprio, state.
    33: Layout(slice(0, 9), slice(9, 30), desk=slice(30, 33), protocol=None),
}
FLAT_KEY = "observation"  # FrankaKitchen-v1, beside its goals


@dataclass(frozen=True)
class Kinematics:
    """What an episode's observations say, M of them.

    Attributes:
        positions: (M, 30) float64; see `Episode`.
        velocities: (M, 29) float64, or None.
        desk: (3,) float64, or None.
        images: uint8 (M, H, W, 3) by the camera's name.
    """

    positions: NDArray[np.float64]
    velocities: NDArray[np.float64] | None
    desk: NDArray[np.float64] | None
    images: Mapping[str, NDArray[np.uint8]]


def layout_of(size: int, where: str) -> Layout:
    """Return the layout of flat observations of `size` numbers.

    Raises:
        UserError: none of the kitchen's has this size; `where` is named in the message.
    """
    if size not in LAYOUTS:
        sizes = ", ".join(map(str, LAYOUTS))
        raise UserError(
            f"{where}: observations of {size} numbers are not of the Franka Kitchen ({sizes}): choose another"
        )
    return LAYOUTS[size]


def split_flat(observations: NDArray[Any], where: str) -> Kinematics:
    """Take flat observations (M, D) apart.

    Raises:
        UserError: see `layout_of`.
    """
    values = np.asarray(observations, np.float64)
    layout = layout_of(values.shape[-1] if values.ndim == 2 else 0, where)
    velocities = desk = None
    if layout.robot_velocities is not None and layout.object_velocities is not None:
        velocities = np.concatenate([values[:, layout.robot_velocities], values[:, layout.object_velocities]], axis=1)
    if layout.desk is not None:
        desk = values[0, layout.desk]
    return Kinematics(
        np.concatenate([values[:, layout.robot], values[:, layout.objects]], axis=1), velocities, desk, {}
    )


def split(observations: Any, where: str) -> Kinematics:
    """Take observations apart, be they flat (M, D) or a dict of arrays (M, ...).

    Raises:
        UserError: they are not those of the Franka Kitchen.
    """
    if not isinstance(observations, Mapping):
        return split_flat(observations, where)
    if FLAT_KEY in observations:
        return split_flat(observations[FLAT_KEY], where)
    if missing := [key for key in ("proprio", "state") if key not in observations]:
        raise UserError(
            f"{where}: observations lack '{missing[0]}': positions are in '{FLAT_KEY}', or in 'proprio' and 'state' "
            "(include_state=True)"
        )
    flat = split_flat(np.concatenate([observations["proprio"], observations["state"]], axis=1), where)
    images = {
        name: observations[f"{name}{IMAGE_SUFFIX}"] for name in CAMERAS if f"{name}{IMAGE_SUFFIX}" in observations
    }
    return Kinematics(flat.positions, flat.velocities, flat.desk, images)

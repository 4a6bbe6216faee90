"""The expert of the left door: its handle swings out of reach, so it is pushed from inside.

It pulls the handle until the door stands ajar, lets go, goes round the door's edge and
drags it along with the fingertips hooked behind it. Going further in would not do: the
palm is wider than the gap between the edge and the right door's handle.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egorobot.envs.experts.base import CLOSED, OPEN, Target
from egorobot.envs.experts.geometry import Vector, hand_rotation, ramp
from egorobot.envs.experts.handles import Grasp, HandleExpert
from egorobot.envs.simulation import KitchenSimulation

GRASP = Grasp("hinge_site1", -0.06, 1.8, -0.3, 0.0, force=40.0, lead=0.3, stop=-0.6)


@dataclass(frozen=True)
class Sweep:
    """The way round the door's edge, in the door's frame: x from the hinge, y into the cabinet (m).

    Attributes:
        way: corners x, y (m) and the hand's heading there (rad): before the door and clear
            of its bar, beside its edge, behind the edge, and where the fingers hook it.
        yaw_rate: change of the heading with the joint's position, from `ajar` on (rad / rad).
        height: of the hand above the door's middle (m).
        look_ahead: how far along the way the hand aims (m).
        ajar: joint position at which the handle is let go (rad).
        margin: how much further shut the door may fall before the handle is taken again (rad).
        lead: how far ahead of the door the hand aims (rad).
        force: on the edge (N).
        stop: joint position at which the hand stops (rad).
        orientation_cost: weight of the hand's orientation against its position.
    """

    way: tuple[tuple[float, float, float], ...] = (
        (0.40, -0.19, 1.7),
        (0.47, -0.07, 1.7),
        (0.45, 0.03, 2.1),
        (0.37, 0.045, 2.3),
    )
    yaw_rate: float = -0.4
    height: float = -0.06
    look_ahead: float = 0.08
    ajar: float = -0.5
    margin: float = 0.08
    lead: float = 0.3
    force: float = 50.0
    stop: float = -1.3
    orientation_cost: float = 0.02


class LeftDoorExpert(HandleExpert):
    """Pulls the left door ajar by its handle, then drags it open by its edge."""

    reach = 0.02  # the handle is far: it is taken nearer the fingertips

    def __init__(self, simulation: KitchenSimulation, grasp: Grasp = GRASP, sweep: Sweep = Sweep()) -> None:
        super().__init__(simulation, grasp)
        self.sweep = sweep
        self._door_id = simulation.model.jnt_bodyid[self._joint_id]

    def target(self) -> Target:
        """Return the handle's pose while the door is shut, else a pose on the way round its edge."""
        joint = self.simulation.joint_position
        x, y, _ = self._door_frame(self.hand_position)
        # Coming to the bar and leaving it are told apart by how far the door is open, with a
        # margin once the fingers are off; past the edge the handle no longer matters.
        shut = joint > self.sweep.ajar + (0.0 if self.gripped() > 0.5 else self.sweep.margin)
        past_edge = joint < -0.2 and x > 0.42 and y > -0.2
        if shut and not past_edge:
            return self.handle_target()
        aside, depth = self.grasp_offset()
        if aside < 0.06 and depth > -0.06:
            return self._release_target()
        return self._sweep_target(OPEN if aside < 0.10 and depth > -0.10 else CLOSED)

    def _release_target(self) -> Target:
        """Return a pose straight back from the bar, once the fingers are open."""
        away = ramp(self.finger_width, 0.055, 0.07)
        return Target(
            self.hand_position - 0.08 * away * self.hand_rotation[:, 2],
            self.hand_rotation,
            fingers=OPEN,
            orientation_cost=0.03,
        )

    def _sweep_target(self, fingers: float) -> Target:
        sweep, joint = self.sweep, self.simulation.joint_position
        corners = np.array(sweep.way)
        at = self._door_frame(self.hand_position)[:2]
        x, y, yaw = look_ahead(corners, at, sweep.look_ahead)
        pushing = ramp(float(np.linalg.norm(at - corners[-1, :2])), 0.08, 0.03)
        way = float(np.clip(sweep.stop - joint, -sweep.lead, sweep.lead))
        point = self._moved(self._world(np.array([x, y, sweep.height])), pushing * way)
        return Target(
            position=point,
            rotation=hand_rotation(yaw + sweep.yaw_rate * (joint - sweep.ajar)),
            force=pushing * sweep.force * way / sweep.lead * self._tangent(point),
            fingers=fingers,
            orientation_cost=sweep.orientation_cost,
        )

    def _door_frame(self, point: Vector) -> Vector:
        """Return `point` (3,) in the door's frame."""
        data = self.simulation.data
        return data.xmat[self._door_id].reshape(3, 3).T @ (point - data.xpos[self._door_id])

    def _world(self, point: Vector) -> Vector:
        """Return `point` (3,) of the door's frame in the world."""
        data = self.simulation.data
        return data.xmat[self._door_id].reshape(3, 3) @ point + data.xpos[self._door_id]


def look_ahead(way: NDArray[np.float64], point: Vector, distance: float) -> NDArray[np.float64]:
    """Return the row of a polyline that lies `distance` beyond its point nearest to `point`.

    Args:
        way: corners, (K, 2 + C): two coordinates and anything to be interpolated with them.
        point: (2,).
        distance: along the polyline.
    """
    starts, steps = way[:-1], np.diff(way, axis=0)
    lengths = np.linalg.norm(steps[:, :2], axis=1)
    shares = np.clip(((point - starts[:, :2]) * steps[:, :2]).sum(axis=1) / lengths**2, 0.0, 1.0)
    distances = np.linalg.norm(starts[:, :2] + shares[:, None] * steps[:, :2] - point, axis=1)
    nearest = int(np.argmin(distances))
    marks = np.concatenate([[0.0], np.cumsum(lengths)])
    mark = marks[nearest] + shares[nearest] * lengths[nearest] + distance
    return np.array([np.interp(mark, marks, column) for column in way.T])

"""Scripted experts: one for each task, acting on the true state of the kitchen."""

from egorobot.envs.experts.base import Expert
from egorobot.envs.experts.handles import GRASPS, HandleExpert
from egorobot.envs.experts.left_door import LeftDoorExpert
from egorobot.envs.experts.pushes import PUSHES, PushExpert
from egorobot.envs.simulation import KitchenSimulation
from egorobot.errors import UserError

__all__ = ["Expert", "make_expert"]


def make_expert(simulation: KitchenSimulation) -> Expert:
    """Return the expert for the simulation's task.

    Raises:
        UserError: there is no expert for this task.
    """
    name = simulation.task.name
    if name in GRASPS:
        return HandleExpert(simulation, GRASPS[name])
    if name in PUSHES:
        return PushExpert(simulation, PUSHES[name])
    if name == "door":
        return LeftDoorExpert(simulation)
    raise UserError(f"no scripted expert for task '{name}'")

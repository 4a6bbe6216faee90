"""Evaluation protocols: horizon, action scale, resets, cameras, success rule.

Every constant of a protocol stands in this table, with its source.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from egorobot.errors import UserError

Range = tuple[float, float]

# Control rate: 40 substeps of 2 ms (FrankaKitchen-v1, R3M), 12.5 Hz.
FRAME_SKIP = 40
CONTROL_RATE = 12.5  # Hz

# Rest pose of the robot's nine joints: FrankaKitchen-v1's init_qpos, to four digits, the first
# finger (0.0479) at the end of its range.
ROBOT_REST = (0.1484, -1.7685, 1.8439, -2.4769, 0.2603, 0.7125, 1.5952, 0.0400, 0.0371)  # rad, m


@dataclass(frozen=True)
class DeskRange:
    """Where the desk (all fixtures) may stand, as offsets from its rest pose, in m."""

    x: Range
    y: Range
    z: Range


@dataclass(frozen=True)
class Protocol:
    """How episodes begin, how actions act, and what counts as success.

    Attributes:
        name: the name used on the command line.
        horizon: control steps per episode.
        action_scale: joint displacement per step commanded by an action of 1 (rad; m
            for the fingers, before clipping to the joint range).
        success_steps: an episode succeeds when the task is solved on more than this
            many of its steps.
        arm_noise: amplitude of the reset noise of the robot's joints, as a share of
            each joint's range: q += arm_noise * (U(0, 1) - 0.5) * range.
        max_contacts: a reset with more contacts than this is drawn again.
        crop: share of the camera image kept by a centre crop, realised as a narrower
            field of view (the same pixels, without rendering what is cut).
        num_demos: demonstrations that a policy is trained on by default.
        desk: range of the desk's offset for each task name; `""` is for every other.
    """

    name: str
    horizon: int
    action_scale: float
    success_steps: int = 5
    arm_noise: float = 0.05
    max_contacts: int = 4
    crop: float = 1.0
    num_demos: int = 100
    desk: Mapping[str, DeskRange] = field(default_factory=dict)

    def desk_range(self, task: str) -> DeskRange:
        """Return the desk's range for the task called `task`."""
        return self.desk.get(task, self.desk[""])


PROTOCOLS: dict[str, Protocol] = {
    # R3M's evaluation (r3m branch eval; mj_envs / robohive v0.0.5, relay_kitchen):
    # 50 steps, 2*pi rad/s at 12.5 Hz, desk offset U(-0.1, 0.1)^3, images of 256
    # cropped to 224, 25 demonstrations.
    "r3m": Protocol(
        name="r3m",
        horizon=50,
        action_scale=0.16 * 3.141592653589793,
        crop=224 / 256,
        num_demos=25,
        desk={"": DeskRange((-0.1, 0.1), (-0.1, 0.1), (-0.1, 0.1))},
    ),
    # Ours: r3m's scene, goals and success rule; the action scale of FrankaKitchen-v1
    # (2 rad/s at 12.5 Hz); ranges in which every reset has a solution. The desk never
    # stands above its rest height: there the counter touches the kettle.
    "kitchen": Protocol(
        name="kitchen",
        horizon=100,
        action_scale=0.16,
        crop=224 / 256,
        desk={
            "": DeskRange((-0.1, 0.1), (-0.1, 0.1), (-0.1, 0.0)),
            "microwave": DeskRange((-0.06, 0.1), (-0.1, 0.06), (-0.1, 0.0)),
            "knob": DeskRange((-0.1, 0.05), (-0.1, 0.1), (-0.1, 0.0)),
            # Nearer, further left or further right the shut handle is out of the arm's reach.
            "door": DeskRange((-0.02, 0.1), (-0.1, 0.03), (-0.1, -0.01)),
        },
    ),
}


def get_protocol(name: str) -> Protocol:
    """Return the protocol called `name`.

    Raises:
        UserError: there is no such protocol.
    """
    if name not in PROTOCOLS:
        raise UserError(f"unknown protocol '{name}': choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]

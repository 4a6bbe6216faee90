"""What a hand can do in the kitchen, and how it takes hold of each thing."""

from dataclasses import dataclass

import mujoco
import numpy as np

from egorobot.pretrain.hands.pose import HandPose, Vector, unit

FORWARD, UP = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0])


@dataclass(frozen=True)
class Fixture:
    """Something with a handle.

    Attributes:
        name: what it is called in a caption.
        handle: what the hand takes hold of, in a caption.
        joint: MuJoCo joint that moves.
        site: MuJoCo site at the handle.
        grip: how it is held, a key of `pose.GRIP_POINTS` and `pose.POSTURES`.
        opened: joint position when fully open or on (rad; m for the slide cabinet);
            0 is closed or off.
        verbs: (opening, closing) verbs of narrations.
        states: words for closed, partly and fully open.
    """

    name: str
    handle: str
    joint: str
    site: str
    grip: str
    opened: float
    verbs: tuple[tuple[str, ...], tuple[str, ...]]
    states: tuple[str, str, str] = ("closed", "half open", "wide open")

    @property
    def noun(self) -> str:
        """The handle and what it belongs to, such as "handle of the microwave"."""
        return self.handle if self.handle == self.name else f"{self.handle} of the {self.name}"

    def hold(self, data: mujoco.MjData, tilt: float) -> HandPose:
        """Return the pose of a hand that holds the handle where it is now.

        Args:
            data: the kitchen, positions up to date.
            tilt: how far the forearm leans out of the handle's normal, in rad; below zero
                it comes from lower down.
        """
        site = data.site(self.site)
        frame = site.xmat.reshape(3, 3)
        if self.grip == "wrap":
            # A door's handle stands upright; the hand turns partly with the door.
            pointing, thumb = unit(0.6 * frame[:, 1] + 0.4 * FORWARD), UP
        else:
            # Knobs and switches: fingers into the wall, the thumb turning with the knob.
            pointing, thumb = FORWARD, (frame[:, 1] if self.grip == "pinch" else UP)
        return HandPose(site.xpos.copy(), unit(pointing - tilt * UP), thumb, self.grip)


_OPEN = (("opens", "pulls open"), ("closes", "shuts"))
_SLIDE = (("slides open", "opens"), ("slides shut", "closes"))
_ON = (("turns on", "switches on"), ("turns off", "switches off"))
_KNOB_STATES = ("off", "half turned", "on")
_BURNERS = ("bottom right burner", "bottom left burner", "top right burner", "top left burner")

FIXTURES: tuple[Fixture, ...] = (
    Fixture("microwave", "handle", "microwave", "microhandle_site", "wrap", -1.7, _OPEN),
    Fixture("left cabinet door", "handle", "left_hinge_cabinet", "hinge_site1", "wrap", -1.5, _OPEN),
    Fixture("right cabinet door", "handle", "right_hinge_cabinet", "hinge_site2", "wrap", 1.5, _OPEN),
    Fixture("slide cabinet", "handle", "slide_cabinet", "slide_site", "wrap", 0.44, _SLIDE),
    *(
        Fixture(burner, "knob", f"knob_Joint_{i}", f"knob{i}_site", "pinch", -1.57, _ON, _KNOB_STATES)
        for i, burner in enumerate(_BURNERS, start=1)
    ),
    Fixture("light", "switch", "light_switch", "light_site", "point", -0.7, _ON, ("off", "half way", "on")),
)  # fmt: skip


KETTLE_SITE = "kettle_site"
KETTLE_REST = np.array([-0.269, 0.35, 1.626])  # m, in a kitchen whose desk is at rest


def hold_kettle(data: mujoco.MjData, side: str, tilt: float) -> HandPose:
    """Return the pose of the `side` hand holding the kettle's handle from above; `tilt` (rad) lowers the fingers."""
    site = data.site(KETTLE_SITE)
    along = site.xmat.reshape(3, 3)[:, 0]
    thumb = -along if side == "right" else along
    return HandPose(site.xpos.copy(), unit(FORWARD - (0.3 + abs(tilt)) * UP), thumb, "wrap")


def push_kettle(data: mujoco.MjData, side: str, direction: Vector) -> HandPose:
    """Return the pose of the `side` hand laid flat against the kettle, to push it along `direction` (unit, level)."""
    body = data.site(KETTLE_SITE).xpos - 0.16 * UP
    pointing = unit(FORWARD + 0.3 * np.array([direction[0], 0, 0]) - 0.3 * UP)
    # The palm, which faces -y of the hand, looks along the push.
    thumb = np.cross(-direction, pointing) * (1 if side == "right" else -1)
    return HandPose(body - 0.13 * direction, pointing, thumb, "flat")

"""The kitchen tasks: which joint is moved, where to, and when that counts."""

from dataclasses import dataclass

from egorobot.errors import UserError


@dataclass(frozen=True)
class Task:
    """One single-fixture task of the Franka Kitchen.

    Attributes:
        name: the name used on the command line.
        joint: MuJoCo joint that is moved.
        goal: joint position aimed at (rad; m for the slide cabinet).
        low: lower end of the success band of the joint position (rad or m).
        high: upper end of the success band.
        env_id: Gymnasium id.
        instruction: the task in words.
    """

    name: str
    joint: str
    goal: float
    low: float
    high: float
    env_id: str
    instruction: str


INF = float("inf")

# Joints, goals and bands (0.15 x the joint's range around the goal) are those of
# R3M's evaluation (relay_kitchen, robohive v0.0.5). `right_door` is D4RL's hinge
# cabinet with the same tolerance; it is not among R3M's tasks.
TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task("knob", "knob_Joint_1", -1.57, -INF, -1.3345, "egorobot/Knob-v0", "turn on the knob"),
        Task("microwave", "microwave", -1.25, -1.564, -0.936, "egorobot/Microwave-v0", "open the microwave"),
        Task("door", "left_hinge_cabinet", -1.25, -1.4855, -1.0145, "egorobot/Door-v0", "open the left door of the cabinet"),
        Task("right_door", "right_hinge_cabinet", 1.25, 1.0145, 1.4855, "egorobot/RightDoor-v0", "open the right door of the cabinet"),
        Task("slide", "slide_cabinet", 0.44, 0.374, INF, "egorobot/Slide-v0", "slide the cabinet door open"),
        Task("light", "light_switch", -0.7, -INF, -0.595, "egorobot/Light-v0", "turn on the light"),
    )
}  # fmt: skip


def get_task(name: str) -> Task:
    """Return the task called `name`.

    Raises:
        UserError: there is no such task.
    """
    if name not in TASKS:
        raise UserError(f"unknown task '{name}': choose one of {', '.join(TASKS)}")
    return TASKS[name]

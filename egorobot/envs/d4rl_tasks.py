"""The tasks of D4RL's Franka Kitchen: names, ids and what each is made of."""

from dataclasses import dataclass

HORIZON = 280  # FrankaKitchen-v1, D4RL 1.1


@dataclass(frozen=True)
class D4RLTask:
    """One task, or a sequence of tasks, of D4RL's kitchen and of `FrankaKitchen-v1`.

    Attributes:
        name: as in its id.
        elements: what has to be done, in the names that D4RL and gymnasium-robotics share.
    """

    name: str
    elements: tuple[str, ...]

    @property
    def env_id(self) -> str:
        """Gymnasium id on `FrankaKitchen-v1`, which needs nothing but this package."""
        return f"egorobot/FrankaKitchen-{self.name.removeprefix('kitchen-')}-v1"

    @property
    def package_env_id(self) -> str:
        """Gymnasium id on D4RL's own environment."""
        return f"egorobot/D4RL-{self.package_name}"

    @property
    def package_name(self) -> str:
        """What D4RL calls it, if it is a sequence."""
        return f"{self.name}-v0"


_ELEMENTS = ("bottom burner", "top burner", "light switch", "slide cabinet", "hinge cabinet", "microwave", "kettle")
# D4RL 1.1, d4rl/kitchen/__init__.py. `complete` and `partial` differ in their data only.
_SEQUENCES = {
    "kitchen-complete": ("microwave", "kettle", "light switch", "slide cabinet"),
    "kitchen-partial": ("microwave", "kettle", "light switch", "slide cabinet"),
    "kitchen-mixed": ("microwave", "kettle", "bottom burner", "light switch"),
}

D4RL_TASKS: dict[str, D4RLTask] = {
    task.name: task
    for task in (
        *(D4RLTask(element.replace(" ", "-"), (element,)) for element in _ELEMENTS),
        *(D4RLTask(name, elements) for name, elements in _SEQUENCES.items()),
    )
}

"""Gymnasium ids of the kitchen tasks."""

from gymnasium.envs.registration import register, registry

from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.tasks import TASKS


def register_envs() -> None:
    """Register `egorobot/Microwave-v0` and the other ids with Gymnasium; again is harmless."""
    for kitchen_task in TASKS.values():
        _register(kitchen_task.env_id, "egorobot.envs.kitchen:KitchenEnv", {"task": kitchen_task.name})
    for name, task in D4RL_TASKS.items():
        # An id means one engine, whatever is installed.
        for env_id, engine in ((task.env_id, "gymnasium_robotics"), (task.package_env_id, "d4rl")):
            _register(env_id, "egorobot.envs.d4rl:D4RLEnv", {"task": name, "engine": engine})


def _register(env_id: str, entry_point: str, kwargs: dict[str, object]) -> None:
    # The environments truncate their episodes and are checked by our own tests, so none
    # of Gymnasium's wrappers is needed around them.
    if env_id not in registry:
        register(id=env_id, entry_point=entry_point, kwargs=kwargs, disable_env_checker=True, order_enforce=False)

"""Robot learning from egocentric video: Franka Kitchen tasks, frozen encoders, success rates.

Importing the package is light. It registers the Gymnasium environments (``egorobot/Microwave-v0`` and so on)
and chooses how MuJoCo draws off screen; PyTorch is imported by what needs it.
"""

from typing import TYPE_CHECKING, Any

from egorobot.envs.gl_backend import choose_backend
from egorobot.envs.registration import register_envs

if TYPE_CHECKING:
    from egorobot.policies.registry import load_encoder

__version__ = "0.1.0"
__all__ = ["__version__", "load_encoder"]

choose_backend()
register_envs()


def __getattr__(name: str) -> Any:
    """Import `load_encoder`, and PyTorch with it, when it is first asked for."""
    if name == "load_encoder":
        from egorobot.policies.registry import load_encoder

        return load_encoder
    raise AttributeError(f"module 'egorobot' has no attribute '{name}'")

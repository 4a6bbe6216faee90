"""Video representations from egocentric hand-object dynamics, and what they are worth to a robot."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egorobot.policies.registry import load_encoder

__all__ = ["__version__", "load_encoder"]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Worker processes import this package: torch is loaded only by what needs it.
    if name == "load_encoder":
        from egorobot.policies.registry import load_encoder

        return load_encoder
    raise AttributeError(f"module 'egorobot' has no attribute '{name}'")

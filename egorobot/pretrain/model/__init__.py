"""EgoVideo: a two-stream video encoder and the text tower it is trained against.

Its sizes come without PyTorch. The model and open_clip, which take seconds to import, come when they
are first asked for: processes that only load clips do without.
"""

from typing import TYPE_CHECKING, Any

from egorobot.pretrain.model.config import SIZES, EgoVideoConfig

if TYPE_CHECKING:
    from egorobot.pretrain.model.egovideo import EgoVideo, Encoded

__all__ = ["SIZES", "EgoVideo", "EgoVideoConfig", "Encoded"]


def __getattr__(name: str) -> Any:
    """Import the model when `EgoVideo` or what it returns is first asked for."""
    if name in ("EgoVideo", "Encoded"):
        from egorobot.pretrain.model import egovideo

        return getattr(egovideo, name)
    raise AttributeError(f"module 'egorobot.pretrain.model' has no attribute '{name}'")

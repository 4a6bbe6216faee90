"""What policies ask of anything that sees."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError

PROBE_SIZE = 112  # pixels; the default image size of the protocols


@runtime_checkable
class Encoder(Protocol):
    """A frozen map from an episode's recent frames to one vector.

    Attributes:
        name: what `load_encoder` made it from.
        dim: length D of an embedding.
        num_frames: frames T it sees at once, the current one last; 1 for image models.
        frame_rate: rate of those frames (Hz); None for image models.
        fingerprint: hash of weights, transform and dtype. Equal fingerprints mean equal
            embeddings, so caches and checkpoints go by it.
    """

    name: str
    dim: int
    num_frames: int
    frame_rate: float | None
    fingerprint: str

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return embeddings (B, D) of frames (B, T, H, W, 3), RGB."""
        ...


def check_encoder(encoder: Any, where: str) -> Encoder:
    """Check a foreign object against `Encoder` by asking it for one embedding.

    Args:
        encoder: the object.
        where: what it came from, for messages.

    Raises:
        UserError: an attribute is missing or of the wrong type, or `embed` fails or
            returns something else than finite float32 (B, D).
    """
    kinds: dict[str, tuple[type, ...]] = {
        "dim": (int,), "num_frames": (int,), "frame_rate": (int, float, type(None)), "fingerprint": (str,),
    }  # fmt: skip
    for name, kind in kinds.items():
        if not isinstance(getattr(encoder, name, ()), kind):
            expected = " or ".join(k.__name__ for k in kind)
            raise UserError(f"{where} is not an encoder: it needs an attribute '{name}' ({expected})")
    if not callable(getattr(encoder, "embed", None)):
        raise UserError(f"{where} is not an encoder: it needs a method 'embed'")
    frames = np.zeros((2, encoder.num_frames, PROBE_SIZE, PROBE_SIZE, 3), np.uint8)
    try:
        embedding = encoder.embed(frames)
    except Exception as error:
        raise UserError(f"{where}: embed() failed on uint8 frames {frames.shape}: {error}") from error
    got = (getattr(embedding, "dtype", type(embedding)), getattr(embedding, "shape", ()))
    if got != (np.dtype(np.float32), (2, encoder.dim)) or not np.isfinite(embedding).all():
        raise UserError(f"{where}: embed() must return finite float32 (2, {encoder.dim}) for 2 clips, not {got}")
    return encoder

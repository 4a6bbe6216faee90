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

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def dim(self) -> int: ...  # noqa: D102

    @property
    def num_frames(self) -> int: ...  # noqa: D102

    @property
    def frame_rate(self) -> float | None: ...  # noqa: D102

    @property
    def fingerprint(self) -> str: ...  # noqa: D102

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return embeddings (B, D) of frames (B, T, H, W, 3), RGB."""
        ...


class NamedEncoder:
    """Any object that embeds, under the name it was asked for by.

    Args:
        name: what `load_encoder` was given.
        encoder: has the attributes of `Encoder` but for the name.
    """

    def __init__(self, name: str, encoder: Any) -> None:
        self.name = name
        self.encoder = encoder
        self.dim: int = encoder.dim
        self.num_frames: int = encoder.num_frames
        self.frame_rate: float | None = encoder.frame_rate
        self.fingerprint: str = encoder.fingerprint

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return embeddings (B, D) of frames (B, T, H, W, 3), RGB."""
        return self.encoder.embed(frames)


def check_encoder(encoder: Any, where: str) -> NamedEncoder:
    """Check a foreign object against `Encoder` by asking it for one embedding.

    Args:
        encoder: the object.
        where: what it came from: its name from here on.

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
    return NamedEncoder(where, encoder)

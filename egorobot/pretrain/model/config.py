"""What an EgoVideo is made of: every size in one table."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from egorobot.errors import UserError

MODEL_TYPE = "egovideo"
Pooling = str  # "grid", "mean" or "cls"
POOLINGS = ("grid", "mean", "cls")


@dataclass(frozen=True)
class EgoVideoConfig:
    """Sizes of the two streams, the text tower and the joint space.

    Attributes:
        size: name of the size these numbers belong to.
        num_slow: T, frames of the low-rate stream.
        fast_ratio: lambda; the high-rate stream sees lambda * T frames.
        frame_rate: rate of the high-rate stream's frames, in Hz.
        image_size: side of the low-rate stream's frames, in pixels.
        patch_size: side of its patches, in pixels.
        fast_image_size: side of the high-rate stream's frames, in pixels.
        fast_patch_size: side of its patches, in pixels.
        width: channels of a token.
        depth: transformer blocks, shared by both streams.
        heads: attention heads.
        mlp_ratio: hidden channels of a block's MLP over `width`.
        adapter_ratio: hidden channels of a motion adapter over `width`.
        adapter_window: side of the adapter's convolution in space, in patches; 1 is
            time only, as in the official code, 3 is space and time, as in its figure.
        pooling: what a stream hands on. "grid": the mean of all patch tokens, and from
            the low-rate stream the last frame's tokens as well, each reduced to
            `grid_channels`, in their places; "mean": the mean only; "cls": the class
            token, which the last adapter does not touch.
        grid_size: side of that grid, in cells.
        grid_channels: channels of a cell.
        joint_dim: channels of the space shared with text.
        text_width: channels of the text tower.
        text_depth: its blocks.
        text_heads: its attention heads.
        context_length: longest caption, in tokens.
        vocabulary: CLIP's BPE ids that the text tower knows, ascending; any other
            token is read as unknown. Empty stands for all of them.
    """

    size: str
    num_slow: int
    fast_ratio: int
    frame_rate: float
    image_size: int
    patch_size: int
    fast_image_size: int
    fast_patch_size: int
    width: int
    depth: int
    heads: int
    joint_dim: int
    text_width: int
    text_depth: int
    text_heads: int
    mlp_ratio: float = 4.0
    adapter_ratio: float = 0.5
    adapter_window: int = 1
    pooling: Pooling = "grid"
    grid_size: int = 7
    grid_channels: int = 5
    context_length: int = 77
    vocabulary: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the numbers fit each other.

        Raises:
            ValueError: they do not.
        """
        for side, patch in ((self.image_size, self.patch_size), (self.fast_image_size, self.fast_patch_size)):
            if side % patch:
                raise ValueError(f"an image of {side} pixels is not a whole number of patches of {patch}")
        if self.width % self.heads or self.text_width % self.text_heads:
            raise ValueError("width must be a multiple of heads, and text_width of text_heads")
        if self.pooling not in POOLINGS:
            raise ValueError(f"unknown pooling '{self.pooling}': choose one of {', '.join(POOLINGS)}")
        if min(self.num_slow, self.fast_ratio, self.depth) < 1 or not self.adapter_window % 2:
            raise ValueError("num_slow, fast_ratio and depth must be 1 or more, adapter_window odd")

    @property
    def num_frames(self) -> int:
        """Frames of the high-rate stream, lambda * T."""
        return self.num_slow * self.fast_ratio

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `config.json`."""
        return {"model_type": MODEL_TYPE, **asdict(self), "vocabulary": list(self.vocabulary)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EgoVideoConfig":
        """Return the configuration written by `to_dict`.

        Raises:
            ValueError: it is of another model, or its numbers do not fit each other.
            TypeError: a field is missing or unknown.
        """
        values = dict(values)
        if values.pop("model_type", None) != MODEL_TYPE:
            raise ValueError(f"its model_type is not '{MODEL_TYPE}'")
        return cls(**{**values, "vocabulary": tuple(values.get("vocabulary", ()))})


SIZES: dict[str, EgoVideoConfig] = {
    # Chosen so that both streams embed at least 250 windows a second on two CPU cores:
    # 98 + 72 tokens of 128 channels through 4 blocks.
    "nano": EgoVideoConfig(
        size="nano",
        num_slow=2,
        fast_ratio=4,
        frame_rate=6.25,
        image_size=112,
        patch_size=16,
        fast_image_size=48,
        fast_patch_size=16,
        width=128,
        depth=4,
        heads=4,
        joint_dim=256,
        text_width=128,
        text_depth=2,
        text_heads=4,
        adapter_window=3,
    ),
}


def get_size(name: str, **changes: Any) -> EgoVideoConfig:
    """Return the size called `name`, with `changes` to its fields.

    Raises:
        UserError: there is no such size.
    """
    if name not in SIZES:
        raise UserError(f"unknown size '{name}': choose one of {', '.join(SIZES)}")
    return replace(SIZES[name], **changes)

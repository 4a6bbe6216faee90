"""What an EgoVideo is made of: every size in one table."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from egorobot.errors import UserError

MODEL_TYPE = "egovideo"
Pooling = str  # "grid", "mean" or "cls"
POOLINGS = ("grid", "mean", "cls")
ACTIVATIONS = ("gelu", "quick_gelu")
STREAMS = ("both", "slow")
LISTS = ("stem", "embed_layers", "vocabulary")  # fields that JSON has as lists
WHOLE_NUMBERS = (
    "num_slow", "fast_ratio", "image_size", "patch_size", "fast_image_size", "fast_patch_size", "width", "depth",
    "heads", "adapter_window", "grid_size", "grid_channels", "joint_dim", "text_width", "text_depth", "text_heads",
    "context_length",
)  # fmt: skip
STEM_GROUPS = 8  # of channels that a stem normalises together
NORM_EPS = 1e-6  # of the vision tower's norms, as in the official code


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
        stem: channels between the convolutions of a patch embedding (Xiao et al. 2021), all
            but the first of which halve the image. Empty is one convolution as large as a
            patch, as in CLIP.
        fast_differences: whether the high-rate stream sees each frame's change since the
            one before beside it.
        mlp_ratio: hidden channels of a block's MLP over `width`.
        adapter_ratio: hidden channels of a motion adapter over `width`.
        adapter_window: side of the adapter's convolution in space, in patches; 1 is
            time only, as in the official code, 3 is space and time, as in its figure.
        adapter_blocks: how many of the last blocks have an adapter; None is all of them.
        activation: of both towers. "gelu", as in the official code, or "quick_gelu", as
            in OpenAI's CLIP.
        streams: what a clip's vector is made of, "both" streams or the "slow" one, the
            low-rate stream, alone: then there is no high-rate stream.
        pooling: what a stream hands on. "grid": the mean of all patch tokens, and from
            the low-rate stream the last frame's tokens as well, each reduced to
            `grid_channels`, in their places; "mean": the mean only; "cls": the class
            token, which the last adapter does not touch.
        grid_size: side of that grid, in cells.
        grid_channels: channels of a cell.
        embed_layers: layers whose tokens of the latest frame, of each stream in their
            places, are the embeddings for policies: 0 is the patch embedding, k the kth
            block, -1 the last one; at most `grid_size` by `grid_size` cells each. Empty:
            embeddings are what the streams hand on.
        box_head: whether there is a head that tells boxes of hands and objects, with which
            pre-training may teach the low-rate stream where things are.
        joint_dim: channels of the space shared with text.
        text_width: channels of the text tower.
        text_depth: its blocks.
        text_heads: its attention heads.
        context_length: longest caption, in tokens.
        text_causal: whether a token sees only those before it, and captions are always
            padded to `context_length`: CLIP's text tower.
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
    stem: tuple[int, ...] = ()
    fast_differences: bool = False
    mlp_ratio: float = 4.0
    adapter_ratio: float = 0.5
    adapter_window: int = 3
    adapter_blocks: int | None = None
    activation: str = "gelu"
    streams: str = "both"
    pooling: Pooling = "grid"
    grid_size: int = 7
    grid_channels: int = 5
    embed_layers: tuple[int, ...] = ()
    box_head: bool = False
    context_length: int = 77
    text_causal: bool = False
    vocabulary: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check that the numbers fit each other.

        Raises:
            ValueError: they do not.
        """
        for field in WHOLE_NUMBERS:
            if type(value := getattr(self, field)) is not int or value < 1:
                raise ValueError(f"{field}={value} must be a whole number, 1 or more")
        if not self.frame_rate > 0:
            raise ValueError(f"frame_rate={self.frame_rate} must be above 0")
        for side, patch in ((self.image_size, self.patch_size), (self.fast_image_size, self.fast_patch_size)):
            if side % patch:
                raise ValueError(f"an image of {side} pixels is not a whole number of patches of {patch}")
            if patch % 2 ** len(self.stem) or any(channels % STEM_GROUPS for channels in self.stem):
                raise ValueError(
                    f"stem={list(self.stem)}: patches of {patch} pixels must be halved that often, "
                    f"and channels be multiples of {STEM_GROUPS}"
                )
        if self.width % self.heads or self.text_width % self.text_heads:
            raise ValueError("width must be a multiple of heads, and text_width of text_heads")
        for field, choices in (("pooling", POOLINGS), ("activation", ACTIVATIONS), ("streams", STREAMS)):
            if (value := getattr(self, field)) not in choices:
                raise ValueError(f"unknown {field} '{value}': choose one of {', '.join(choices)}")
        if not 0 <= self.num_adapters <= self.depth:
            raise ValueError(f"adapter_blocks={self.adapter_blocks} must be 0 to {self.depth}, the depth")
        if self.streams == "slow" and self.adapter_blocks:
            raise ValueError("adapter_blocks must be null or 0 with streams=slow: adapters are the high-rate stream's")
        if not self.adapter_window % 2:
            raise ValueError(f"adapter_window={self.adapter_window} must be odd")
        if any(not -self.depth <= layer <= self.depth for layer in self.embed_layers):
            raise ValueError(f"embed_layers={list(self.embed_layers)} must be in -{self.depth} to {self.depth}")

    @property
    def num_frames(self) -> int:
        """Frames of the high-rate stream, lambda * T."""
        return self.num_slow * self.fast_ratio

    @property
    def num_adapters(self) -> int:
        """Motion adapters, one each in as many of the last blocks."""
        if self.adapter_blocks is None:
            return self.depth if self.streams == "both" else 0
        return self.adapter_blocks

    def to_dict(self) -> dict[str, Any]:
        """Return the content of `config.json`."""
        return {
            "model_type": MODEL_TYPE,
            **asdict(self),
            **{name: list(getattr(self, name)) for name in LISTS},
        }

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
        return cls(**{**values, **{name: tuple(values.get(name, ())) for name in LISTS}})


SIZES: dict[str, EgoVideoConfig] = {
    # Small enough to embed every step of a policy on a CPU: 98 + 72 tokens of 128
    # channels through 3 blocks, with halved MLPs and stem: in as much time a small model
    # that sees more clips came further than a larger one. In short trials convolutions told
    # things apart sooner than patches alone, and differences between frames hands and
    # their ways.
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
        depth=3,
        heads=2,
        embed_layers=(0, -1),
        joint_dim=256,
        text_width=128,
        text_depth=1,
        text_heads=4,
        stem=(64,),
        fast_differences=True,
        mlp_ratio=2.0,
    ),
    # The official sizes, whose frames are spread over a clip of any length. Policies need
    # a rate: nano's, at which 16 frames span 2.4 s.
    "b": EgoVideoConfig(
        size="b",
        num_slow=4,
        fast_ratio=4,
        frame_rate=6.25,
        image_size=224,
        patch_size=16,
        fast_image_size=224,
        fast_patch_size=16,
        width=768,
        depth=12,
        heads=12,
        joint_dim=512,
        text_width=512,
        text_depth=12,
        text_heads=8,
        pooling="mean",
        text_causal=True,
    ),
    "l": EgoVideoConfig(
        size="l",
        num_slow=4,
        fast_ratio=4,
        frame_rate=6.25,
        image_size=336,
        patch_size=14,
        fast_image_size=336,
        fast_patch_size=14,
        width=1024,
        depth=24,
        heads=16,
        joint_dim=512,
        text_width=768,
        text_depth=12,
        text_heads=12,
        pooling="mean",
        text_causal=True,
    ),
}


def get_size(name: str, **changes: Any) -> EgoVideoConfig:
    """Return the size called `name`, with `changes` to its fields.

    Raises:
        UserError: there is no such size.
    """
    if name not in SIZES:
        raise UserError(f"unknown size '{name}': choose one of {', '.join(SIZES)}")
    fields: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value for field, value in changes.items()
    }
    return replace(SIZES[name], **fields)

"""The two streams of EgoVideo, from frames to one vector each.

The low-rate stream trains the blocks. The high-rate stream runs through the same blocks,
whose parameters get no gradient from it, with motion adapters in between.
"""

from torch import Tensor, nn

from egorobot.pretrain.model.block import SharedBlock
from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.patches import PatchEmbedding
from egorobot.pretrain.model.pooling import StreamPooling


class TwoStreamVision(nn.Module):
    """Both streams, up to their pooled vectors.

    `vision.compile()` compiles it in place; the names of its weights stay.

    Args:
        config: sizes.
    """

    def __init__(self, config: EgoVideoConfig) -> None:
        super().__init__()
        size, patch, width = config.image_size, config.patch_size, config.width
        self.slow_embedding = PatchEmbedding(size, patch, config.num_slow, width, config.stem)
        self.slow_pooling = StreamPooling(config, with_grid=True)
        self.fast_embedding: PatchEmbedding | None = None
        self.fast_pooling: StreamPooling | None = None
        if config.streams == "both":
            size, patch = config.fast_image_size, config.fast_patch_size
            self.fast_embedding = PatchEmbedding(
                size, patch, config.num_frames, width, config.stem, config.fast_differences
            )
            self.fast_pooling = StreamPooling(config, with_grid=False)
        first_adapter = config.depth - config.num_adapters
        self.blocks = nn.ModuleList(SharedBlock(config, i >= first_adapter) for i in range(config.depth))

    def forward(self, slow: Tensor, fast: Tensor | None = None, whole: bool = False) -> list[Tensor]:
        """Return the vectors of the streams that are given, (B, slow_pooling.dim) and (B, fast_pooling.dim).

        Args:
            slow: normalised frames of the low-rate stream, (B, T, 3, H, W).
            fast: normalised frames of the high-rate stream, (B, lambda*T, 3, H, W), or
                None to leave it out; it does not change the low-rate stream's vector.
            whole: whether the cells of the low-rate stream's grid keep all their channels:
                its vector is then (B, slow_pooling.whole_dim).

        Raises:
            ValueError: `fast` is given to a model without a high-rate stream.
        """
        slow_tokens, slow_grid = self.slow_embedding(slow)
        if fast is None:
            for block in self.blocks:
                slow_tokens, _ = block(slow_tokens, None, slow_grid)
            return [self.slow_pooling(slow_tokens, slow_grid, whole)]
        if self.fast_embedding is None or self.fast_pooling is None:
            raise ValueError("a model with streams=slow has no high-rate stream")
        fast_tokens, fast_grid = self.fast_embedding(fast)
        for block in self.blocks:
            slow_tokens, fast_tokens = block(slow_tokens, fast_tokens, fast_grid)
        return [self.slow_pooling(slow_tokens, slow_grid, whole), self.fast_pooling(fast_tokens, fast_grid)]


def slow_indices(num_frames: int, fast_ratio: int) -> range:
    """Return which of the high-rate frames the low-rate stream sees: every lambda-th, the last among them.

    Raises:
        ValueError: `num_frames` is not a multiple of `fast_ratio`.
    """
    if num_frames < 1 or num_frames % fast_ratio:
        raise ValueError(f"{num_frames} frames are not a multiple of {fast_ratio}, the ratio of the two streams")
    return range(fast_ratio - 1, num_frames, fast_ratio)

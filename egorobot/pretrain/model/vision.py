"""The two streams of EgoVideo, from frames to one vector each.

The low-rate stream trains the blocks. The high-rate stream runs through the same blocks,
whose parameters get no gradient from it, with motion adapters in between.
"""

from collections.abc import Collection, Iterator

from torch import Tensor, nn

from egorobot.pretrain.model.block import SharedBlock
from egorobot.pretrain.model.config import EgoVideoConfig
from egorobot.pretrain.model.patches import Grid, PatchEmbedding
from egorobot.pretrain.model.pooling import StreamPooling, cells, latest_frame

Stream = tuple[Tensor, Grid]  # tokens (B, 1 + T*h*w, C), and how many patches there are along T, h and w


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

    def forward(self, slow: Tensor, fast: Tensor | None = None) -> list[Tensor]:
        """Return the vectors of the streams that are given, as from `pool`; arguments as for `tokens`."""
        return self.pool(self.tokens(slow, fast))

    def tokens(self, slow: Tensor, fast: Tensor | None = None) -> list[Stream]:
        """Return what the blocks make of the streams that are given: their tokens, and the grid of these.

        Args:
            slow: frames of the low-rate stream, uint8 (B, T, H, W, 3), of the size they are made for or another.
            fast: frames of the high-rate stream, uint8 (B, lambda*T, H, W, 3), or
                None to leave it out; it does not change the low-rate stream's tokens.

        Raises:
            ValueError: `fast` is given to a model without a high-rate stream.
        """
        for layer in self._layers(slow, fast):
            streams = layer
        return streams

    def pool(self, streams: list[Stream]) -> list[Tensor]:
        """Return the vectors of `streams`, as from `tokens`: (B, slow_pooling.dim) and (B, fast_pooling.dim)."""
        poolings = [self.slow_pooling, self.fast_pooling]
        return [pool(*stream) for pool, stream in zip(poolings, streams, strict=False) if pool is not None]

    def latest(self, slow: Tensor, fast: Tensor | None, layers: Collection[int]) -> list[Tensor]:
        """Return the latest frame's tokens after each of `layers`, of the streams that are given.

        Args:
            slow: as for `tokens`.
            fast: as for `tokens`.
            layers: see `EgoVideoConfig.embed_layers`.

        Returns:
            (B, C * cells * cells) for each layer of the low-rate stream, then of the
            high-rate one.
        """
        found = [
            [cells(latest_frame(tokens, grid), grid, self._cells(grid[1])) for tokens, grid in streams]
            for i, streams in enumerate(self._layers(slow, fast))
            if i in self._counted(layers)
        ]
        return [vector for stream in zip(*found, strict=True) for vector in stream]

    def latest_dim(self, layers: Collection[int], with_fast: bool) -> int:
        """Return how many numbers `latest` returns of a clip whose frames have the size they are made for."""
        embeddings = [self.slow_embedding, self.fast_embedding if with_fast else None]
        sides = [self._cells(embedding.spatial.shape[0]) for embedding in embeddings if embedding is not None]
        return len(self._counted(layers)) * sum(side**2 for side in sides) * self.slow_embedding.spatial.shape[2]

    def _counted(self, layers: Collection[int]) -> set[int]:
        """Return `layers` with those that are counted from the end counted from the beginning."""
        return {layer % (len(self.blocks) + 1) for layer in layers}

    def _cells(self, side: int) -> int:
        return min(side, self.slow_pooling.grid_size)

    def _layers(self, slow: Tensor, fast: Tensor | None) -> Iterator[list[Stream]]:
        """Yield the tokens of the streams that are given, with their grids, before the blocks and after each."""
        slow_tokens, slow_grid = self.slow_embedding(slow)
        if fast is None:
            yield [(slow_tokens, slow_grid)]
            for block in self.blocks:
                slow_tokens, _ = block(slow_tokens, None, slow_grid)
                yield [(slow_tokens, slow_grid)]
            return
        if self.fast_embedding is None:
            raise ValueError("a model with streams=slow has no high-rate stream")
        fast_tokens, fast_grid = self.fast_embedding(fast)
        yield [(slow_tokens, slow_grid), (fast_tokens, fast_grid)]
        for block in self.blocks:
            slow_tokens, fast_tokens = block(slow_tokens, fast_tokens, fast_grid)
            yield [(slow_tokens, slow_grid), (fast_tokens, fast_grid)]


def slow_indices(num_frames: int, fast_ratio: int) -> range:
    """Return which of the high-rate frames the low-rate stream sees: every lambda-th, the last among them.

    Raises:
        ValueError: `num_frames` is not a multiple of `fast_ratio`.
    """
    if num_frames < 1 or num_frames % fast_ratio:
        raise ValueError(f"{num_frames} frames are not a multiple of {fast_ratio}, the ratio of the two streams")
    return range(fast_ratio - 1, num_frames, fast_ratio)

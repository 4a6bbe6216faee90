"""The plain reading of EgoVideo's figure, which the benchmark of pre-training compares with.

The figure shows the high-rate stream running through frozen copies of the low-rate
stream's blocks. Read plainly: a copy of each block, brought up to date at every step,
through which autograd goes as through any other; adapters with PyTorch's own convolution
in three dimensions; captions padded to the whole context, every token through all of
open_clip's text tower, as CLIP does it.
Loss and gradients are those of `EgoVideo`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer
from torch import Tensor, nn

from egorobot.pretrain.model import EgoVideo, Encoded
from egorobot.pretrain.model.adapter import MotionAdapter
from egorobot.pretrain.model.block import SharedBlock
from egorobot.pretrain.model.egovideo import MAX_SCALE
from egorobot.pretrain.model.frames import resize_frames
from egorobot.pretrain.model.patches import Grid
from egorobot.pretrain.model.text import TextTower


class PlainEgoVideo(nn.Module):
    """An `EgoVideo` computed the plain way.

    Args:
        model: with both streams; it is trained in place.
    """

    def __init__(self, model: EgoVideo) -> None:
        super().__init__()
        self.model = model
        self.copies = nn.ModuleList(SharedBlock(model.config, with_adapter=False) for _ in self.blocks())
        model.text.tokenizer.fixed_length = True

    def blocks(self) -> list[SharedBlock]:
        """Return the blocks that the low-rate stream trains."""
        return [block for block in self.model.vision.blocks if isinstance(block, SharedBlock)]

    @torch.no_grad()
    def update_copies(self) -> None:
        """Give the copies the weights that the blocks have now, and forget the gradients that they got."""
        for block, frozen in zip(self.blocks(), self.copies, strict=True):
            frozen.load_state_dict({name: w for name, w in block.state_dict().items() if "adapter" not in name})
            frozen.zero_grad()

    def forward(
        self, frames_slow: Tensor, frames_fast: Tensor, captions: Sequence[str], boxes: Tensor | None = None
    ) -> Encoded:
        """Return what `EgoVideo.forward` returns."""
        model, config, vision = self.model, self.model.config, self.model.vision
        assert vision.fast_embedding is not None and vision.fast_pooling is not None
        self.update_copies()
        slow, slow_grid = vision.slow_embedding(resize_frames(frames_slow, config.image_size))
        fast, grid = vision.fast_embedding(resize_frames(frames_fast, config.fast_image_size))
        for block, frozen in zip(self.blocks(), self.copies, strict=True):
            slow, _ = block(slow, None, grid)
            fast, _ = frozen(fast, None, grid)  # the copy is trained on this path as far as autograd knows
            if block.adapter is not None:
                fast = plain_adapter(block.adapter, fast, grid)
        video = model.join([vision.slow_pooling(slow, slow_grid), vision.fast_pooling(fast, grid)])
        scale = model.log_scale.exp().clamp(max=MAX_SCALE)
        text = F.normalize(plain_text(model.text, captions), dim=-1)
        return Encoded(video, text, scale, model.box_losses((slow, slow_grid), boxes))


def plain_text(tower: TextTower, captions: Sequence[str]) -> Tensor:
    """Return what `tower` makes of `captions`, every token through all of it."""
    vectors: Tensor = TextTransformer.forward(tower.transformer, tower.tokenizer(captions))
    return vectors


def plain_adapter(adapter: MotionAdapter, tokens: Tensor, grid: Grid) -> Tensor:
    """Return what `adapter` makes of `tokens`, with the convolution as PyTorch has it."""
    first, patches = tokens[:, :1], tokens[:, 1:]
    hidden = F.gelu(adapter.down(patches))
    volume = hidden.unflatten(1, grid).permute(0, 4, 1, 2, 3)  # (B, C, T, h, w)
    mixed = adapter.point(adapter.mix(volume).permute(0, 2, 3, 4, 1).flatten(1, 3))
    return torch.cat([first, patches + adapter.scale * adapter.up(hidden + mixed)], dim=1)

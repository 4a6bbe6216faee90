"""The text tower: open_clip's transformer, on all of CLIP's vocabulary or the part that is used."""

from collections.abc import Iterable, Sequence
from functools import cache

import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import TextTransformer
from torch import Tensor, nn

from egorobot.pretrain.model.block import activation_layer
from egorobot.pretrain.model.config import EgoVideoConfig

PAD, UNKNOWN = 0, 1
NUM_SPECIAL = 2  # indices before the first of the vocabulary


@cache
def bpe() -> SimpleTokenizer:
    """Return CLIP's byte-pair encoder, which open_clip carries."""
    return SimpleTokenizer()


def vocabulary_of(captions: Iterable[str]) -> tuple[int, ...]:
    """Return the BPE ids in `captions`, ascending, start and end of text among them."""
    ids = {bpe().sot_token_id, bpe().eot_token_id}
    for caption in set(captions):
        ids.update(bpe().encode(caption))
    return tuple(sorted(ids))


class CaptionTokenizer:
    """Captions to rows of the token embedding.

    Args:
        vocabulary: BPE ids, ascending; empty stands for all of CLIP's.
        context_length: longest caption, in tokens; longer ones are cut.
        causal: whether the text tower is CLIP's: all rows have `context_length` tokens
            then, and with all of CLIP's vocabulary a token's row is its id.

    Attributes:
        num_special: rows before the first of the vocabulary.
        size: rows of the token embedding.
    """

    def __init__(self, vocabulary: Sequence[int], context_length: int, causal: bool = False) -> None:
        self.num_special = 0 if causal and not vocabulary else NUM_SPECIAL
        ids = list(vocabulary) or list(range(bpe().vocab_size))
        self.index = {token: self.num_special + i for i, token in enumerate(ids)}
        self.size = self.num_special + len(ids)
        self.context_length = context_length
        self.fixed_length = causal

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Return int64 (B, L), padded at the end; L is the longest caption's length, or `context_length`."""
        rows = []
        for caption in captions:
            body = bpe().encode(caption)[: self.context_length - 2]
            tokens = [bpe().sot_token_id, *body, bpe().eot_token_id]
            rows.append([self.index.get(token, UNKNOWN) for token in tokens])
        length = self.context_length if self.fixed_length else max(map(len, rows))
        return torch.tensor([row + [PAD] * (length - len(row)) for row in rows])


class TextTower(nn.Module):
    """Captions to vectors of the joint space.

    A caption's vector does not depend on its neighbours' lengths: without a causal mask
    padding is masked, with one it stands behind all that counts.

    Args:
        config: sizes.
    """

    def __init__(self, config: EgoVideoConfig) -> None:
        super().__init__()
        self.tokenizer = CaptionTokenizer(config.vocabulary, config.context_length, config.text_causal)
        self.transformer = TextTransformer(
            context_length=config.context_length,
            vocab_size=self.tokenizer.size,
            width=config.text_width,
            heads=config.text_heads,
            layers=config.text_depth,
            output_dim=config.joint_dim,
            act_layer=activation_layer(config.activation),
            # With a causal mask open_clip takes batches of the whole context only.
            no_causal_mask=not config.text_causal,
            use_pad_mask=not config.text_causal,
            pad_id=PAD,
            pool_type="argmax",  # the end of text has the highest index
        )

    def forward(self, captions: Sequence[str]) -> Tensor:
        """Return one vector a caption, (B, joint_dim)."""
        device = self.transformer.positional_embedding.device
        return self.transformer(self.tokenizer(captions).to(device))

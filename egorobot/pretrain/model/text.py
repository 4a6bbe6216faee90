"""The text tower: open_clip's transformer on the part of CLIP's vocabulary that is used."""

from collections.abc import Iterable, Sequence
from functools import cache

import torch
from open_clip.tokenizer import SimpleTokenizer
from open_clip.transformer import TextTransformer
from torch import Tensor, nn

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
    """Captions to indices into a compact vocabulary.

    Args:
        vocabulary: BPE ids, ascending; empty stands for all of CLIP's.
        context_length: longest caption, in tokens; longer ones are cut.
    """

    def __init__(self, vocabulary: Sequence[int], context_length: int) -> None:
        ids = list(vocabulary) or list(range(bpe().vocab_size))
        self.index = {token: NUM_SPECIAL + i for i, token in enumerate(ids)}
        self.size = NUM_SPECIAL + len(ids)
        self.context_length = context_length

    def __call__(self, captions: Sequence[str]) -> Tensor:
        """Return int64 (B, L), padded at the end; L is the longest caption's length."""
        rows = []
        for caption in captions:
            body = bpe().encode(caption)[: self.context_length - 2]
            tokens = [bpe().sot_token_id, *body, bpe().eot_token_id]
            rows.append(torch.tensor([self.index.get(token, UNKNOWN) for token in tokens]))
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


class TextTower(nn.Module):
    """Captions to vectors of the joint space.

    Padding is masked, so a caption's vector does not depend on its neighbours' lengths.
    """

    def __init__(self, config: EgoVideoConfig) -> None:
        super().__init__()
        self.tokenizer = CaptionTokenizer(config.vocabulary, config.context_length)
        self.transformer = TextTransformer(
            context_length=config.context_length,
            vocab_size=self.tokenizer.size,
            width=config.text_width,
            heads=config.text_heads,
            layers=config.text_depth,
            output_dim=config.joint_dim,
            # Without a causal mask open_clip takes shorter batches than the context.
            no_causal_mask=True,
            use_pad_mask=True,
            pad_id=PAD,
            pool_type="argmax",  # the end of text has the highest index
        )

    def forward(self, captions: Sequence[str]) -> Tensor:
        """Return one vector a caption, (B, joint_dim)."""
        device = self.transformer.positional_embedding.device
        return self.transformer(self.tokenizer(captions).to(device))

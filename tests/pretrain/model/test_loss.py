"""The contrastive loss."""

import pytest
import torch

from egorobot.pretrain.model.loss import contrastive_loss


def test_loss_is_low_for_matching_pairs_and_ignores_clips_with_the_same_caption() -> None:
    vectors = torch.eye(3)
    scale = torch.tensor(1 / 0.07)
    assert contrastive_loss(vectors, vectors, scale, ["a", "b", "c"]) < 1e-3
    assert contrastive_loss(vectors, vectors.roll(1, 0), scale, ["a", "b", "c"]) > 5
    same = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert contrastive_loss(same, same, scale, ["a", "a", "c"]) < 1e-3
    assert contrastive_loss(same, same, scale, ["a", "b", "c"]) > 0.3


def test_logits_keep_single_precision_under_autocast() -> None:
    video = torch.nn.functional.normalize(torch.randn(8, 16, generator=torch.Generator().manual_seed(0)), dim=1)
    scale, captions = torch.tensor(100.0), [str(i) for i in range(8)]
    expected = contrastive_loss(video, video.flip(1), scale, captions)
    with torch.autocast("cpu", torch.bfloat16):
        loss = contrastive_loss(video, video.flip(1), scale, captions)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)


def test_groups_add_a_loss_of_their_own_and_clips_alone_add_none() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    scale, captions = torch.tensor(5.0), list("abcd")
    whole = contrastive_loss(vectors, vectors, scale, captions)
    pairs = [contrastive_loss(vectors[i : i + 2], vectors[i : i + 2], scale, captions[i : i + 2]) for i in (0, 2)]
    loss = contrastive_loss(vectors, vectors, scale, captions, torch.tensor([0, 0, 7, 7]), group_weight=0.5)
    torch.testing.assert_close(loss, whole + 0.5 * (pairs[0] + pairs[1]) / 2)
    half = contrastive_loss(vectors, vectors, scale, captions, torch.tensor([0, 0, 2, 3]), group_weight=0.5)
    torch.testing.assert_close(half, whole + 0.5 * pairs[0])
    alone = contrastive_loss(vectors, vectors, scale, captions, torch.arange(4), group_weight=0.5)
    torch.testing.assert_close(alone, whole)

"""The plain reading that the benchmark compares with computes what `EgoVideo` computes."""

import copy

import torch

from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.plain import PlainEgoVideo

CAPTIONS = ["opens kettle", "closes the door with the left", "lifts"]


def test_loss_and_gradients_are_the_same(tiny_model: EgoVideo) -> None:
    generator = torch.Generator().manual_seed(0)
    for block in tiny_model.vision.blocks:
        torch.nn.init.normal_(block.adapter.up.weight, std=0.5, generator=generator)
    shape = (3, tiny_model.num_frames, 32, 32, 3)
    fast = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    slow = fast[:, tiny_model.config.fast_ratio - 1 :: tiny_model.config.fast_ratio]
    boxes = torch.rand(3, slow.shape[1], 3, 4, generator=generator).sort(dim=3).values
    tiny_model.double()
    plain = PlainEgoVideo(copy.deepcopy(tiny_model)).double()
    losses = []
    for model in (tiny_model, plain):
        video, text, scale, by_clip = model(slow, fast, CAPTIONS, boxes)
        losses.append(contrastive_loss(video, text, scale, CAPTIONS) + by_clip.mean())
        losses[-1].backward()
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-6, atol=0)
    found = dict(plain.model.named_parameters())
    for name, parameter in tiny_model.named_parameters():
        assert parameter.grad is not None and found[name].grad is not None, name
        torch.testing.assert_close(found[name].grad, parameter.grad, rtol=1e-5, atol=1e-8, msg=name)


def test_copies_follow_the_blocks_and_get_gradients_that_nothing_uses(tiny_model: EgoVideo) -> None:
    plain = PlainEgoVideo(tiny_model)
    fast = torch.randint(0, 256, (2, tiny_model.num_frames, 32, 32, 3), dtype=torch.uint8)
    with torch.no_grad():
        for block in tiny_model.vision.blocks:
            block.attn.proj.bias += 1
    plain(fast[:, -1:], fast, ["lifts", "closes"])[0].sum().backward()
    for block, frozen in zip(plain.blocks(), plain.copies, strict=True):
        assert frozen.attn.proj.bias.equal(block.attn.proj.bias)
        assert frozen.attn.proj.weight.grad is not None and frozen.attn.proj.weight.grad.any()

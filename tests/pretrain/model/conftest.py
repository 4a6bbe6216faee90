from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from egorobot.pretrain.model import EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.text import vocabulary_of


@pytest.fixture(scope="session")
def captions() -> list[str]:
    return [
        "#C C opens the microwave",
        "the right hand grasps the handle of the microwave and pulls it to the left.",
        "#C C lifts the kettle",
        "#C C turns on the light",
    ]


@pytest.fixture(scope="session")
def config(captions: list[str]) -> EgoVideoConfig:
    return EgoVideoConfig(
        size="tiny",
        num_slow=2,
        fast_ratio=2,
        frame_rate=6.25,
        image_size=32,
        patch_size=8,
        fast_image_size=16,
        fast_patch_size=8,
        width=32,
        depth=3,
        heads=2,
        joint_dim=16,
        text_width=32,
        text_depth=1,
        text_heads=2,
        grid_size=4,
        grid_channels=2,
        vocabulary=vocabulary_of(captions),
    )


@pytest.fixture(scope="session")
def clip_pixels() -> Callable[..., Tensor]:
    """Random frames, uint8 (B, T, size, size, 3)."""

    def make(batch: int, frames: int = 4, size: int = 32, seed: int = 0) -> Tensor:
        rng = np.random.default_rng(seed)
        return torch.from_numpy(rng.integers(0, 256, (batch, frames, size, size, 3), dtype=np.uint8))

    return make


@pytest.fixture(scope="session")
def awake() -> Callable[[EgoVideo], EgoVideo]:
    """Let the adapters do something: they start as the identity."""

    def wake(model: EgoVideo) -> EgoVideo:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for block in model.vision.blocks:
                if block.adapter is not None:
                    block.adapter.up.weight.normal_(0, 0.2, generator=generator)
        return model

    return wake

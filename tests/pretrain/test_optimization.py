"""What decays, and the learning rate of each step."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.optimization import DRAWN_TEXT_RATE, learning_rate, make_optimizer, set_learning_rate
from egorobot.pretrain.options import PretrainOptions


def test_matrices_decay_and_nothing_else_does(tiny_model: EgoVideo, tiny_options: PretrainOptions) -> None:
    tiny_model.log_scale.requires_grad_(False)
    optimizer = make_optimizer(tiny_model, replace(tiny_options, weight_decay=0.1))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    by_name = {name: decay.get(id(p)) for name, p in tiny_model.named_parameters()}
    assert by_name.pop("log_scale") is None  # what is not trained
    assert set(by_name.values()) == {0.0, 0.1}
    for name, value in by_name.items():
        plain = name.endswith(("bias", "norm.weight", "scale")) or ("embedding." in name and "patches" not in name)
        if plain or "positional" in name:
            assert value == 0, name
    assert by_name["slow_projection.weight"] == by_name["vision.slow_embedding.patches.weight"] == 0.1


@pytest.mark.parametrize(
    ("changes", "relative"),
    [({}, DRAWN_TEXT_RATE), ({"text_rate": 0.3}, 0.3), ({"text_rate": 0.0}, 0.0), ({"init": "some/folder"}, 1.0)],
)
def test_the_text_tower_learns_at_a_rate_of_its_own(
    changes: dict[str, Any], relative: float, tiny_model: EgoVideo, tiny_options: PretrainOptions
) -> None:
    optimizer = make_optimizer(tiny_model, replace(tiny_options, **changes))
    set_learning_rate(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in tiny_model.named_parameters():
        assert rates[id(parameter)] == 0.5 * (relative if name.startswith("text.") else 1), name


def test_learning_rate_rises_and_falls(tiny_options: PretrainOptions) -> None:
    options = replace(tiny_options, steps=100, warmup=0.1)
    rates = [learning_rate(options, step) for step in range(100)]
    assert np.argmax(rates) in (9, 10) and rates[9] == options.learning_rate
    assert rates[0] < rates[5] and rates[99] < 0.01 * options.learning_rate
    assert learning_rate(replace(options, warmup=0.0), 0) == options.learning_rate

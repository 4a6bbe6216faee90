"""The commands that repeat a row: complete, and read by shell and Hydra as they are meant."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from egorobot.cli import load_config
from egorobot.leaderboard_commands import hydra_value, repeat_commands


def test_commands_repeat_a_row(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    one = make_result(camera=["left_cap2", "right_cap2"], best=45)
    assert repeat_commands([one]) == [
        "python -m egorobot.train_bc task=microwave protocol=kitchen 'camera=[left_cap2,right_cap2]' "
        "encoder=egovideo_nano policy=bc_mlp num_demos=100 seed=0 episodes=50 eval_max=true"
    ]
    assert "&#x27;camera=[left_cap2,right_cap2]&#x27;" in write_board(tmp_path, one)
    grid = [make_result(task=task, seed=seed) for task in ("knob", "door") for seed in (2, 0, 1)]
    (command,) = repeat_commands(grid)
    assert "--multirun task=door,knob protocol=kitchen" in command and " seed=0,1,2 " in command
    ragged = repeat_commands([*grid, make_result(task="microwave")])
    assert len(ragged) == 2 and "task=microwave" in ragged[1] and "--multirun" not in ragged[1]


def test_commands_name_what_was_trained_on(make_result: Callable[..., dict[str, Any]]) -> None:
    imported = [make_result(seed=seed) | {"dataset": "data/my file.hdf5"} for seed in (0, 1)]
    (command,) = repeat_commands(imported)
    config = load_config("train_bc", [a for a in shlex.split(command)[4:] if not a.startswith("seed")])
    assert config.dataset == "data/my file.hdf5" and "--multirun" in command
    assert "task=" not in command and "camera=" not in command
    train, evaluate = repeat_commands([make_result() | {"trainer": "robomimic"}])
    assert "robomimic train" in train and "evaluate" in evaluate


@pytest.mark.parametrize(
    "fields",
    [{"camera": ["left_cap2", "right_cap2"], "best": 45}, {"successes": 5, "encoder": "it's (1), x", "episodes": 10}],
)
def test_commands_are_understood(fields: dict[str, Any], make_result: Callable[..., dict[str, Any]]) -> None:
    result = make_result(**fields)
    (command,) = repeat_commands([result])
    config = load_config("train_bc", shlex.split(command)[3:])
    assert config.encoder == result["encoder"]["name"] and config.camera == result["camera"]
    assert (config.episodes, config.eval_max) == (result["eval"]["episodes"], result["eval_max"] is not None)
    assert (config.task.name, config.policy.name, config.num_demos) == ("microwave", "bc_mlp", 100)


@pytest.mark.parametrize(
    "name",
    ["timm:vit_base_patch16_224.mae", "open_clip:ViT-B-16/openai", "my_module:load", "a,b", "it's", "x\\", "x\\'y",
     "(1)", "1e5", "null", "True", "<script>", "a=b", "range(1)", "[x]", "~/with space", "é", "1_0", "nan"],
)  # fmt: skip
def test_hydra_reads_the_encoder_as_it_is(name: str) -> None:
    override = OverridesParser.create().parse_override(f"encoder={hydra_value(name)}")
    assert override.value() == name and not override.is_sweep_override()


def test_commands_say_how_the_encoder_is_made(make_result: Callable[..., dict[str, Any]]) -> None:
    options = {"corpus": {"hod_ratio": 0}, "box_weight": 0.5, "init": "open_clip:a/b", "+model": {"stem": [8, 16]}}
    (command,) = repeat_commands([make_result(encoder="encoders/mine"), make_result(seed=1) | {"pretrain": options}])
    (option,) = [argument for argument in shlex.split(command) if argument.startswith("pretrain=")]
    assert OmegaConf.to_container(load_config("train_bc", [option]).pretrain) == options

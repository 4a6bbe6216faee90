"""What is changed in a run is told and enough to repeat it; options of pre-training are checked before it."""

import shlex
from collections.abc import Callable
from typing import Any

import pytest
from omegaconf import OmegaConf

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.leaderboard import make_rows
from egorobot.leaderboard_commands import repeat_commands
from egorobot.run_options import changed_options, pretrain_options
from egorobot.runs import DECISIVE, plain

CHANGES: list[tuple[list[str], dict[str, Any], str]] = [
    ([], {}, "bc_mlp"),
    (["task=knob", "protocol=r3m", "policy=bc_gmm", "num_demos=7", "seed=3", "episodes=9"], {}, "bc_gmm"),
    (["policy.steps=500", "image_size=84"], {"image_size": 84, "policy.steps": 500}, "bc_mlp image_size=84 steps=500"),
    (
        ["policy.readout=null", "demo_seed=2"],
        {"demo_seed": 2, "policy.readout": None},
        "bc_mlp demo_seed=2 readout=null",
    ),
    (
        ["policy.algo.actor_layer_dims=[64]", "+policy.algo.gmm.enabled=true"],
        {"+policy.algo.gmm.enabled": True, "policy.algo.actor_layer_dims": [64]},
        "bc_mlp algo.gmm.enabled=true algo.actor_layer_dims=[64]",
    ),
    (
        ["policy.name=mine", "policy.norm=batchnorm"],
        {"policy.name": "mine", "policy.norm": "batchnorm"},
        'mine norm="batchnorm"',
    ),
]


@pytest.fixture(params=CHANGES, ids=lambda change: change[2])
def change(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, Any], str]:
    """Options as typed, what they change, and how a row of the leaderboard calls the policy."""
    return request.param


def test_only_what_differs_from_the_defaults_is_told(change: tuple[list[str], dict[str, Any], str]) -> None:
    typed, changed, _ = change
    assert changed_options(load_config("train_bc", typed)) == changed


def test_the_command_of_a_row_repeats_what_was_changed(
    change: tuple[list[str], dict[str, Any], str], make_result: Callable[..., dict[str, Any]]
) -> None:
    typed, changed, label = change
    config = load_config("train_bc", typed)
    names = {"task": config.task.name, "protocol": config.protocol.name, "policy": config.policy.name}
    result = make_result(5, config.encoder, episodes=config.episodes, seed=config.seed, **names)
    result |= {"num_demos": config.num_demos, "changed": changed}
    (command,) = repeat_commands([result])
    repeated = load_config("train_bc", shlex.split(command)[3:])
    for key in DECISIVE:
        assert plain(OmegaConf.select(repeated, key)) == plain(OmegaConf.select(config, key)), key
    (row,) = make_rows([result])
    assert row.key.policy == label


def test_a_file_of_demonstrations_says_what_is_seen() -> None:
    config = load_config("train_bc", ["image_size=84", "dataset=file.hdf5", "policy.steps=5"])
    assert changed_options(config) == {"policy.steps": 5}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("encoder=egovideo_nano", "egovideo_nano is none"),
        ("+pretrain.stepz=3", "unknown option 'stepz'"),
        ("pretrain.corpus.num_clips=many", "'corpus.num_clips=many' does not fit"),
    ],
)
def test_options_of_pretraining_are_checked(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pretrain_options(load_config("train_bc", ["+experiment=demo", option]))

"""What is changed in a run is told and enough to repeat it; options of pre-training are checked before it."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.leaderboard import make_rows
from egorobot.leaderboard_commands import repeat_commands
from egorobot.run_options import find_overrides, pretrain_options, run_folder
from egorobot.runs import DECISIVE, plain

OVERRIDES: list[tuple[list[str], dict[str, Any], str]] = [
    ([], {}, "bc_mlp"),
    (["task=knob", "protocol=r3m", "policy=bc_gmm", "num_demos=7", "seed=3", "episodes=9"], {}, "bc_gmm"),
    (["policy.steps=500", "image_size=84"], {"image_size": 84, "policy.steps": 500}, "bc_mlp image_size=84 steps=500"),
    (
        ["policy.readout=null", "demo_seed=2"],
        {"demo_seed": 2, "policy.readout": None},
        "bc_mlp demo_seed=2 readout=null",
    ),
    (
        ["policy.algo.actor_layer_dims=[64]", "+policy.algo.gmm.enabled=true", "+policy.algo.gmm.num_modes=2"],
        {
            "policy.algo.actor_layer_dims": [64],
            "+policy.algo.gmm.enabled": True,
            "+policy.algo.gmm.num_modes": 2,
        },
        "bc_mlp algo.actor_layer_dims=[64] algo.gmm.enabled=true algo.gmm.num_modes=2",
    ),
    (["policy=bc_gmm", "policy.algo.gmm=null"], {"policy.algo.gmm": None}, "bc_gmm algo.gmm=null"),
    (["policy=bc_gmm", "~policy.algo.gmm"], {"~policy.algo.gmm": None}, "bc_gmm ~algo.gmm"),
    (["policy.name='bé'"], {"policy.name": "bé"}, "bé"),
    (
        ["policy.name=mine", "policy.norm=batchnorm"],
        {"policy.name": "mine", "policy.norm": "batchnorm"},
        'mine norm="batchnorm"',
    ),
]


@pytest.fixture(params=OVERRIDES, ids=lambda case: case[2])
def case(request: pytest.FixtureRequest) -> tuple[list[str], dict[str, Any], str]:
    """Options as typed, the overrides among them, and how a row of the leaderboard calls the policy."""
    return request.param


def test_only_what_differs_from_the_defaults_is_an_override(case: tuple[list[str], dict[str, Any], str]) -> None:
    typed, overrides, _ = case
    found = find_overrides(load_config("train_bc", typed))
    assert found == overrides and list(found) == list(overrides)


def test_the_command_of_a_row_repeats_its_overrides(
    case: tuple[list[str], dict[str, Any], str], make_result: Callable[..., dict[str, Any]]
) -> None:
    typed, overrides, label = case
    config = load_config("train_bc", typed)
    names = {"task": config.task.name, "protocol": config.protocol.name, "policy": config.policy.name}
    result = make_result(5, config.encoder, episodes=config.episodes, seed=config.seed, **names)
    result |= {"num_demos": config.num_demos, "overrides": overrides}
    (command,) = repeat_commands([result])
    repeated = load_config("train_bc", shlex.split(command)[3:])
    for key in DECISIVE:
        assert plain(OmegaConf.select(repeated, key)) == plain(OmegaConf.select(config, key)), key
    (row,) = make_rows([result])
    assert row.key.policy == label


def test_a_file_of_demonstrations_says_what_is_seen() -> None:
    config = load_config("train_bc", ["image_size=84", "demo_seed=3", "dataset=file.hdf5", "policy.steps=5"])
    config.task.name, config.protocol.name = "kitchen-complete", "d4rl"  # as the file of an import has them
    assert find_overrides(config) == {"policy.steps": 5}


def test_layout_has_one_folder_a_component() -> None:
    config = load_config("train_bc", ["task=door", "encoder=open_clip:ViT-B-16/openai", "seed=2", "num_demos=25"])
    assert run_folder(config) == Path("runs/kitchen/door/open_clip_ViT-B-16_openai/bc_mlp/demos25/seed2")
    assert run_folder(load_config("train_bc", ["run_dir=here"])) == Path("here")


@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (["policy.norm=batchnorm", "image_size=84"], "bc_mlp_image_size_84_norm_batchnorm"),
        (["policy=bc_rnn", "policy.steps=5", "policy.name=mine"], "mine"),
        (["camera=right_cap2"], "bc_mlp_camera_right_cap2"),
        (["camera=[left_cap2,right_cap2]"], "bc_mlp_camera_left_cap2_right_cap2"),
        (["dataset=data/file.hdf5", "camera=right_cap2", "image_size=84"], "bc_mlp_dataset_file"),
    ],
)  # fmt: skip
def test_runs_that_differ_in_an_option_have_folders_of_their_own(options: list[str], policy: str) -> None:
    folder = run_folder(load_config("train_bc", options))
    assert folder.parts[:4] == ("runs", "kitchen", "microwave", "egovideo_nano")
    assert folder.parts[4].startswith(policy) and folder.parts[5:] == ("demos100", "seed0")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("encoder=egovideo_nano", "egovideo_nano is none"),
        ("pretrain=true", "pretrain=True: options are wanted, as in 'pretrain={steps: 2000}'"),
        ("+pretrain.stepz=3", "unknown option 'stepz'"),
        ("pretrain.corpus.num_clips=many", "'corpus.num_clips=many' does not fit"),
    ],
)
def test_options_of_pretraining_are_checked(option: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        pretrain_options(load_config("train_bc", ["+experiment=demo", option]))

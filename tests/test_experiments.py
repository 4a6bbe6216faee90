"""Ready experiments ask for what they say."""

import json
from importlib.resources import files
from importlib.util import find_spec
from typing import Any

import pytest
from omegaconf import OmegaConf

from egorobot.cli import choices, load_config
from egorobot.errors import UserError
from egorobot.pretrain.options import options_from
from egorobot.run_options import pretrain_options


def differences(form: dict[str, Any], shipped: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the options of `form` that `shipped` has not, by their dotted names."""
    found: dict[str, Any] = {}
    for key in form.keys() | shipped.keys():
        ours, theirs = form.get(key), shipped.get(key)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            found |= differences(ours, theirs, f"{prefix}{key}.")
        elif ours != theirs:
            found[f"{prefix}{key}"] = ours
    return found


@pytest.mark.parametrize(
    ("encoder", "changed"),
    [
        ("encoders/hod_no_adapter", {"model.adapter_blocks": 0}),
        ("encoders/hod_no_boxes", {"box_weight": 0}),
        ("encoders/narrations", {"corpora.main.augmentation.hod_ratio": 0, "box_weight": 0}),
        (
            "encoders/narrations_no_adapter",
            {"model.adapter_blocks": 0, "corpora.main.augmentation.hod_ratio": 0, "box_weight": 0},
        ),
    ],
)
def test_variants_of_the_encoder_differ_from_the_shipped_one_in_what_they_say(
    encoder: str, changed: dict[str, Any]
) -> None:
    config = pretrain_options(load_config("train_bc", ["+experiment=leaderboard", f"encoder={encoder}"]))
    record = json.loads((files("egorobot") / "pretrain/weights/egovideo_nano/pretrain.json").read_text())
    options, _ = options_from(config)
    assert differences(json.loads(json.dumps(options.to_dict())), record["options"]) == changed
    assert config.out == encoder


@pytest.mark.parametrize("encoder", ["state", "egovideo_nano", "timm:vit_small_patch16_224.augreg"])
def test_other_encoders_of_the_leaderboard_are_not_trained(encoder: str) -> None:
    assert load_config("train_bc", ["+experiment=leaderboard", f"encoder={encoder}"]).pretrain is None


@pytest.mark.parametrize(("launcher", "plugin"), [("joblib", "joblib"), ("slurm", "submitit"), ("ray", "ray")])
def test_launchers_are_chosen_by_name(launcher: str, plugin: str) -> None:
    if find_spec(f"hydra_plugins.hydra_{plugin}_launcher") is None:
        with pytest.raises(UserError, match=r"is not installed: .* its extra '(ray-launcher|launchers)'"):
            load_config("train_bc", [f"+launcher={launcher}"])
    else:
        assert load_config("train_bc", [f"+launcher={launcher}"]).num_workers >= 1


@pytest.mark.parametrize("experiment", choices("experiment"))
def test_experiments_say_how_they_are_run(experiment: str) -> None:
    text = (files("egorobot.configs") / f"experiment/{experiment}.yaml").read_text()
    assert text.splitlines()[0] == "# @package _global_"
    assert f"experiment={experiment}" in text or f"make {experiment}" in text
    assert OmegaConf.is_config(load_config("train_bc", [f"+experiment={experiment}"]))

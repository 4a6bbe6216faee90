"""The command's options: what decides the weights, what does not, and what does not fit."""

import copy
import json
from dataclasses import replace

import pytest
from omegaconf import DictConfig, OmegaConf

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.augment import Augmentation
from egorobot.pretrain.options import MAIN, RunOptions, options_from
from egorobot.pretrain.precision import native_precision


@pytest.fixture(scope="module")
def defaults() -> DictConfig:
    return load_config("pretrain", [])


def changed(defaults: DictConfig, *options: str) -> DictConfig:
    """Return the options of the command with some changed; composing them anew is slow."""
    config = copy.deepcopy(defaults)
    OmegaConf.set_struct(config, False)
    merged = OmegaConf.merge(config, OmegaConf.from_dotlist(list(options)))
    assert isinstance(merged, DictConfig)
    return merged


def test_the_defaults_are_a_nano_on_simulated_hands(defaults: DictConfig) -> None:
    options, how = options_from(defaults)
    assert list(options.corpora) == [MAIN]
    hands = options.corpora[MAIN]
    assert hands.source["source"] == "simulated_hands" and hands.source["num_clips"] == 16000
    assert hands.augmentation == Augmentation(flip=0.0, crop=None, colour=0.15, hod_ratio=0.95)
    assert options.model_config().size == "nano" and options.precision == native_precision()
    assert how == RunOptions()


def test_corpora_are_mixed_by_name_each_with_its_own_augmentation() -> None:
    overrides = ["+corpus@mix.ego4d=video", "mix.ego4d.video_root=videos", "mix.ego4d.weight=0.5", "mix.ego4d.flip=0.2"]
    options, _ = options_from(load_config("pretrain", overrides))
    assert list(options.corpora) == [MAIN, "ego4d"]
    ego4d = options.corpora["ego4d"]
    assert ego4d.source["source"] == "video" and ego4d.source["video_root"] == "videos"
    assert ego4d.weight == 0.5 and ego4d.augmentation.flip == 0.2 and ego4d.augmentation.crop == (0.5, 1.0)
    assert not {"weight", "flip", "crop", "colour", "hod_ratio"} & ego4d.source.keys()


def test_what_decides_the_weights_is_recorded_and_what_does_not_is_not(defaults: DictConfig) -> None:
    options, _ = options_from(defaults)
    ways = ["micro_batch=8", "distributed=fsdp", "loader_workers=3", "data_dir=elsewhere", "validate_every=5"]
    other, how = options_from(changed(defaults, *ways))
    assert other.to_dict() == options.to_dict() and how.micro_batch == 8
    assert json.loads(json.dumps(options.to_dict())) == options.to_dict()
    for override in ("corpus.hod_ratio=0.1", "precision=float64", "seed=1", "corpus.num_clips=64", "init=folder"):
        another, _ = options_from(changed(defaults, override))
        assert another.to_dict() != options.to_dict()


def test_an_empty_vocabulary_is_all_of_clips(defaults: DictConfig) -> None:
    options, _ = options_from(changed(defaults, "model.vocabulary=[]"))
    assert options.model == {"vocabulary": ()}
    assert options_from(defaults)[0].model == {}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("size=giant", "giant"),
        ("steps=0", "steps=0"),
        ("seed=-1", "seed=-1"),
        ("batch_size=1", "batch_size=1"),
        ("valid_share=1", "valid_share=1"),
        ("valid_share=0", "valid_share=0"),
        ("max_bad_share=1.5", "max_bad_share=1.5"),
        ("warmup=-0.1", "warmup"),
        ("learning_rate=0", "learning_rate"),
        ("text_rate=-1", "text_rate=-1"),
        ("text_share=-0.5", "text_share=-0.5"),
        ("precision=float8", "float32, bfloat16, float64"),
        ("distributed=dp", "ddp, fsdp"),
        ("micro_batch=0", "micro_batch"),
        ("validate_every=0", "validate_every"),
        ("checkpoint_every=0", "checkpoint_every"),
        ("loader_workers=-1", "loader_workers"),
        ("corpus.flip=2", "flip"),
        ("corpus.crop=[0.5]", "crop"),
        ("corpus.crop=0.5", "crop"),
        ("corpus.weight=heavy", "heavy"),
        ("model.width=31", "width"),
        ("model.colour=1", "colour"),
        ("mix.main.source=video", "mix.main"),
        ("mix.more=video", "mix.more"),
        ("micro_batch=two", "options do not fit"),
        ("validate_every=often", "options do not fit"),
        ("model.num_slow=2.5", "num_slow=2.5 must be a whole number"),
        ("model.frame_rate=0", "frame_rate=0 must be above 0"),
        ("model.patch_size=0", "patch_size=0 must be a whole number"),
        ("model.heads=0", "heads=0 must be a whole number"),
    ],
)
def test_options_that_do_not_fit_are_one_line(defaults: DictConfig, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        options_from(changed(defaults, override))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_options_are_checked_when_they_are_changed_in_code(defaults: DictConfig) -> None:
    options, how = options_from(defaults)
    with pytest.raises(UserError, match="steps=0"):
        replace(options, steps=0)
    with pytest.raises(UserError, match="micro_batch"):
        replace(how, micro_batch=0)

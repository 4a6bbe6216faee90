"""From the command's options to a trained encoder; `train_bc` calls it as well."""

from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.errors import UserError
from egorobot.pretrain.batches import Augmentation
from egorobot.pretrain.hands.clips import ClipOptions
from egorobot.pretrain.train import PretrainOptions, pretrain


def run(config: DictConfig) -> Path:
    """Pre-train as `config` (of configs/pretrain.yaml) says, print the result, return the encoder folder.

    Raises:
        UserError: an option does not fit, or `out` holds something else.
    """
    options = options_from(config)
    result = pretrain(config.out, options, Path(config.data_dir) / "clips", config.num_workers)
    print(result.summary())
    print(f"encoder: {config.out}")
    return Path(config.out)


def options_from(config: DictConfig) -> PretrainOptions:
    """Return the options that decide the weights.

    Raises:
        UserError: a number is out of its range, or a field of the model is unknown.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    corpus = values["corpus"]
    for name in ("num_clips", "steps", "batch_size"):
        if values[name] < 1:
            raise UserError(f"{name}={values[name]}: it must be 1 or more")
    if values["batch_size"] < 2:
        raise UserError("batch_size=1 leaves nothing to tell a clip from: 2 or more")
    try:
        options = PretrainOptions(
            size=values["size"],
            model={key: value for key, value in values["model"].items() if value is not None},
            clips=ClipOptions(
                image_size=corpus["image_size"],
                robot_views=corpus["robot_views"],
                desk=corpus["desk"],
                open_share=corpus["open_share"],
            ),
            num_clips=values["num_clips"],
            valid_share=values["valid_share"],
            steps=values["steps"],
            batch_size=values["batch_size"],
            learning_rate=values["learning_rate"],
            weight_decay=values["weight_decay"],
            warmup=values["warmup"],
            augmentation=Augmentation(corpus["flip"], corpus["colour"]),
            seed=values["seed"],
        )
        options.model_config()
    except (TypeError, ValueError) as error:
        raise UserError(f"options of the model do not fit: {error}") from error
    return options

"""The options of pre-training: what decides the weights, and how the work is done."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.errors import UserError
from egorobot.pretrain.augment import Augmentation
from egorobot.pretrain.model import EgoVideoConfig
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.precision import PRECISIONS, native_precision
from egorobot.pretrain.quarantine import check_ceiling

MAIN = "main"  # name of the corpus that `corpus=` chooses, beside those of `mix`
DISTRIBUTED = ("ddp", "fsdp")


@dataclass(frozen=True)
class CorpusOptions:
    """One corpus in the mixture.

    Attributes:
        source: the fields of its node in the configuration that say which clips it has.
        weight: how often its clips are seen, relative to other corpora's weights.
        augmentation: what is changed in its clips.
    """

    source: dict[str, Any]
    weight: float = 1.0
    augmentation: Augmentation = field(default_factory=Augmentation)

    @classmethod
    def from_node(cls, node: Mapping[str, Any]) -> "CorpusOptions":
        """Return the options in a node of the config group `corpus`.

        Raises:
            ValueError: a number is out of its range.
        """
        names = {f.name for f in fields(Augmentation)}
        augmentation: dict[str, Any] = {key: value for key, value in node.items() if key in names}
        if isinstance(crop := augmentation.get("crop"), list):
            augmentation["crop"] = tuple(crop)
        source = {key: value for key, value in node.items() if key not in names | {"weight"}}
        return cls(source, float(node.get("weight", 1.0)), Augmentation(**augmentation))


@dataclass(frozen=True)
class PretrainOptions:
    """Everything that decides the weights.

    Attributes:
        corpora: what is mixed, by name; the first is evaluated on as well.
        size: of the model, a key of `SIZES`.
        model: changes to that size's fields.
        init: weights to start from, `open_clip:<model>/<tag>` or an encoder folder; None
            is drawn ones.
        valid_share: share of the clips held out, in (0, 1).
        steps: optimiser steps.
        batch_size: clips a step, of all processes together.
        group_weight: of the loss inside groups of clips that differ in one thing.
        box_weight: of the loss of boxes, where a corpus has boxes of hands and objects; 0 is
            a model that learns from captions alone. See `egorobot.pretrain.model.boxes`.
        learning_rate: highest learning rate.
        text_rate: of the text tower, relative to the others'; 0 locks it. None is
            `DRAWN_TEXT_RATE`, or 1 for one that starts from trained weights: see
            `egorobot.pretrain.optimization`.
        text_share: steps that the text tower learns alone before, on captions, as a share of
            `steps`. None is `DRAWN_TEXT_SHARE`, or 0 for one that starts from trained
            weights: see `egorobot.pretrain.wordings`.
        weight_decay: of weight matrices; norms, biases and embeddings have none.
        warmup: share of the steps in which the learning rate rises, in [0, 1].
        precision: a key of `egorobot.pretrain.precision.PRECISIONS`.
        seed: of clips, weights and batches.
    """

    corpora: dict[str, CorpusOptions]
    size: str = "nano"
    model: dict[str, Any] = field(default_factory=dict)
    init: str | None = None
    valid_share: float = 0.1
    steps: int = 100
    batch_size: int = 64
    group_weight: float = 5.0
    box_weight: float = 1.0
    learning_rate: float = 2e-3
    text_rate: float | None = None
    text_share: float | None = None
    weight_decay: float = 0.01
    warmup: float = 0.1
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UserError: a number is out of its range, or there is no such precision or size.
            TypeError: a field of a model that is drawn is unknown.
            ValueError: its fields do not fit each other.
        """
        if self.steps < 1 or self.seed < 0:
            raise UserError(f"steps={self.steps}, seed={self.seed}: at least 1 and 0 are needed")
        if self.batch_size < 2:
            raise UserError(f"batch_size={self.batch_size} leaves nothing to tell a clip from: 2 or more")
        if not 0 < self.valid_share < 1:
            raise UserError(f"valid_share={self.valid_share}: it must be above 0 and below 1")
        if not 0 <= self.warmup <= 1:
            raise UserError(f"warmup={self.warmup}: it must be in [0, 1]")
        for name in ("group_weight", "box_weight"):
            if not getattr(self, name) >= 0:
                raise UserError(f"{name}={getattr(self, name)}: it must be 0 or more")
        for name in ("text_rate", "text_share"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise UserError(f"{name}={value}: it must be 0 or more")
        if not self.learning_rate > 0 or not self.weight_decay >= 0:
            raise UserError(f"learning_rate={self.learning_rate}, weight_decay={self.weight_decay}: above 0, and 0 up")
        if self.precision not in PRECISIONS:
            raise UserError(f"unknown precision '{self.precision}': choose one of {', '.join(PRECISIONS)}")
        if self.init is None:
            self.model_config()

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    def model_config(self) -> EgoVideoConfig:
        """Return the sizes of a model that is drawn; unless `model` has it, the vocabulary is still to be found."""
        return get_size(self.size, **self.model)


@dataclass(frozen=True)
class RunOptions:
    """How the work is done; the weights are the same but for rounding.

    Attributes:
        data_dir: folder for data that are made or cached.
        num_workers: processes that render clips; None is one a core.
        loader_workers: processes of each training process that load clips; with 0 it does so itself.
        micro_batch: clips that a process encodes at a time; None is its whole share.
        distributed: how the model is spread over processes, one of `DISTRIBUTED`.
        grad_checkpointing: keep less for the backward pass, and compute it again.
        compile: compile the blocks of the model.
        max_bad_share: share of the clips that may be unreadable before training stops.
        checkpoint_every: steps between checkpoints.
        validate_every: steps between validations; None is at the end only.
        wandb_project: project on Weights & Biases that metrics go to as well; None is none.
    """

    data_dir: Path = Path("data")
    num_workers: int | None = None
    loader_workers: int = 1
    micro_batch: int | None = None
    distributed: str = "ddp"
    grad_checkpointing: bool = False
    compile: bool = False
    max_bad_share: float = 0.05
    checkpoint_every: int = 50
    validate_every: int | None = None
    wandb_project: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UserError: a number is out of its range, or there is no such kind.
        """
        for name in ("micro_batch", "validate_every", "checkpoint_every"):
            if (value := getattr(self, name)) is not None and value < 1:
                raise UserError(f"{name}={value}: it must be 1 or more")
        check_ceiling(self.max_bad_share)
        if self.loader_workers < 0:
            raise UserError(f"loader_workers={self.loader_workers}: it must be 0 or more")
        if self.distributed not in DISTRIBUTED:
            raise UserError(f"unknown distributed '{self.distributed}': choose one of {', '.join(DISTRIBUTED)}")


def options_from(config: DictConfig) -> tuple[PretrainOptions, RunOptions]:
    """Return the options in a configuration of configs/pretrain.yaml.

    Raises:
        UserError: a number is out of its range, or a field is unknown.
    """
    values: Any = OmegaConf.to_container(config, resolve=True)
    if MAIN in values["mix"]:
        raise UserError(f"mix.{MAIN}: that is the name of the corpus that corpus= chooses, take another")
    for name, node in values["mix"].items():
        if not isinstance(node, dict):
            raise UserError(f"mix.{name}={node} is no corpus: add one with +corpus@mix.{name}=video, say")
    model = {key: value for key, value in values["model"].items() if value is not None}
    if "vocabulary" in model:
        model["vocabulary"] = tuple(model["vocabulary"])
    try:
        nodes = {MAIN: values["corpus"], **values["mix"]}
        corpora = {name: CorpusOptions.from_node(node) for name, node in nodes.items()}
        plain = {f.name for f in fields(PretrainOptions)} - {"corpora", "model"}
        values["precision"] = values["precision"] or native_precision()
        options = PretrainOptions(corpora, model=model, **{name: values[name] for name in plain})
        how = {f.name: values[f.name] for f in fields(RunOptions)}
        return options, RunOptions(**{**how, "data_dir": Path(values["data_dir"])})
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"options do not fit: {error}") from error

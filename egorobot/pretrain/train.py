"""Training an EgoVideo on a corpus, from nothing to an encoder folder, surviving kills."""

import json
import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.files import atomic_path, write_json
from egorobot.pretrain.batches import Augmentation, training_batch
from egorobot.pretrain.corpus import SimulatedHands
from egorobot.pretrain.hands.clips import ClipOptions
from egorobot.pretrain.model import EgoVideo, EgoVideoConfig
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.model.text import vocabulary_of
from egorobot.pretrain.model.vision import slow_indices
from egorobot.pretrain.retrieval import Retrieval, evaluate_retrieval

RECORD_FILE = "pretrain.json"  # options, and the result once training is over
CHECKPOINT_FILE = "checkpoint.pt"


@dataclass(frozen=True)
class PretrainOptions:
    """Everything that decides the weights.

    Attributes:
        size: of the model, a key of `SIZES`.
        model: changes to that size's fields.
        clips: what clips are like, but for frames and rate, which are the model's.
        num_clips: clips, the held-out ones among them.
        valid_share: share of the clips held out, in (0, 1).
        steps: optimiser steps.
        batch_size: clips a step.
        learning_rate: highest learning rate.
        weight_decay: of weight matrices; norms, biases and embeddings have none.
        warmup: share of the steps in which the learning rate rises.
        augmentation: what is changed in a clip.
        seed: of clips, weights and batches.
    """

    size: str = "nano"
    model: dict[str, Any] = field(default_factory=dict)
    clips: ClipOptions = field(default_factory=ClipOptions)
    num_clips: int = 600
    valid_share: float = 0.1
    steps: int = 100
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        return json.loads(json.dumps({**asdict(self), "clips": self.clips.to_dict()}))

    def model_config(self) -> EgoVideoConfig:
        """Return the sizes, with a vocabulary still to be found."""
        return get_size(self.size, **self.model)


def pretrain(
    out: str | Path,
    options: PretrainOptions,
    cache_dir: str | Path = "data/clips",
    num_workers: int | None = None,
    checkpoint_every: int = 50,
) -> Retrieval:
    """Train an encoder and save it in the folder `out`; go on where a killed run stopped.

    Args:
        out: encoder folder, with the training's record and TensorBoard metrics.
        options: what is trained.
        cache_dir: where rendered clips are kept.
        num_workers: processes that render; None is one a core.
        checkpoint_every: steps between checkpoints.

    Returns:
        Scores on the held-out clips.

    Raises:
        UserError: `out` holds something else, or an encoder trained with other options.
    """
    out = Path(out)
    if (finished := _finished(out, options)) is not None:
        print(f"already trained: {out}")
        return finished
    corpus = make_corpus(options, cache_dir)
    write_json(out / RECORD_FILE, {"options": options.to_dict(), "result": None})
    started = time.monotonic()
    corpus.render(num_workers)
    rendered = time.monotonic()
    train_clips, valid_clips = split(options)
    vocabulary = vocabulary_of(caption for captions in corpus.captions() for caption in captions)
    model = EgoVideo(replace(options.model_config(), vocabulary=vocabulary), seed=options.seed)
    _train(model, corpus, train_clips, options, out, checkpoint_every)
    model.eval()
    result = evaluate_retrieval(model, corpus, valid_clips, options.seed)
    model.save_pretrained(out)
    times = {"clips_s": round(rendered - started, 1), "train_s": round(time.monotonic() - rendered, 1)}
    record = {"options": options.to_dict(), "result": result.to_dict(), "fingerprint": model.fingerprint, **times}
    write_json(out / RECORD_FILE, record)
    (out / CHECKPOINT_FILE).unlink(missing_ok=True)
    return result


def make_corpus(options: PretrainOptions, cache_dir: str | Path) -> SimulatedHands:
    """Return the corpus of `options`, not rendered yet."""
    config = options.model_config()
    clips = replace(options.clips, num_frames=config.num_frames, frame_rate=config.frame_rate)
    slow = slow_indices(config.num_frames, config.fast_ratio)
    return SimulatedHands(clips, options.seed, options.num_clips, cache_dir, slow)


def split(options: PretrainOptions) -> tuple[range, range]:
    """Return the numbers of the training clips and of the held-out ones, which are the last.

    Raises:
        UserError: one of them is empty.
    """
    held_out = round(options.valid_share * options.num_clips)
    if not 1 <= held_out < options.num_clips:
        raise UserError(f"num_clips={options.num_clips} cannot be split into clips to train on and held-out ones")
    return range(options.num_clips - held_out), range(options.num_clips - held_out, options.num_clips)


def _finished(out: Path, options: PretrainOptions) -> Retrieval | None:
    """Return the result of an earlier run with these options, None when there is work to do."""
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is not a folder: choose another out=")
    record_file = out / RECORD_FILE
    if not record_file.exists():
        if out.is_dir() and any(out.iterdir()):
            raise UserError(f"{out} is not empty and holds no {RECORD_FILE}: choose another out=")
        return None
    try:
        record = json.loads(record_file.read_text(encoding="utf-8"))
        same, result = record["options"] == options.to_dict(), record["result"]
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(f"{record_file} is damaged: remove the folder {out}, or choose another out=") from error
    if not same:
        raise UserError(f"{out} was trained with other options (see {RECORD_FILE} there): choose another out=")
    if result is None:
        return None
    EgoVideo.from_pretrained(out)
    return Retrieval(**result)


def _train(
    model: EgoVideo, corpus: SimulatedHands, clips: range, options: PretrainOptions, out: Path, checkpoint_every: int
) -> None:
    optimizer = torch.optim.AdamW(_parameter_groups(model, options.weight_decay), lr=options.learning_rate)
    checkpoint = out / CHECKPOINT_FILE
    first = _resume(checkpoint, model, optimizer)
    writer = SummaryWriter(str(out / "metrics"), purge_step=first)
    model.train()
    with tqdm(total=options.steps, initial=first, desc="pre-training", unit="step", dynamic_ncols=True) as bar:
        for step in range(first, options.steps):
            rate = learning_rate(options, step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            batch = training_batch(corpus, clips, options.batch_size, options.seed, step, options.augmentation)
            loss = model.loss(batch.frames_slow, batch.frames_fast, batch.captions)
            optimizer.zero_grad()
            loss.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if not math.isfinite(loss.item()):
                raise UserError(f"the loss is not finite at step {step}: try a lower learning_rate")
            for name, value in (("loss", loss.item()), ("gradient_norm", norm.item()), ("learning_rate", rate)):
                writer.add_scalar(name, value, step)
            bar.set_postfix(loss=f"{loss.item():.3f}")
            bar.update()
            if (step + 1) % checkpoint_every == 0:
                _save(checkpoint, model, optimizer, step + 1)
    writer.close()


def learning_rate(options: PretrainOptions, step: int) -> float:
    """Return the learning rate of `step`: a linear rise, then half a cosine down to zero."""
    rise = max(1, round(options.warmup * options.steps))
    if step < rise:
        return options.learning_rate * (step + 1) / rise
    share = (step - rise) / max(1, options.steps - rise)
    return options.learning_rate * (1 + math.cos(math.pi * share)) / 2


def _parameter_groups(model: EgoVideo, weight_decay: float) -> list[dict[str, Any]]:
    """Return matrices with weight decay; norms, biases, scales and embeddings without."""
    decay: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        plain = parameter.ndim < 2 or name.endswith(("spatial", "temporal", "embedding", "embedding.weight"))
        (rest if plain else decay).append(parameter)
    return [{"params": decay, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def _save(path: Path, model: EgoVideo, optimizer: torch.optim.Optimizer, step: int) -> None:
    with atomic_path(path) as temporary:
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, temporary)


def _resume(path: Path, model: EgoVideo, optimizer: torch.optim.Optimizer) -> int:
    """Load the checkpoint at `path`, if there is one, and return the step to go on with."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])

"""Training a policy on demonstrations: `train_policy`."""

import functools
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from egorobot.envs.demonstrations import open_demonstrations
from egorobot.errors import UserError
from egorobot.policies.checkpoint import save_checkpoint
from egorobot.policies.image_encoder import default_device
from egorobot.policies.observations import EncoderInfo, choose_encoder, describe_encoder, observation_spec
from egorobot.policies.robomimic_config import check_algo, robomimic_config
from egorobot.policies.trainer import Trainer
from egorobot.policies.training_data import load_training_data
from egorobot.torch_state import torch_seed, torch_threads

DEFAULT_CACHE_DIR = "data/embeddings"
LOG_EVERY = 100  # steps


@dataclass(frozen=True)
class TrainingResult:
    """What `train_policy` made.

    Attributes:
        checkpoint: the policy, `policy.pth`.
        checkpoints: evenly spaced ones by step, where asked for; the last is not among them.
        encoder: what the policy sees through.
        embed_seconds: wall time of reading and embedding the demonstrations.
        train_seconds: wall time of the gradient steps.
        steps_per_second: gradient steps.
        loss: of the last batch.
    """

    checkpoint: Path
    checkpoints: dict[int, Path]
    encoder: EncoderInfo
    embed_seconds: float
    train_seconds: float
    steps_per_second: float
    loss: float


def train_policy(
    dataset: str | Path,
    encoder_name: str,
    policy: Mapping[str, Any] | DictConfig,
    num_demos: int,
    seed: int,
    run_dir: str | Path,
    cache_dir: str | Path = DEFAULT_CACHE_DIR,
    num_checkpoints: int = 0,
    progress: bool = True,
    device: torch.device | None = None,
) -> TrainingResult:
    """Train a policy and write `policy.pth`, a robomimic checkpoint, and `metrics/`.

    The same arguments give the same weights, to the last bit, on the same machine. No
    generator of the caller is touched.

    Args:
        dataset: HDF5 file of demonstrations.
        encoder_name: see `load_encoder`; or `state`, or `end_to_end`.
        policy: a preset of `configs/policy`.
        num_demos: demonstrations trained on, the first of the file.
        seed: of weights and batches.
        run_dir: folder for the outputs.
        cache_dir: folder for embeddings.
        num_checkpoints: evenly spaced checkpoints to write into `checkpoints/` on the way.
        progress: whether to show progress bars.
        device: where the policy computes; None is the GPU where there is one.

    Raises:
        UserError: an unknown encoder or policy option, demonstrations that are too few or
            lack what the policy reads, a damaged file.
    """
    options = check_options(policy)
    info = open_demonstrations(dataset, num_demos=num_demos)
    began = time.perf_counter()
    encoder = choose_encoder(encoder_name, options)
    described = describe_encoder(encoder_name, encoder)
    spec = observation_spec(info, encoder_name, encoder)
    cached = uses_cache(options)
    if encoder is not None and not cached:
        print(f"policy.augment={options['augment']}: images are encoded anew at every step, without the cache")
    data = load_training_data(info, num_demos, spec, encoder, cache_dir, cached, progress)
    config = robomimic_config(options, spec, seed, info.horizon)
    extra = {
        "policy": options["name"], "task": info.task, "num_demos": num_demos, "seed": seed,
        "dataset_fingerprint": info.fingerprint(num_demos),
    }  # fmt: skip
    loaded = time.perf_counter()
    # Small matrices: one thread is faster than two, and its sums do not depend on the machine's cores.
    with torch_seed(seed), torch_threads(torch.get_num_threads() if data.frames else 1):
        trainer = Trainer(options, config, spec.shapes(), data, seed, device or default_device())
        save = functools.partial(
            save_checkpoint, algo=trainer.algo, config=config, info=info, spec=spec, encoder=described, extra=extra
        )
        checkpoints, loss = _run(trainer, options["steps"], Path(run_dir), num_checkpoints, save, progress)
    seconds = time.perf_counter() - loaded
    save(Path(run_dir) / "policy.pth")
    return TrainingResult(
        checkpoint=Path(run_dir) / "policy.pth",
        checkpoints=checkpoints,
        encoder=described,
        embed_seconds=loaded - began,
        train_seconds=seconds,
        steps_per_second=options["steps"] / seconds,
        loss=loss,
    )


def _run(
    trainer: Trainer,
    steps: int,
    run_dir: Path,
    num_checkpoints: int,
    save: Callable[[Path], None],
    progress: bool,
) -> tuple[dict[int, Path], float]:
    """Take all gradient steps; return the checkpoints on the way and the last loss."""
    metrics = run_dir / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)  # of a run that was killed: begun anew
    marks = {steps * i // (num_checkpoints + 1) for i in range(1, num_checkpoints + 1)}
    checkpoints: dict[int, Path] = {}
    loss = float("nan")
    with SummaryWriter(metrics) as writer, tqdm(total=steps, desc="train", unit="step", disable=not progress) as bar:
        for step in range(steps):
            info = trainer.step(step)
            done = step + 1
            if done % LOG_EVERY == 0 or done == steps:
                log = trainer.algo.log_info(info)
                for name, value in log.items():
                    writer.add_scalar(name, value, done)
                loss = log["Loss"]
                bar.set_postfix(loss=f"{loss:.4f}", refresh=False)
                bar.update(done - bar.n)
            if done in marks and done < steps:
                checkpoints[done] = run_dir / "checkpoints" / f"step_{done:06d}.pth"
                save(checkpoints[done])
    return checkpoints, loss


def uses_cache(options: Mapping[str, Any]) -> bool:
    """Return whether images can be embedded once and for all."""
    return options["augment"] is None and not options["end_to_end"]


def check_options(policy: Mapping[str, Any] | DictConfig) -> dict[str, Any]:
    """Return a preset as plain containers, checked.

    Raises:
        UserError: an option has a value out of range.
    """
    options = OmegaConf.to_container(policy, resolve=True) if isinstance(policy, DictConfig) else dict(policy)
    assert isinstance(options, dict)
    if options["steps"] < 1 or options["batch_size"] < 1:
        raise UserError(f"policy.steps={options['steps']}, policy.batch_size={options['batch_size']}: at least 1 each")
    if options["learning_rate"] <= 0:
        raise UserError(f"policy.learning_rate={options['learning_rate']}: above 0 is needed")
    if options["weight_decay"] < 0:
        raise UserError(f"policy.weight_decay={options['weight_decay']}: at least 0 is needed")
    choices_of = {"augment": (None, "crop"), "readout": (None, "future"), "schedule": ("cosine", "constant")}
    for key, choices in choices_of.items():
        if options[key] not in choices:
            raise UserError(f"unknown policy.{key} '{options[key]}': choose {' or '.join(str(c) for c in choices)}")
    if options["readout"] and (options["augment"] or options["end_to_end"]):
        raise UserError(
            f"policy.readout={options['readout']} reads embeddings, and policy.augment={options['augment']}, "
            f"policy.end_to_end={options['end_to_end']} leave none to read: policy.readout=null"
        )
    plain = {str(key): value for key, value in options.items()}
    check_algo(plain)
    return plain

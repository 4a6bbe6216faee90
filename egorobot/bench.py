"""Measure speed against the usual way, as ratios within one run, and peak memory.

Rendering is compared with FrankaKitchen-v1 as shipped, training on cached embeddings with
encoding every batch anew, evaluation on all workers with one. Works in a temporary folder.

Examples:
    python -m egorobot.bench
    python -m egorobot.bench parts=[rendering,training] encoder=random_vit seconds=5
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command
from egorobot.collect import collect
from egorobot.envs.demonstrations import EVAL_SEED_START, open_demonstrations
from egorobot.envs.kitchen import KitchenEnv
from egorobot.errors import UserError
from egorobot.files import write_json
from egorobot.memory import peak_memory
from egorobot.processes import default_num_workers

if TYPE_CHECKING:  # torch is imported by what needs it: workers import this module
    from egorobot.policies.trainer import Trainer

RENDER_SIZE = 224  # pixels
PRETRAIN_STEPS = 20  # of a pre-training whose memory is measured
FEW_STEPS = 1000  # gradient steps where only memory matters, or how fast a policy acts


@dataclass(frozen=True)
class Comparison:
    """Two rates of the same work, measured one after the other.

    Attributes:
        subject: what is done.
        unit: of both rates, each second.
        ours: our way, and its rate.
        usual: the usual way, and its rate.
    """

    subject: str
    unit: str
    ours: tuple[str, float]
    usual: tuple[str, float]

    @property
    def ratio(self) -> float:
        """How many times faster our way is."""
        return self.ours[1] / self.usual[1]

    def __str__(self) -> str:
        sides = ", ".join(f"{name} {value:.3g} {self.unit}/s" for name, value in (self.ours, self.usual))
        return f"{self.subject}: {self.ratio:.1f} times ({sides})"


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that a command and its children held at a time, in bytes."""

    subject: str
    peak: float

    def __str__(self) -> str:
        return f"peak memory of {self.subject}: {self.peak / 1e9:.2f} GB"


def rate(action: Callable[[], Any], seconds: float) -> float:
    """Return how often a second `action` can be done, the first time not counted."""
    action()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        action()
        count += 1
    return count / (time.perf_counter() - start)


def compare_rendering(seconds: float) -> Comparison:
    """Compare images of 224 px of our kitchen with those of FrankaKitchen-v1 as shipped."""
    import gymnasium_robotics

    gymnasium.register_envs(gymnasium_robotics)
    shipped = gymnasium.make("FrankaKitchen-v1", render_mode="rgb_array", width=RENDER_SIZE, height=RENDER_SIZE)
    shipped.reset(seed=0)
    usual = rate(shipped.render, seconds)
    shipped.close()
    env = KitchenEnv("microwave", image_size=RENDER_SIZE)
    env.reset(seed=0)
    ours = rate(env.render_image, seconds)
    env.close()
    return Comparison(f"rendering at {RENDER_SIZE} px", "frames", ("egorobot", ours), ("FrankaKitchen-v1", usual))


def compare_training(dataset: Path, config: DictConfig, cache_dir: Path) -> Comparison:
    """Compare gradient steps on cached embeddings with steps that encode their batch anew."""
    import torch

    from egorobot.policies.seeding import torch_seed, torch_threads

    rates = {}
    for cached in (True, False):
        # As in training: small matrices are faster with one thread, encoders with all.
        with torch_seed(0), torch_threads(1 if cached else torch.get_num_threads()):
            trainer = _make_trainer(dataset, config, cache_dir, cached)
            steps = itertools.count()
            rates[cached] = rate(lambda trainer=trainer, steps=steps: trainer.step(next(steps)), config.seconds)  # type: ignore[misc]
    return Comparison(
        f"training, {config.encoder}", "steps", ("cached embeddings", rates[True]), ("encoding anew", rates[False])
    )


def _collect(config: DictConfig, folder: Path) -> Path:
    protocol = config.protocol
    collection = collect(
        config.task.name, protocol.name, config.num_demos, image_size=protocol.image_size, data_dir=folder
    )
    return collection.info.path


def _make_trainer(dataset: Path, config: DictConfig, cache_dir: Path, cached: bool) -> "Trainer":
    from egorobot.policies.image_encoder import default_device
    from egorobot.policies.observations import choose_encoder, observation_spec
    from egorobot.policies.robomimic_config import robomimic_config
    from egorobot.policies.trainer import Trainer
    from egorobot.policies.training import check_options
    from egorobot.policies.training_data import load_training_data

    options = check_options(config.policy)
    info = open_demonstrations(dataset)
    encoder = choose_encoder(config.encoder, options)
    spec = observation_spec(info, config.encoder, encoder)
    data = load_training_data(info, info.num_demos, spec, encoder, cache_dir, cached, progress=False)
    settings = robomimic_config(options, spec, seed=0, horizon=max(info.lengths))
    return Trainer(options, settings, spec.shapes(), data, 0, default_device())


def compare_evaluation(dataset: Path, config: DictConfig, folder: Path) -> Comparison:
    """Compare evaluation on all workers with one; starting them counts."""
    from egorobot.policies.checkpoint import load_policy
    from egorobot.policies.rollout import rollout
    from egorobot.policies.training import check_options, train_policy

    options = {**check_options(config.policy), "steps": FEW_STEPS}
    run_dir, cache_dir = folder / "evaluation", folder / "embeddings"
    trained = train_policy(dataset, config.encoder, options, config.num_demos, 0, run_dir, cache_dir, progress=False)
    policy = load_policy(trained.checkpoint)
    seeds = range(EVAL_SEED_START, EVAL_SEED_START + config.episodes)
    rates = {}
    for workers in (config.num_workers or default_num_workers(), 1):
        start = time.perf_counter()
        rollout(policy, seeds, workers, progress=False)
        rates[workers] = config.episodes / (time.perf_counter() - start)
    (many, ours), *rest = rates.items()
    return Comparison(
        f"evaluation, {config.encoder}",
        "episodes",
        (f"{many} workers", ours),
        ("1 worker", rest[0][1] if rest else ours),
    )


def measure_memory(config: DictConfig, folder: Path) -> list[PeakMemory]:
    """Measure the commands `train_bc` and `pretrain`, each from nothing."""
    egorobot, folder = [sys.executable, "-m", "egorobot"], folder / "memory"
    train = [
        "train_bc", f"task={config.task.name}", f"protocol={config.protocol.name}", f"policy={config.policy.name}",
        f"encoder={config.encoder}", f"num_demos={config.num_demos}", f"policy.steps={FEW_STEPS}",
        f"episodes={config.episodes}", f"data_dir={folder}", f"run_dir={folder / 'run'}",
    ]  # fmt: skip
    pretrain = [
        "pretrain", f"corpus.num_clips={config.num_clips}", f"steps={PRETRAIN_STEPS}", f"data_dir={folder}",
        f"out={folder / 'encoder'}",
    ]  # fmt: skip
    return [
        PeakMemory(f"train_bc with {config.num_demos} demonstrations", peak_memory([*egorobot, *train])),
        PeakMemory(f"pretrain with {config.num_clips} clips", peak_memory([*egorobot, *pretrain])),
    ]


def bench(config: DictConfig) -> list[Comparison | PeakMemory]:
    """Measure what `config.parts` names, printing each figure as it comes.

    Raises:
        UserError: an unknown part, or what `train_bc` and `pretrain` refuse.
    """
    known = ("rendering", "training", "evaluation", "memory")
    if unknown := set(config.parts) - set(known):
        raise UserError(f"unknown part '{unknown.pop()}': choose among {', '.join(known)}")
    figures: list[Comparison | PeakMemory] = []

    def add(*new: Comparison | PeakMemory) -> None:
        figures.extend(new)
        print(*new, sep="\n", flush=True)

    with tempfile.TemporaryDirectory(prefix="egorobot-bench-") as name:
        folder = Path(name)
        if "rendering" in config.parts:
            add(compare_rendering(config.seconds))
        if {"training", "evaluation"} & set(config.parts):
            dataset = _collect(config, folder)
            if "training" in config.parts:
                add(compare_training(dataset, config, folder / "embeddings"))
            if "evaluation" in config.parts:
                add(compare_evaluation(dataset, config, folder))
        if "memory" in config.parts:
            add(*measure_memory(config, folder))
    return figures


@command("bench")
def main(config: DictConfig) -> None:
    """Measure and print; write the figures where out= says."""
    figures = bench(config)
    if config.out is not None:
        records = [asdict(f) | ({"ratio": f.ratio} if isinstance(f, Comparison) else {}) for f in figures]
        write_json(config.out, {"options": OmegaConf.to_container(config), "figures": records})
        print(config.out)


if __name__ == "__main__":
    main()

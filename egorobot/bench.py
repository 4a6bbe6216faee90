"""Measure speed against the usual way, as ratios within one run, and peak memory.

Rendering is compared with FrankaKitchen-v1 as shipped, training on cached embeddings with
encoding every batch anew and with robomimic's own image policy, evaluation on all workers
with one, pre-training with the plain reading of EgoVideo's figure, captioning in two
processes with one, and a large corpus with a small one. Works in a temporary folder.

Examples:
    python -m egorobot.bench
    python -m egorobot.bench parts=[rendering,training] encoder=random_vit seconds=5
"""

import itertools
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import gymnasium
from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command, load_config
from egorobot.collect import collect
from egorobot.envs.demonstrations import EVAL_SEED_START, open_demonstrations
from egorobot.envs.kitchen import KitchenEnv
from egorobot.errors import UserError
from egorobot.figures import Comparison, Figure, Growth, PeakMemory, rate
from egorobot.files import check_out, write_json
from egorobot.memory import peak_memory
from egorobot.processes import default_num_workers

if TYPE_CHECKING:  # torch is imported by what needs it: workers import this module
    from egorobot.policies.trainer import Trainer

RENDER_SIZE = 224  # pixels
PARTS = ("rendering", "training", "evaluation", "memory", "embedding", "pretraining", "growth", "captions")
FEW_STEPS = 1000  # gradient steps where only memory matters, or how fast a policy acts


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
    cached, anew = (_step_rate(dataset, config, cache_dir, cached) for cached in (True, False))
    return Comparison(f"training, {config.encoder}", "steps", ("cached embeddings", cached), ("encoding anew", anew))


def compare_with_robomimic(dataset: Path, config: DictConfig, cache_dir: Path) -> Comparison:
    """Compare gradient steps on cached embeddings with those of robomimic's own image policy, on batches as large."""
    options = ["policy=bc_resnet18", f"policy.batch_size={config.policy.batch_size}", f"seconds={config.seconds}"]
    end_to_end = load_config("bench", [*options, "encoder=end_to_end"])
    ours = _step_rate(dataset, config, cache_dir, cached=True)
    robomimics = _step_rate(dataset, end_to_end, cache_dir, cached=False)
    return Comparison(
        f"training, {config.encoder}", "steps", ("cached embeddings", ours), ("robomimic's ResNet-18", robomimics)
    )


def _step_rate(dataset: Path, config: DictConfig, cache_dir: Path, cached: bool) -> float:
    """Return how many gradient steps a second are taken."""
    import torch

    from egorobot.torch_state import torch_seed, torch_threads

    # As in training: small matrices are faster with one thread, encoders with all.
    with torch_seed(0), torch_threads(1 if cached else torch.get_num_threads()):
        trainer = _make_trainer(dataset, config, cache_dir, cached)
        steps = itertools.count()
        return rate(lambda: trainer.step(next(steps)), config.seconds)


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
    if not cached:
        options["readout"] = None  # reads the cache
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


def measure_memory(config: DictConfig, folder: Path) -> PeakMemory:
    """Measure the command `train_bc` from nothing."""
    folder = folder / "memory"
    command = [
        sys.executable, "-m", "egorobot", "train_bc", f"task={config.task.name}", f"protocol={config.protocol.name}",
        f"policy={config.policy.name}", f"encoder={config.encoder}", f"num_demos={config.num_demos}",
        f"policy.steps={FEW_STEPS}", f"episodes={config.episodes}", f"data_dir={folder}", f"run_dir={folder / 'run'}",
    ]  # fmt: skip
    return PeakMemory(f"train_bc with {config.num_demos} demonstrations", peak_memory(command))


def bench(config: DictConfig) -> list[Figure]:
    """Measure what `config.parts` names, printing each figure as it comes.

    Raises:
        UserError: an unknown part, or what `train_bc` and `pretrain` refuse.
    """
    if unknown := set(config.parts) - set(PARTS):
        raise UserError(f"unknown part '{unknown.pop()}': choose among {', '.join(PARTS)}")
    figures: list[Figure] = []

    def add(*new: Figure) -> None:
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
                add(compare_with_robomimic(dataset, config, folder / "embeddings"))
            if "evaluation" in config.parts:
                add(compare_evaluation(dataset, config, folder))
        if "memory" in config.parts:
            add(measure_memory(config, folder))
        if {"embedding", "pretraining", "growth"} & set(config.parts):
            from egorobot.pretrain import speed

            if "embedding" in config.parts:
                add(*speed.measure_embedding(config.seconds))
            if "pretraining" in config.parts:
                add(*speed.compare_pretraining(config.num_clips, config.seconds, folder))
            if "growth" in config.parts:
                add(speed.measure_growth(config.num_clips, config.times, folder))
        if "captions" in config.parts:
            from egorobot.pretrain.hod.speed import measure_captioning

            add(*measure_captioning(config.num_captions, config.times, config.backend, folder))
    return figures


@command("bench")
def main(config: DictConfig) -> None:
    """Measure and print; write the figures where out= says."""
    if config.out is not None:
        check_out(config.out)
    figures = bench(config)
    if config.out is not None:
        records = [asdict(f) | ({"ratio": f.ratio} if isinstance(f, Comparison | Growth) else {}) for f in figures]
        write_json(config.out, {"options": OmegaConf.to_container(config), "figures": records})
        print(config.out)


if __name__ == "__main__":
    main()

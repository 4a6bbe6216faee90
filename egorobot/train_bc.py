"""Train a policy by behaviour cloning on a frozen encoder, and measure its success rate.

Collects demonstrations if there are none, embeds their images, trains, evaluates on fixed
seeds that no demonstration used, renders videos, and writes the run folder. A run that
was killed goes on from its last finished stage; a finished one is not repeated, but
evaluated on the episodes that it lacks where episodes= asks for more (without eval_max).

Examples:
    python -m egorobot.train_bc task=microwave
    python -m egorobot.train_bc dataset=data/d4rl/microwave/kitchen_complete-v0_left_cap2_112px.hdf5 num_demos=19
    python -m egorobot.train_bc --multirun task=knob,door encoder=state,blank,random_vit seed=0,1,2
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from egorobot.best_checkpoint import best_evaluation
from egorobot.cli import command
from egorobot.collect import collect
from egorobot.envs.demonstrations import DemoInfo, open_demonstrations
from egorobot.errors import UserError
from egorobot.evaluate import describe, evaluation_seeds, load_checked_policy, summarize
from egorobot.files import check_out
from egorobot.policies.rollout import EpisodeResult, rollout
from egorobot.render import draw_episodes, video_path
from egorobot.run_options import check_options, find_overrides, pretrain_options, run_folder
from egorobot.runs import SCHEMA, git_commit, plain, read_result, shorten, versions, write_result
from egorobot.stages import Run

if TYPE_CHECKING:  # torch is imported by what needs it: environment workers import this module
    from egorobot.policies.observations import EncoderInfo

NUM_CHECKPOINTS = 10  # evaluated with eval_max=true, the last among them


def train_bc(config: DictConfig) -> dict[str, Any]:
    """Train and evaluate what the options of `configs/train_bc.yaml` ask for.

    Args:
        config: the options, as `egorobot.cli.load_config("train_bc", [...])` gives them.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: bad options, a run folder that belongs to another configuration, or
            inputs that are missing or damaged.
    """
    config = checked(config)
    seeds = evaluation_seeds(config.episodes)
    overrides = find_overrides(config)
    encoder = _describe_encoder(config)
    run = Run(run_folder(config))
    with run.open(config):
        run.require("encoder", encoder.fingerprint)
        recorded: list[EpisodeResult] = []
        if not run.result_path.exists():
            if not (run.finished("train") and run.policy_path.exists()):
                _train(run, config)
            recorded = _evaluate(run, config, seeds, overrides)
        else:
            _evaluate_more(run, config, seeds, overrides)
        result = read_result(run.folder)
        _render(run, config, result, recorded)
    return result


def checked(config: DictConfig) -> DictConfig:
    """Return the options as `with_dataset` does, checked but for the encoder, which may be yet to come.

    Raises:
        UserError: they do not fit.
    """
    from egorobot.policies.training import check_options as check_policy

    config = with_dataset(config)
    check_options(config)
    evaluation_seeds(config.episodes)
    check_policy(config.policy)
    if config.leaderboard is not None:
        check_out(config.leaderboard, folder=True, option="leaderboard")
    return config


def with_dataset(config: DictConfig) -> DictConfig:
    """Return the options with task, protocol, cameras and looks of the file in `dataset`, if one is named there.

    Where there is no camera, `camera` is an empty list.

    Raises:
        UserError: the file is missing, damaged, holds too few demonstrations, or no images
            are drawn like its own here.
    """
    adopted: dict[Any, Any] = {"camera": config.camera}
    if config.dataset is not None:
        info = open_demonstrations(config.dataset, config.num_demos)
        adopted = {key: info.env_kwargs[key] for key in ("camera", "image_size", "render")}
        adopted |= {"task": {"name": info.task}, "protocol": {"name": info.protocol}}
    adopted["camera"] = [] if adopted["camera"] is None else adopted["camera"]
    merged = OmegaConf.merge(config, adopted)
    assert isinstance(merged, DictConfig)
    return merged


def _describe_encoder(config: DictConfig) -> "EncoderInfo":
    """Load the encoder once before anything else, so that a wrong name costs no time."""
    from egorobot.policies.observations import choose_encoder, describe_encoder
    from egorobot.policies.training import check_options

    return describe_encoder(config.encoder, choose_encoder(config.encoder, check_options(config.policy)))


@contextmanager
def _stage(run: Run, name: str) -> Iterator[None]:
    """Time a stage and record that it is finished; one that was finished before keeps its time."""
    began = time.perf_counter()
    yield
    run.finish(name, run.seconds.get(name, time.perf_counter() - began))


def _train(run: Run, config: DictConfig) -> None:
    from egorobot.policies.training import train_policy

    with _stage(run, "demos"):
        info = _collect(config)
        run.require("demonstrations", info.fingerprint(config.num_demos))
    cache_dir = Path(config.data_dir) / "embeddings"
    with _stage(run, "embed"):
        _embed(info, config, cache_dir)
    with _stage(run, "train"):
        train_policy(
            info.path,
            config.encoder,
            config.policy,
            config.num_demos,
            config.seed,
            run.folder,
            cache_dir,
            num_checkpoints=NUM_CHECKPOINTS - 1 if config.eval_max else 0,
        )


def _collect(config: DictConfig) -> DemoInfo:
    if config.dataset is not None:
        return open_demonstrations(config.dataset, config.num_demos)
    collection = collect(
        config.task.name,
        config.protocol.name,
        config.num_demos,
        config.demo_seed,
        plain(config.camera),
        config.image_size,
        config.render,
        data_dir=config.data_dir,
        num_workers=config.num_workers,
    )
    print(f"{collection.summary()}: {collection.info.path}")
    return collection.info


def _embed(info: DemoInfo, config: DictConfig, cache_dir: Path) -> None:
    """Fill the cache of embeddings that training reads, where it does."""
    from egorobot.policies.observations import choose_encoder
    from egorobot.policies.training_data import embed_demonstrations

    encoder = choose_encoder(config.encoder, config.policy)
    if encoder is not None and config.policy.augment is None:
        for key in info.image_keys:
            embed_demonstrations(info, config.num_demos, key, encoder, cache_dir)


def _evaluate(run: Run, config: DictConfig, seeds: Sequence[int], overrides: dict[str, Any]) -> list[EpisodeResult]:
    """Evaluate the policy, write the result, and return the episodes for videos of them."""
    policy = load_checked_policy(run.policy_path)
    with _stage(run, "eval"):
        episodes = rollout(policy, seeds, config.num_workers, record=True, description="evaluate")
        evaluation = summarize(episodes)
        checkpoints = run.folder / "checkpoints"
        best = best_evaluation(checkpoints, seeds, evaluation, config.num_workers) if config.eval_max else None
    encoder = policy.encoder
    result = {
        "schema": SCHEMA,
        "task": config.task.name,
        "protocol": config.protocol.name,
        "camera": plain(config.camera),
        "encoder": {"name": encoder.name, "fingerprint": encoder.fingerprint, "dim": encoder.dim},
        "policy": config.policy.name,
        "num_demos": config.num_demos,
        "seed": config.seed,
        "eval": evaluation,
        "eval_max": best,
        "wall_time_s": run.seconds,
        "versions": versions(),
        "render_fingerprint": policy.render_fingerprint,
        "git_commit": git_commit(),
        "overrides": overrides,
    }
    if config.dataset is not None:
        result |= {"dataset": str(config.dataset), "dataset_fingerprint": run.inputs["demonstrations"]}
    if config.pretrain is not None:
        result["pretrain"] = plain(config.pretrain)
    write_result(run.folder, result)
    return episodes


def _evaluate_more(run: Run, config: DictConfig, seeds: Sequence[int], overrides: dict[str, Any]) -> None:
    """Evaluate the policy of a finished run on those of `seeds` that its result lacks, and add them to it.

    Raises:
        UserError: other versions of what it runs on are installed now.
    """
    result = read_result(run.folder)
    known = _recorded_episodes(result)
    missing = seeds[len(known) :]
    if not missing:
        print(f"{run.folder} is finished: choose run_dir=… to run again")
        return
    if (now := versions()) != result["versions"]:
        raise UserError(
            f"{run.folder} was evaluated with {shorten(result['versions'])}, and here are {shorten(now)}: "
            "choose another run_dir=… for more episodes"
        )
    began = time.perf_counter()
    policy = load_checked_policy(run.policy_path)
    episodes = rollout(policy, missing, config.num_workers, description="evaluate more")
    seconds = result["wall_time_s"]
    seconds["eval"] = round(seconds["eval"] + time.perf_counter() - began, 2)
    commits = dict.fromkeys(filter(None, (result["git_commit"], git_commit())))
    result |= {"eval": summarize([*known, *episodes]), "git_commit": ", ".join(commits) or None, "overrides": overrides}
    write_result(run.folder, result)


def _recorded_episodes(result: dict[str, Any]) -> list[EpisodeResult]:
    """Return the episodes of a result, whose lengths it does not tell."""
    outcomes = zip(result["eval"]["episode_seeds"], result["eval"]["outcomes"], strict=True)
    return [EpisodeResult(seed, success, 0) for seed, success in outcomes]


def choose_episodes(episodes: Sequence[EpisodeResult], count: int) -> list[EpisodeResult]:
    """Return up to `count` episodes, successes and failures in turn while there are both."""
    rest = {outcome: [e for e in episodes if e.success is outcome] for outcome in (True, False)}
    chosen: list[EpisodeResult] = []
    while len(chosen) < min(count, len(episodes)):
        turn = len(chosen) % 2 == 0
        chosen.append((rest[turn] or rest[not turn]).pop(0))
    return chosen


def _render(run: Run, config: DictConfig, result: dict[str, Any], recorded: Sequence[EpisodeResult]) -> None:
    """Draw the videos that are not there yet, from `recorded` episodes or from new rollouts."""
    wanted = choose_episodes(_recorded_episodes(result), config.videos)
    missing = [episode.seed for episode in wanted if not video_path(run.videos, episode).exists()]
    if not missing:
        return
    policy = load_checked_policy(run.policy_path)
    episodes = [episode for episode in recorded if episode.seed in missing] or rollout(
        policy, missing, config.num_workers, record=True, description="roll out"
    )
    draw_episodes(policy, episodes, config.task.name, run.videos)


def report(folder: Path, result: dict[str, Any]) -> str:
    """Return what a person wants to read at the end of a run."""
    lines = [describe(result, result["eval"])]
    if best := result["eval_max"]:
        lines.append(f"maximum over {NUM_CHECKPOINTS} checkpoints ({best['checkpoint']}): {best['success_rate']:.2f}")
    lines += [str(folder / "result.json"), *map(str, sorted((folder / "videos").glob("*.mp4")))]
    return "\n".join(lines)


@command("train_bc")
def main(config: DictConfig) -> None:
    """Do what the options ask for, pre-training before and a leaderboard after if they say so."""
    config = checked(config)
    if config.pretrain is not None:
        from egorobot.pretrain.run import run as pretrain

        pretrain(pretrain_options(config))  # one that is finished, with the same options, is kept
    result = train_bc(config)
    print(report(run_folder(config), result))
    if config.leaderboard is not None:
        from egorobot.leaderboard import build_leaderboard

        print(build_leaderboard(config.runs_dir, config.leaderboard))


if __name__ == "__main__":
    main()

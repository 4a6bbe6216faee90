"""Evaluate the policy of a run again, on any number of episodes.

Prints the success rate with its interval, and where the outcomes of episodes differ from
those that the run recorded. The run itself is left as it is; out= writes a result file.

run= also takes a checkpoint of robomimic's own training (python -m egorobot.robomimic train)
on our demonstrations; out= then makes a run folder of it, which the leaderboard counts.

Examples:
    python -m egorobot.evaluate run=runs/kitchen/microwave/egovideo_nano/bc_mlp/demos100/seed0
    python -m egorobot.evaluate run=runs/kitchen/knob/state/bc_mlp/demos100/seed0 episodes=200 out=/tmp/knob.json
    python -m egorobot.evaluate run=trained/test/20260101/models/model_epoch_50.pth out=runs/robomimic/knob
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from egorobot.cli import command
from egorobot.envs.demonstrations import EVAL_SEED_START, first_demo_seed
from egorobot.envs.rendering import camera_names, env_render_fingerprint
from egorobot.errors import UserError
from egorobot.files import check_out, write_json
from egorobot.policies.rollout import EpisodeResult, rollout
from egorobot.runs import git_commit, read_config, read_result, versions
from egorobot.statistics import wilson_interval

if TYPE_CHECKING:  # torch is imported by what needs it: environment workers import this module
    from egorobot.policies.checkpoint import Policy


def evaluation_seeds(episodes: int, first_seed: int = EVAL_SEED_START) -> list[int]:
    """Return the reset seeds of an evaluation.

    Raises:
        UserError: there is no episode, a negative seed, or one that demonstrations may begin from.
    """
    if episodes < 1 or first_seed < 0:
        raise UserError(f"episodes={episodes}, first_seed={first_seed}: at least 1 and 0 are needed")
    if first_seed + episodes > first_demo_seed(0):
        raise UserError(
            f"episodes={episodes}, first_seed={first_seed}: demonstrations begin at seed {first_demo_seed(0)}, "
            "and no policy is measured on what it may have learnt from"
        )
    return list(range(first_seed, first_seed + episodes))


def load_checked_policy(checkpoint: str | Path) -> "Policy":
    """Return the policy in a checkpoint, its images drawn as they were in training.

    Raises:
        UserError: the checkpoint is missing or damaged, its encoder has changed, or images
            are drawn here unlike those that it was trained on.
    """
    from egorobot.policies.checkpoint import load_policy

    policy = load_policy(checkpoint)
    check_rendering(policy.env_kwargs, policy.render_fingerprint, str(checkpoint))
    return policy


def check_rendering(env_kwargs: dict[str, Any], expected: str, what: str) -> None:
    """Check that a policy would see images drawn like those it was trained on.

    Args:
        env_kwargs: of the policy's environment.
        expected: render fingerprint of its demonstrations.
        what: the policy, for the message.

    Raises:
        UserError: the images differ.
    """
    if not camera_names(env_kwargs["camera"]):
        return
    here = env_render_fingerprint(env_kwargs)
    if here != expected:
        raise UserError(
            f"{what} was trained on images drawn unlike those here (render fingerprint {expected}, here {here}): "
            "another OpenGL driver or MuJoCo; collect and train anew on this machine"
        )


def summarize(episodes: Sequence[EpisodeResult], checkpoint: str = "last") -> dict[str, Any]:
    """Return what `result.json` says of an evaluation."""
    successes = sum(e.success for e in episodes)
    return {
        "checkpoint": checkpoint,
        "episodes": len(episodes),
        "successes": successes,
        "success_rate": successes / len(episodes),
        "ci95": list(wilson_interval(successes, len(episodes))),
        "ci_method": "wilson",
        "episode_seeds": [e.seed for e in episodes],
        "outcomes": [e.success for e in episodes],
    }


def describe(result: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """Return one line on an evaluation of the policy that `result` is about."""
    low, high = (100 * end for end in evaluation["ci95"])
    rate = f"{evaluation['successes']}/{evaluation['episodes']} = {100 * evaluation['success_rate']:.0f} %"
    subject = f"{result['task']} / {result['encoder']['name']} / {result['policy']}"
    return f"{subject}: success {rate} [{low:.0f}, {high:.0f}] (95 % Wilson)"


def evaluate(
    run: str | Path, episodes: int = 50, first_seed: int = EVAL_SEED_START, num_workers: int | None = None
) -> dict[str, Any]:
    """Return the result of a finished run with its evaluation made anew.

    Args:
        run: run folder, left as it is.
        episodes: number of episodes.
        first_seed: reset seed of the first; the others follow it.
        num_workers: processes; None is one a core.

    Raises:
        UserError: the folder holds no finished run, or see `load_checked_policy`.
    """
    seeds = evaluation_seeds(episodes, first_seed)
    read_config(run)
    result = read_result(run)
    policy = load_checked_policy(Path(run) / "policy.pth")
    evaluation = summarize(rollout(policy, seeds, num_workers, description="evaluate"))
    return result | {"eval": evaluation, "eval_max": None, "versions": versions(), "git_commit": git_commit()}


def compare(recorded: dict[str, Any], evaluation: dict[str, Any]) -> str:
    """Return one line on the seeds that two evaluations share."""
    before = dict(zip(recorded["episode_seeds"], recorded["outcomes"], strict=True))
    now = dict(zip(evaluation["episode_seeds"], evaluation["outcomes"], strict=True))
    common = sorted(before.keys() & now.keys())
    other = [seed for seed in common if before[seed] != now[seed]]
    return f"as recorded in {len(common) - len(other)} of {len(common)} episodes evaluated before" + (
        f"; not so: {', '.join(map(str, other))}" if other else ""
    )


def _evaluate_checkpoint(config: DictConfig) -> None:
    from egorobot.robomimic_runs import evaluate_checkpoint  # imports this module

    result = evaluate_checkpoint(
        config.run,
        config.out,
        config.dataset,
        config.policy_name,
        config.episodes,
        config.first_seed,
        config.num_workers,
    )
    print(describe(result, result["eval"]))
    if config.out is not None:
        print(Path(config.out) / "result.json")


@command("evaluate")
def main(config: DictConfig) -> None:
    """Evaluate the run, print the rate and its agreement with the run's own, write `out`."""
    if Path(config.run).suffix == ".pth":
        _evaluate_checkpoint(config)
        return
    if config.dataset is not None or config.policy_name is not None:
        raise UserError(
            "dataset= and policy_name= are for a checkpoint of robomimic's own training: leave them out for a run"
        )
    if config.out is not None:
        check_out(config.out)
    result = evaluate(config.run, config.episodes, config.first_seed, config.num_workers)
    print(describe(result, result["eval"]))
    print(compare(read_result(config.run)["eval"], result["eval"]))
    if config.out is not None:
        write_json(config.out, result)
        print(config.out)


if __name__ == "__main__":
    main()

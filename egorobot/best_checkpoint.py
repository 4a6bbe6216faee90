"""The best of several checkpoints of a run, reported beside the last one and called what it is."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from egorobot.evaluate import load_checked_policy, summarize
from egorobot.files import write_json
from egorobot.policies.rollout import rollout


def best_evaluation(
    checkpoints: Path, seeds: Sequence[int], last: dict[str, Any], num_workers: int | None = None
) -> dict[str, Any]:
    """Return the evaluation of the best of a run's checkpoints, the earliest of equals.

    Args:
        checkpoints: folder of `step_*.pth`. The evaluation of each is kept there, for a run that is
            killed before the last one.
        seeds: reset seeds of the episodes.
        last: the evaluation of the last checkpoint, which is one of them.
        num_workers: processes; None is one a core.

    Raises:
        UserError: see `egorobot.evaluate.load_checked_policy`.
    """
    evaluations = [_evaluate(path, seeds, num_workers) for path in sorted(checkpoints.glob("step_*.pth"))]
    return max([*evaluations, last], key=lambda evaluation: evaluation["successes"])


def _evaluate(path: Path, seeds: Sequence[int], num_workers: int | None) -> dict[str, Any]:
    kept = path.with_suffix(".json")
    if kept.exists() and kept.stat().st_mtime_ns > path.stat().st_mtime_ns:
        evaluation: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        if evaluation["episode_seeds"] == list(seeds):
            return evaluation
    episodes = rollout(load_checked_policy(path), seeds, num_workers, description=f"evaluate {path.stem}")
    evaluation = summarize(episodes, path.stem)
    write_json(kept, evaluation)
    return evaluation

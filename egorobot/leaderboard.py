"""Build a leaderboard from the results of finished runs.

Every result.json below runs_dir is read, and nothing else: runs made on several
machines are merged by copying their folders together. A row is an encoder with a policy
and a number of demonstrations under a protocol; a task's cell is the mean over training
seeds of the success rate, with the Wilson interval of the pooled episodes. Mean and
interquartile mean over runs, paired comparisons of encoders and learning curves follow.

Examples:
    python -m egorobot.leaderboard
    python -m egorobot.leaderboard runs_dir=/data/all_runs out=/tmp/leaderboard
    python -m egorobot.leaderboard 'compare=[[egovideo_nano,random_vit],[egovideo_nano,blank]]'
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from egorobot.cli import command
from egorobot.comparisons import Comparison, check_pairs, make_comparisons
from egorobot.files import check_out, write_json, write_text
from egorobot.leaderboard_page import PAGE_FILE, write_page
from egorobot.leaderboard_rows import (
    Cell,
    Result,
    Row,
    RowKey,
    find_results,
    make_cell,
    make_rows,
    read_results,
)
from egorobot.leaderboard_tables import format_csv, format_markdown
from egorobot.learning_curves import LearningCurve, make_learning_curves

__all__ = ["Cell", "Result", "Row", "RowKey", "build_leaderboard", "make_cell", "make_rows", "read_results"]


def build_leaderboard(runs_dir: str | Path, out: str | Path, compare: Sequence[Sequence[str]] = ()) -> Path:
    """Write leaderboard.md, .csv, .json and .html into the folder `out`, and the videos that the page shows.

    Args:
        runs_dir: every result.json below it is read.
        out: the folder.
        compare: pairs of encoders' names to compare; none compares each row with the
            controls of its group, see `egorobot.comparisons.make_comparisons`.

    Returns:
        Path of the Markdown file.

    Raises:
        UserError: there is no result below `runs_dir`, one is damaged, or two of the same
            run disagree; `out` is a file; or `compare` names what no run has.
    """
    check_out(out, folder=True)
    found = find_results(runs_dir)
    rows = make_rows(result for _, result in found)
    comparisons, curves = make_comparisons(rows, compare), make_learning_curves(rows)
    out = Path(out)
    record = {
        "schema": 1,
        "rows": [_row_record(row) for row in rows],
        "comparisons": [_comparison_record(comparison) for comparison in comparisons],
        "learning_curves": [_curve_record(curve) for curve in curves],
    }
    write_json(out / "leaderboard.json", record)
    write_text(out / "leaderboard.csv", format_csv(rows))
    write_text(out / "leaderboard.md", format_markdown(rows, comparisons, curves))
    write_page(out, rows, found, comparisons)
    return out / "leaderboard.md"


def _row_record(row: Row) -> dict[str, Any]:
    tasks = {task: asdict(cell) for task, cell in row.cells.items()}
    # The summary first: the mean of the cells is its mean, but for rounding.
    rates = {**asdict(row.summary), "mean": row.mean}
    return {**asdict(row.key), **rates, "num_tasks": len(tasks), "eval_max": row.eval_max, "tasks": tasks}


def _comparison_record(comparison: Comparison) -> dict[str, Any]:
    overall, tasks = comparison.overall, comparison.tasks.items()
    return {
        "a": asdict(comparison.a),
        "b": asdict(comparison.b),
        "overall": overall and _paired_record(asdict(overall)),
        "tasks": {task: _counts_record(asdict(compared)) for task, compared in tasks},
    }


def _paired_record(overall: dict[str, Any]) -> dict[str, Any]:
    return {**overall["counts"], **overall["paired"], "detectable_bootstrap": overall["detectable"]}


def _counts_record(task: dict[str, Any]) -> dict[str, Any]:
    return {**task.pop("counts"), **task}


def _curve_record(curve: LearningCurve) -> dict[str, Any]:
    key = {name: value for name, value in asdict(curve.key).items() if name != "num_demos"}
    points = [{"num_demos": number, **asdict(point)} for number, point in curve.points.items()]
    return {**key, "tasks": curve.tasks, "points": points}


@command("leaderboard")
def main(config: DictConfig) -> None:
    """Build the leaderboard and print where it is."""
    path = build_leaderboard(config.runs_dir, config.out, check_pairs(OmegaConf.to_object(config.compare)))
    print(path.read_text(encoding="utf-8"))
    print(f"leaderboard: {path}, and {PAGE_FILE} beside it for a browser")


if __name__ == "__main__":
    main()

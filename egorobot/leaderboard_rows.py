"""Finished runs grouped into the rows of the leaderboard."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egorobot.bootstrap import Summary, outcome_matrix, summarize_runs
from egorobot.errors import UserError
from egorobot.run_options import describe_changes
from egorobot.runs import read_result
from egorobot.statistics import wilson_interval

Result = dict[str, Any]  # the content of result.json


@dataclass(frozen=True)
class RowKey:
    """What a row of the leaderboard is about; rows are grouped by it.

    `policy` is the policy's name and, behind it, the overrides of its runs and the name of
    the file that they learnt from, where one was given.
    """

    protocol: str
    num_demos: int
    encoder: str
    encoder_fingerprint: str
    policy: str
    camera: str


@dataclass(frozen=True)
class Cell:
    """The runs of one row on one task.

    Attributes:
        mean: mean over training seeds of the success rate, in [0, 1].
        ci95: Wilson interval of the pooled episodes.
        successes: successful episodes, all seeds together.
        episodes: episodes, all seeds together.
        seeds: training seeds, sorted.
        eval_max: mean over seeds of the best checkpoint's rate; None unless every seed has it.
        render_fingerprints: of the images the policies saw, sorted; several when runs were
            rendered differently.
    """

    mean: float
    ci95: tuple[float, float]
    successes: int
    episodes: int
    seeds: tuple[int, ...]
    eval_max: float | None
    render_fingerprints: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One line of the leaderboard.

    Attributes:
        key: what the row is about.
        cells: the cell of each task that has runs, sorted by task.
        summary: mean and interquartile mean over all its runs, with intervals.
        results: the runs, in the order of `read_results`.
    """

    key: RowKey
    cells: dict[str, Cell]
    summary: Summary
    results: tuple[Result, ...]

    @property
    def mean(self) -> float:
        """Mean over tasks of the cells' means, in [0, 1]."""
        return mean(cell.mean for cell in self.cells.values())

    @property
    def eval_max(self) -> float | None:
        """Mean over tasks of `Cell.eval_max`; None unless every task has it."""
        return mean_or_none(cell.eval_max for cell in self.cells.values())


def read_results(runs_dir: str | Path) -> list[Result]:
    """Return the results below `runs_dir`; see `find_results`."""
    return [result for _, result in find_results(runs_dir)]


def find_results(runs_dir: str | Path) -> list[tuple[Path, Result]]:
    """Return the run folders below `runs_dir` and their results, each run once, in an order that no path decides.

    Raises:
        UserError: there is none, one is damaged, or two of the same run disagree, or of the
            same row on what they learnt from.
    """
    if not Path(runs_dir).is_dir():
        raise UserError(f"no folder {runs_dir}: train_bc makes runs, runs_dir=FOLDER names another place")
    read = [(path, read_result(path.parent)) for path in sorted(Path(runs_dir).rglob("result.json"))]
    if not read:
        raise UserError(f"no result.json below {runs_dir}: a finished run of train_bc has one")
    _check_datasets(read)
    found: dict[str, tuple[Path, Result]] = {}
    for path, result in read:
        identity = _identity(result)
        if identity in found:
            first, other = found[identity]
            if not _agree(result, other):
                raise UserError(f"{first} and {path} are the same run with different outcomes: keep one of them")
            if result["eval"]["episodes"] <= other["eval"]["episodes"]:
                continue
        found[identity] = (path, result)
    return [(found[identity][0].parent, found[identity][1]) for identity in sorted(found)]


def _check_datasets(runs: Iterable[tuple[Path, Result]]) -> None:
    """Check that files of one name, by which rows are told apart, are one file."""
    first: dict[str, tuple[Path, Result]] = {}
    for path, result in runs:
        if (fingerprint := result.get("dataset_fingerprint")) is not None:
            where, other = first.setdefault(_identity(result | {"seed": None}), (path, result))
            if other["dataset_fingerprint"] != fingerprint:
                raise UserError(
                    f"{where} and {path} learnt from two files of the same name ({other['dataset']}, "
                    f"{result['dataset']}): rename one, and train on it again"
                )


def _agree(a: Result, b: Result) -> bool:
    """Whether two results of one run tell the same, one of them perhaps of more episodes."""
    episodes = [{*zip(r["eval"]["episode_seeds"], r["eval"]["outcomes"], strict=True)} for r in (a, b)]
    smaller, larger = sorted(episodes, key=len)
    same = a["eval"]["checkpoint"] == b["eval"]["checkpoint"] and a["eval_max"] == b["eval_max"]
    return same and smaller <= larger


def make_rows(results: Iterable[Result]) -> list[Row]:
    """Group `results` into rows: by protocol and number of demonstrations, best mean first."""
    groups: dict[RowKey, list[Result]] = defaultdict(list)
    for result in results:
        groups[row_key(result)].append(result)
    rows = [_make_row(key, group) for key, group in groups.items()]
    return sorted(
        rows, key=lambda row: (row.key.protocol, row.key.num_demos, -row.mean, tuple(asdict(row.key).items()))
    )


def _make_row(key: RowKey, results: list[Result]) -> Row:
    tasks = by_task(results)
    return Row(
        key=key,
        cells={task: make_cell(runs) for task, runs in tasks.items()},
        summary=summarize_results(tasks.values()),
        results=tuple(results),
    )


def by_task(results: Iterable[Result]) -> dict[str, list[Result]]:
    """Return `results` by task, tasks sorted."""
    tasks: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        tasks[result["task"]].append(result)
    return {task: tasks[task] for task in sorted(tasks)}


def summarize_results(tasks: Iterable[Iterable[Result]]) -> Summary:
    """Return mean and interquartile mean over the runs of several tasks, at least one of each."""
    return summarize_runs([outcome_matrix(episode_outcomes(runs)) for runs in tasks])


def episode_outcomes(runs: Iterable[Result]) -> dict[tuple[int, int], float]:
    """Return the outcomes of the runs of one row on one task by (training seed, evaluation seed).

    1 is success and 0 failure; where runs of one seed saw differently rendered images,
    their mean.
    """
    outcomes: dict[tuple[int, int], list[float]] = defaultdict(list)
    for run in runs:
        for episode, success in zip(run["eval"]["episode_seeds"], run["eval"]["outcomes"], strict=True):
            outcomes[run["seed"], episode].append(float(success))
    return {where: mean(values) for where, values in outcomes.items()}


def make_cell(results: list[Result]) -> Cell:
    """Summarise the runs of one row on one task; `results` holds at least one."""
    by_seed: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        by_seed[result["seed"]].append(result)
    successes = sum(result["eval"]["successes"] for result in results)
    episodes = sum(result["eval"]["episodes"] for result in results)
    return Cell(
        mean=mean(mean(r["eval"]["success_rate"] for r in by_seed[seed]) for seed in sorted(by_seed)),
        ci95=wilson_interval(successes, episodes),
        successes=successes,
        episodes=episodes,
        seeds=tuple(sorted(by_seed)),
        eval_max=mean_or_none(
            r["eval_max"] and r["eval_max"]["success_rate"] for seed in sorted(by_seed) for r in by_seed[seed]
        ),
        render_fingerprints=tuple(sorted({result["render_fingerprint"] for result in results})),
    )


def row_key(result: Result) -> RowKey:
    """Return the key of the row that a run belongs to."""
    camera, encoder = result["camera"], result["encoder"]
    return RowKey(
        protocol=result["protocol"],
        num_demos=result["num_demos"],
        encoder=encoder["name"],
        encoder_fingerprint=encoder["fingerprint"],
        policy=" ".join([result["policy"], *describe_changes(result.get("overrides", {}), result.get("dataset"))]),
        camera=camera if isinstance(camera, str) else "+".join(map(str, camera)),
    )


def _identity(result: Result) -> str:
    """What makes two results the same run: the row, the task, the seed and the images."""
    key = asdict(row_key(result))
    return json.dumps({**key, **{name: result[name] for name in ("task", "seed", "render_fingerprint")}})


def mean(values: Iterable[float]) -> float:
    """Return the mean of at least one number, the same in whatever order they come."""
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


def mean_or_none(values: Iterable[float | None]) -> float | None:
    """Return the mean, or None if one of the numbers is."""
    numbers = list(values)
    known = [number for number in numbers if number is not None]
    return mean(known) if len(known) == len(numbers) else None

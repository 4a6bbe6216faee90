"""Build a leaderboard from the results of finished runs.

Every result.json below runs_dir is read, and nothing else: runs made on several
machines are merged by copying their folders together. A row is an encoder with a policy
and a number of demonstrations under a protocol; a task's cell is the mean over training
seeds of the success rate, with the Wilson interval of the pooled episodes.

Examples:
    python -m egorobot.leaderboard
    python -m egorobot.leaderboard runs_dir=/data/all_runs out=/tmp/leaderboard
"""

import csv
import io
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from egorobot.cli import command
from egorobot.errors import UserError
from egorobot.files import write_json, write_text
from egorobot.runs import read_result
from egorobot.statistics import wilson_interval

Result = dict[str, Any]

INTRODUCTION = """\
# Leaderboard

Success rates: the mean over training seeds, the 95 % Wilson interval of the pooled
episodes in brackets, successes/episodes, and the number of training seeds. The interval
is about which episodes were drawn; how much training seeds differ is not in it. Rates
are those of the last checkpoint; a maximum over checkpoints stands in `eval_max` only.
"""


@dataclass(frozen=True)
class RowKey:
    """What a row of the leaderboard is about; rows are grouped by it."""

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
    """One line of the leaderboard: a key and a cell for each task that has runs."""

    key: RowKey
    cells: dict[str, Cell]

    @property
    def mean(self) -> float:
        """Mean over tasks of the cells' means, in [0, 1]."""
        return _mean(cell.mean for cell in self.cells.values())

    @property
    def eval_max(self) -> float | None:
        """Mean over tasks of `Cell.eval_max`; None unless every task has it."""
        return _mean_or_none(cell.eval_max for cell in self.cells.values())


def build_leaderboard(runs_dir: str | Path, out: str | Path) -> Path:
    """Write leaderboard.md, .csv and .json into the folder `out`.

    Returns:
        Path of the Markdown file.

    Raises:
        UserError: there is no result below `runs_dir`, one is damaged, or two of the same
            run disagree.
    """
    rows = make_rows(read_results(runs_dir))
    out = Path(out)
    write_json(out / "leaderboard.json", {"schema": 1, "rows": [_row_record(row) for row in rows]})
    write_text(out / "leaderboard.csv", format_csv(rows))
    write_text(out / "leaderboard.md", format_markdown(rows))
    return out / "leaderboard.md"


def read_results(runs_dir: str | Path) -> list[Result]:
    """Return the results below `runs_dir`, each run once, in an order that no path decides.

    Raises:
        UserError: see `build_leaderboard`.
    """
    if not Path(runs_dir).is_dir():
        raise UserError(f"no folder {runs_dir}: train_bc makes runs, runs_dir=FOLDER names another place")
    found: dict[str, tuple[Path, Result]] = {}
    for path in sorted(Path(runs_dir).rglob("result.json")):
        result = read_result(path.parent)
        identity = _identity(result)
        if identity in found:
            first, other = found[identity]
            if (other["eval"], other["eval_max"]) != (result["eval"], result["eval_max"]):
                raise UserError(f"{first} and {path} are the same run with different outcomes: keep one of them")
            continue
        found[identity] = (path, result)
    if not found:
        raise UserError(f"no result.json below {runs_dir}: a finished run of train_bc has one")
    return [found[identity][1] for identity in sorted(found)]


def make_rows(results: Iterable[Result]) -> list[Row]:
    """Group `results` into rows: by protocol and number of demonstrations, best mean first."""
    groups: dict[RowKey, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        groups[_row_key(result)][result["task"]].append(result)
    rows = [
        Row(key, {task: make_cell(tasks[task]) for task in sorted(tasks)})
        for key, tasks in groups.items()
    ]  # fmt: skip
    return sorted(
        rows, key=lambda row: (row.key.protocol, row.key.num_demos, -row.mean, tuple(asdict(row.key).items()))
    )


def make_cell(results: list[Result]) -> Cell:
    """Summarise the runs of one row on one task; `results` holds at least one."""
    by_seed: dict[int, list[Result]] = defaultdict(list)
    for result in results:
        by_seed[result["seed"]].append(result)
    successes = sum(result["eval"]["successes"] for result in results)
    episodes = sum(result["eval"]["episodes"] for result in results)
    return Cell(
        mean=_mean(_mean(r["eval"]["success_rate"] for r in by_seed[seed]) for seed in sorted(by_seed)),
        ci95=wilson_interval(successes, episodes),
        successes=successes,
        episodes=episodes,
        seeds=tuple(sorted(by_seed)),
        eval_max=_mean_or_none(
            r["eval_max"] and r["eval_max"]["success_rate"] for seed in sorted(by_seed) for r in by_seed[seed]
        ),
        render_fingerprints=tuple(sorted({result["render_fingerprint"] for result in results})),
    )


def format_markdown(rows: list[Row]) -> str:
    """Return the leaderboard as Markdown, one table a protocol."""
    parts = [INTRODUCTION]
    for protocol in sorted({row.key.protocol for row in rows}):
        group = [row for row in rows if row.key.protocol == protocol]
        tasks = _tasks(group)
        with_max = any(row.eval_max is not None for row in group)
        header = ["encoder", "policy", "demonstrations", *tasks, "mean", *(["eval_max"] if with_max else [])]
        lines = [_line(header), _line(["---"] * len(header))]
        for row in group:
            cells = [_format_cell(row.cells[task]) if task in row.cells else "" for task in tasks]
            mean = f"{_percent(row.mean)} ({_count(len(row.cells), 'task')})"
            best = [_percent(row.eval_max) if row.eval_max is not None else ""] if with_max else []
            lines.append(_line([_encoder_label(row, rows), row.key.policy, row.key.num_demos, *cells, mean, *best]))
        parts.append(f"## Protocol `{protocol}`\n\n" + "\n".join(lines) + "\n")
    if any(len(cell.render_fingerprints) > 1 for row in rows for cell in row.cells.values()):
        parts.append("\\* The runs of this cell saw differently rendered images (more than one render fingerprint).\n")
    return "\n".join(parts)


def format_csv(rows: list[Row]) -> str:
    """Return the leaderboard as CSV: one line a row, six columns a task; rates in [0, 1]."""
    tasks = _tasks(rows)
    parts = ("mean", "low", "high", "successes", "episodes", "seeds")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        [*RowKey.__dataclass_fields__, "mean", "num_tasks", "eval_max", *(f"{t}_{p}" for t in tasks for p in parts)]
    )
    for row in rows:
        line: list[Any] = [*asdict(row.key).values(), _rounded(row.mean), len(row.cells), _rounded(row.eval_max)]
        for task in tasks:
            cell = row.cells.get(task)
            rates = [_rounded(v) for v in (cell.mean, *cell.ci95)] if cell else [""] * 3
            line += [*rates, cell.successes, cell.episodes, len(cell.seeds)] if cell else [""] * len(parts)
        writer.writerow(line)
    return buffer.getvalue()


def _row_key(result: Result) -> RowKey:
    camera, encoder = result["camera"], result["encoder"]
    return RowKey(
        protocol=result["protocol"],
        num_demos=result["num_demos"],
        encoder=encoder["name"],
        encoder_fingerprint=encoder["fingerprint"],
        policy=result["policy"],
        camera=camera if isinstance(camera, str) else "+".join(map(str, camera)),
    )


def _identity(result: Result) -> str:
    """What makes two results the same run: the row, the task, the seed and the images."""
    key = asdict(_row_key(result))
    return json.dumps({**key, **{name: result[name] for name in ("task", "seed", "render_fingerprint")}})


def _row_record(row: Row) -> dict[str, Any]:
    tasks = {task: asdict(cell) for task, cell in row.cells.items()}
    return {**asdict(row.key), "mean": row.mean, "num_tasks": len(tasks), "eval_max": row.eval_max, "tasks": tasks}


def _encoder_label(row: Row, rows: list[Row]) -> str:
    """Return the encoder's name, with what tells it from another row's encoder of that name."""
    namesakes = [other.key for other in rows if other.key.encoder == row.key.encoder]
    label = row.key.encoder
    if len({key.encoder_fingerprint for key in namesakes}) > 1:
        label += f" ({row.key.encoder_fingerprint[:8]})"
    if len({key.camera for key in namesakes}) > 1:
        label += f", {row.key.camera}"
    return label


def _format_cell(cell: Cell) -> str:
    low, high = (100 * end for end in cell.ci95)
    mark = "\\*" if len(cell.render_fingerprints) > 1 else ""
    counts = f"{cell.successes}/{cell.episodes}, {_count(len(cell.seeds), 'seed')}"
    return f"{_percent(cell.mean)} [{low:.0f}, {high:.0f}] {counts}{mark}"


def _tasks(rows: list[Row]) -> list[str]:
    return sorted({task for row in rows for task in row.cells})


def _line(values: Iterable[Any]) -> str:
    return "| " + " | ".join(str(value).replace("|", "\\|") for value in values) + " |"


def _percent(rate: float) -> str:
    return f"{100 * rate:.0f} %"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _rounded(rate: float | None) -> float | str:
    return "" if rate is None else round(rate, 4)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return math.fsum(numbers) / len(numbers)


def _mean_or_none(values: Iterable[float | None]) -> float | None:
    numbers = list(values)
    known = [number for number in numbers if number is not None]
    return _mean(known) if len(known) == len(numbers) else None


@command("leaderboard")
def main(config: DictConfig) -> None:
    """Build the leaderboard and print where it is."""
    path = build_leaderboard(config.runs_dir, config.out)
    print(path.read_text(encoding="utf-8"))
    print(f"leaderboard: {path}")


if __name__ == "__main__":
    main()

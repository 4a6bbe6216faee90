"""The commands that repeat a row of the leaderboard, as one would type them into a shell."""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from egorobot.leaderboard_rows import Result
from egorobot.run_options import type_override

PROGRAM = ("python", "-m", "egorobot.train_bc")

# What Hydra reads as a word, whatever its grammar makes of brackets, commas and spaces, ...
_WORD = re.compile(r"[A-Za-z0-9_./:@+-]+")
# ... but for what it would take for a number, a truth value or nothing.
_NO_WORD = re.compile(r"[+-]?[\d._]+(e[+-]?\d+)?|[+-]?(inf|nan)|true|false|null", re.IGNORECASE)


def repeat_commands(results: Sequence[Result]) -> list[str]:
    """Return the commands that make `results` again, quoted for a POSIX shell.

    Args:
        results: the runs of one row, at least one: all with the same encoder, policy,
            protocol, camera and number of demonstrations.

    Returns:
        One command, with `--multirun` over tasks and seeds where there are several; more
        where not every task has the same seeds and episodes, or was learnt from a file.
        Where robomimic's own script trained, what to begin with.
    """
    if any(result.get("trainer") == "robomimic" for result in results):
        return [
            "python -m egorobot.robomimic train --config CONFIG",
            "python -m egorobot.evaluate run=MODEL out=FOLDER",
        ]
    runs: dict[tuple[str, int, bool, str], set[int]] = defaultdict(set)
    for result in results:
        how = result["eval"]["episodes"], result["eval_max"] is not None, result.get("dataset", "")
        runs[result["task"], *how].add(result["seed"])
    sweeps: dict[tuple[tuple[int, ...], int, bool, str], list[str]] = defaultdict(list)
    for (task, episodes, with_max, dataset), seeds in sorted(runs.items()):
        sweeps[tuple(sorted(seeds)), episodes, with_max, dataset].append(task)
    row = next((result for result in results if "pretrain" in result), results[0])
    return [_command(row, tasks, *how) for how, tasks in sweeps.items()]


def _command(
    row: Result, tasks: Sequence[str], seeds: Sequence[int], episodes: int, with_max: bool, dataset: str
) -> str:
    camera, overrides = row["camera"], row.get("overrides", {})
    # A file of demonstrations says what it shows.
    what = {
        "task": ",".join(map(hydra_value, tasks)),
        "protocol": hydra_value(row["protocol"]),
        "camera": hydra_value(camera) if isinstance(camera, str) else _hydra_list(camera),
    }
    options = {
        **({"dataset": hydra_value(dataset)} if dataset else what),
        "encoder": hydra_value(row["encoder"]["name"]),
        **({} if "policy.name" in overrides else {"policy": hydra_value(row["policy"])}),
        "num_demos": row["num_demos"],
        "seed": ",".join(map(str, seeds)),
        "episodes": episodes,
    } | ({"eval_max": "true"} if with_max else {})
    how = [f"pretrain={_hydra_dict(row['pretrain'])}"] if "pretrain" in row else []
    sweep = ["--multirun"] if (1 if dataset else len(tasks)) * len(seeds) > 1 else []
    typed = [f"{name}={value}" for name, value in options.items()]
    return shlex.join([*PROGRAM, *sweep, *typed, *how, *(type_override(*override) for override in overrides.items())])


def hydra_value(text: str) -> str:
    """Return `text` as Hydra reads it on a command line: as it is, or in quotes where it would read something else."""
    if _WORD.fullmatch(text) and not _NO_WORD.fullmatch(text):
        return text
    # Backslashes count as such only before a quote, the closing one among them.
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    escaped += "\\" * (len(text) - len(text.rstrip("\\")))
    return f"'{escaped}'"


def _hydra_list(values: Iterable[Any]) -> str:
    return f"[{','.join(hydra_value(str(value)) for value in values)}]"


def _hydra_dict(values: Mapping[str, Any]) -> str:
    """Return options as Hydra reads them: in its dictionaries, names stand without quotes."""
    items = (f"{key}:{_hydra_dict(v) if isinstance(v, dict) else _hydra_leaf(v)}" for key, v in values.items())
    return f"{{{','.join(items)}}}"


def _hydra_leaf(value: Any) -> str:
    return hydra_value(value) if isinstance(value, str) else json.dumps(value)

"""The leaderboard is a pure function of the results, and adds them up rightly."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from egorobot.errors import UserError
from egorobot.files import write_json
from egorobot.leaderboard import build_leaderboard, make_rows, read_results
from egorobot.statistics import wilson_interval


def make_result(successes: int = 41, episodes: int = 50, **changes: Any) -> dict[str, Any]:
    def evaluation(good: int) -> dict[str, Any]:
        return {
            "checkpoint": "last",
            "episodes": episodes,
            "successes": good,
            "success_rate": good / episodes,
            "ci95": list(wilson_interval(good, episodes)),
            "ci_method": "wilson",
            "episode_seeds": [100_000 + k for k in range(episodes)],
            "outcomes": [k < good for k in range(episodes)],
        }

    best = changes.pop("best", None)
    result = {
        "schema": 1,
        "task": "microwave",
        "protocol": "kitchen",
        "camera": "left_cap2",
        "encoder": {"name": "egovideo_nano", "fingerprint": "aaaa0000bbbb1111", "dim": 192},
        "policy": "bc_mlp",
        "num_demos": 100,
        "seed": 0,
        "eval": evaluation(successes),
        "eval_max": None if best is None else evaluation(best),
        "wall_time_s": {"demos": 1, "embed": 2, "train": 3, "eval": 4},
        "versions": {"egorobot": "0.1.0", "mujoco": "3.11.0", "robomimic": "0.3.0", "torch": "2.14.1"},
        "render_fingerprint": "cccc",
        "git_commit": None,
    }
    return result | changes


def write_results(root: Path, *results: dict[str, Any]) -> Path:
    for i, result in enumerate(results):
        write_json(root / f"run{i}" / "result.json", result)
    return root


def built(root: Path, out: Path) -> dict[str, str]:
    build_leaderboard(root, out)
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_one_run_gives_one_row(tmp_path: Path) -> None:
    files = built(write_results(tmp_path / "runs", make_result()), tmp_path / "out")
    assert sorted(files) == ["leaderboard.csv", "leaderboard.json", "leaderboard.md"]
    assert "| egovideo_nano | bc_mlp | 100 | 82 % [69, 90] 41/50, 1 seed | 82 % (1 task) |\n" in files["leaderboard.md"]
    assert "eval_max |" not in files["leaderboard.md"]


def test_seeds_are_averaged_and_their_episodes_pooled(tmp_path: Path) -> None:
    """Seeds of 10 and 50 episodes weigh alike in the mean; the interval counts episodes."""
    root = write_results(tmp_path, make_result(10, 10), make_result(25, 50, seed=1))
    (row,) = make_rows(read_results(root))
    cell = row.cells["microwave"]
    assert cell.mean == pytest.approx(0.75)
    assert (cell.successes, cell.episodes, cell.seeds) == (35, 60, (0, 1))
    assert cell.ci95 == wilson_interval(35, 60)


def test_mean_over_tasks_says_how_many(tmp_path: Path) -> None:
    root = write_results(
        tmp_path / "runs",
        make_result(50),
        make_result(25, task="knob"),
        make_result(40, encoder={"name": "blank", "fingerprint": "b", "dim": 1}),
    )
    lines = built(root, tmp_path / "out")["leaderboard.md"].splitlines()
    assert "| encoder | policy | demonstrations | knob | microwave | mean |" in lines
    table = [line for line in lines if line.startswith(("| ego", "| blank"))]
    assert table[0].startswith("| blank") and table[0].endswith("|  | 80 % [67, 89] 40/50, 1 seed | 80 % (1 task) |")
    assert table[1].endswith("| 75 % (2 tasks) |")


def test_rows_are_told_apart(tmp_path: Path) -> None:
    """Protocol, demonstrations, policy, camera and the encoder's weights each make a row of their own."""
    root = write_results(
        tmp_path / "runs",
        make_result(),
        make_result(protocol="r3m"),
        make_result(num_demos=25),
        make_result(policy="bc_gmm"),
        make_result(camera=["left_cap2", "right_cap2"]),
        make_result(encoder={"name": "egovideo_nano", "fingerprint": "dddd0000bbbb1111", "dim": 192}),
    )
    files = built(root, tmp_path / "out")
    assert len(json.loads(files["leaderboard.json"])["rows"]) == 6
    assert "## Protocol `kitchen`" in files["leaderboard.md"] and "## Protocol `r3m`" in files["leaderboard.md"]
    assert "egovideo_nano (dddd0000), left_cap2 |" in files["leaderboard.md"]
    assert "left_cap2+right_cap2 |" in files["leaderboard.md"]


def test_maximum_stands_in_its_own_column(tmp_path: Path) -> None:
    root = write_results(tmp_path / "runs", make_result(25, best=45), make_result(25, policy="bc_gmm"))
    markdown = built(root, tmp_path / "out")["leaderboard.md"]
    assert "| mean | eval_max |" in markdown
    assert "| 50 % (1 task) | 90 % |" in markdown
    assert "| 50 % (1 task) |  |" in markdown


def test_places_and_times_do_not_matter(tmp_path: Path) -> None:
    """Copies, other folder names and other wall times build the same files, byte for byte."""
    results = [make_result(41, seed=0), make_result(30, seed=1), make_result(12, task="door")]
    here = write_results(tmp_path / "here", *results)
    there = write_results(tmp_path / "there", *reversed(results))
    shutil.copytree(there, there / "a copy")
    slow = {"demos": 9, "embed": 9, "train": 9, "eval": 9}
    write_json(there / "slow" / "result.json", make_result(41, wall_time_s=slow))
    assert built(here, tmp_path / "out1") == built(there, tmp_path / "out2")


def test_csv_holds_the_numbers(tmp_path: Path) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(12, task="door", policy="bc_gmm"))
    lines = list(csv.DictReader(built(root, tmp_path / "out")["leaderboard.csv"].splitlines()))
    best = next(line for line in lines if line["policy"] == "bc_mlp")
    assert (best["microwave_mean"], best["microwave_successes"], best["microwave_episodes"]) == ("0.82", "41", "50")
    assert best["door_mean"] == "" and best["num_tasks"] == "1"


def test_differently_rendered_runs_are_marked(tmp_path: Path) -> None:
    root = write_results(tmp_path / "runs", make_result(), make_result(seed=1, render_fingerprint="eeee"))
    markdown = built(root, tmp_path / "out")["leaderboard.md"]
    assert "82/100, 2 seeds\\*" in markdown
    assert "differently rendered" in markdown


def test_the_same_run_with_two_outcomes_is_refused(tmp_path: Path) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(40))
    with pytest.raises(UserError, match=r"run0.*run1.*different outcomes"):
        build_leaderboard(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', json.dumps(make_result() | {"eval": None})])
def test_damaged_result_is_named(tmp_path: Path, text: str) -> None:
    root = write_results(tmp_path / "runs", make_result())
    damaged = root / "run9" / "result.json"
    damaged.parent.mkdir()
    damaged.write_text(text)
    with pytest.raises(UserError, match=r"run9/result\.json"):
        build_leaderboard(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_rate_that_contradicts_its_outcomes_is_refused(tmp_path: Path) -> None:
    result = make_result()
    result["eval"]["success_rate"] = 0.99
    with pytest.raises(UserError, match="outcomes"):
        build_leaderboard(write_results(tmp_path / "runs", result), tmp_path / "out")


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        build_leaderboard(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="no folder"):
        build_leaderboard(tmp_path / "absent", tmp_path / "out")

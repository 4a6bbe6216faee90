"""The leaderboard is a pure function of the results, and adds them up rightly."""

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egorobot.errors import UserError
from egorobot.files import write_json
from egorobot.leaderboard import build_leaderboard, make_rows, read_results
from egorobot.statistics import wilson_interval

CONTROL = {"name": "random_vit", "fingerprint": "eeee", "dim": 192}


def write_results(root: Path, *results: dict[str, Any]) -> Path:
    for i, result in enumerate(results):
        write_json(root / f"run{i}" / "result.json", result)
    return root


def built(root: Path, out: Path) -> dict[str, str]:
    build_leaderboard(root, out)
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_one_run_gives_one_row(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    files = built(write_results(tmp_path / "runs", make_result()), tmp_path / "out")
    assert sorted(files) == ["leaderboard.csv", "leaderboard.html", "leaderboard.json", "leaderboard.md"]
    assert "| egovideo_nano | bc_mlp | 100 | 82 % [69, 90] 41/50, 1 seed | 82 % (1 task) | [" in files["leaderboard.md"]
    assert "eval_max |" not in files["leaderboard.md"]


def test_seeds_are_averaged_and_their_episodes_pooled(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]]
) -> None:
    """Seeds of 10 and 50 episodes weigh alike in the mean; the interval counts episodes."""
    root = write_results(tmp_path, make_result(10, episodes=10), make_result(25, seed=1))
    (row,) = make_rows(read_results(root))
    cell = row.cells["microwave"]
    assert cell.mean == pytest.approx(0.75)
    assert (cell.successes, cell.episodes, cell.seeds) == (35, 60, (0, 1))
    assert cell.ci95 == wilson_interval(35, 60)


def test_mean_over_tasks_says_how_many(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(
        tmp_path / "runs",
        make_result(50),
        make_result(25, task="knob"),
        make_result(40, encoder={"name": "blank", "fingerprint": "b", "dim": 1}),
    )
    lines = built(root, tmp_path / "out")["leaderboard.md"].splitlines()
    assert "| encoder | policy | demonstrations | knob | microwave | mean | 95 % interval | IQM |" in lines
    table = [line for line in lines if line.startswith(("| ego", "| blank"))]
    assert table[0].startswith("| blank") and "|  | 80 % [67, 89] 40/50, 1 seed | 80 % (1 task) |" in table[0]
    assert "| 75 % (2 tasks) |" in table[1]


def test_rows_are_told_apart(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
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


def test_maximum_stands_in_its_own_column(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(25, best=45), make_result(25, policy="bc_gmm"))
    markdown = built(root, tmp_path / "out")["leaderboard.md"]
    assert "| IQM | eval_max |" in markdown
    lines = [line.split(" | ") for line in markdown.splitlines() if "| 50 % (1 task) |" in line]
    assert {line[1]: line[-1] for line in lines} == {"bc_mlp": "90 % |", "bc_gmm": " |"}


def test_places_and_times_do_not_matter(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    """Copies, other folder names and other wall times build the same files, byte for byte."""
    results = [make_result(41, seed=0), make_result(30, seed=1), make_result(12, task="door")]
    results += [make_result(20, seed=0, encoder=CONTROL), make_result(10, seed=1, num_demos=25)]
    here = write_results(tmp_path / "here", *results)
    there = write_results(tmp_path / "there", *reversed(results))
    shutil.copytree(there, there / "a copy")
    slow = {"demos": 9, "embed": 9, "train": 9, "eval": 9}
    write_json(there / "slow" / "result.json", make_result(41, wall_time_s=slow))
    assert built(here, tmp_path / "out1") == built(there, tmp_path / "out2")


def test_csv_holds_the_numbers(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(12, task="door", policy="bc_gmm"))
    lines = list(csv.DictReader(built(root, tmp_path / "out")["leaderboard.csv"].splitlines()))
    best = next(line for line in lines if line["policy"] == "bc_mlp")
    assert (best["microwave_mean"], best["microwave_successes"], best["microwave_episodes"]) == ("0.82", "41", "50")
    assert best["door_mean"] == "" and best["num_tasks"] == "1"


def test_differently_rendered_runs_are_marked(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(), make_result(seed=1, render_fingerprint="eeee"))
    markdown = built(root, tmp_path / "out")["leaderboard.md"]
    assert "82/100, 2 seeds\\*" in markdown
    assert "differently rendered" in markdown


def test_of_the_same_run_the_one_with_more_episodes_counts(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]]
) -> None:
    short, longer = make_result(41), make_result(41, episodes=80)
    for number, order in enumerate(([short, longer], [longer, short])):
        root = write_results(tmp_path / f"runs{number}", *order)
        assert "41/80, 1 seed" in built(root, tmp_path / f"out{number}")["leaderboard.md"]


def test_the_same_run_with_two_outcomes_is_refused(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(40))
    with pytest.raises(UserError, match=r"run0.*run1.*different outcomes"):
        build_leaderboard(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


NO_EVALUATION = "a result whose evaluation is null"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema": 2}', NO_EVALUATION])
def test_damaged_result_is_named(tmp_path: Path, text: str, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result())
    damaged = root / "run9" / "result.json"
    damaged.parent.mkdir()
    damaged.write_text(json.dumps(make_result() | {"eval": None}) if text == NO_EVALUATION else text)
    with pytest.raises(UserError, match=r"run9/result\.json"):
        build_leaderboard(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_rate_that_contradicts_its_outcomes_is_refused(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]]
) -> None:
    result = make_result()
    result["eval"]["success_rate"] = 0.99
    with pytest.raises(UserError, match="outcomes"):
        build_leaderboard(write_results(tmp_path / "runs", result), tmp_path / "out")


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no result\.json"):
        build_leaderboard(tmp_path, tmp_path / "out")
    with pytest.raises(UserError, match="no folder"):
        build_leaderboard(tmp_path / "absent", tmp_path / "out")


def test_csv_and_json_hold_mean_and_interquartile_mean_with_intervals(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]]
) -> None:
    """Of four runs the best and the worst are left out: (0.4 + 0.6) / 2."""
    results = [make_result(good, seed=k) for k, good in enumerate((0, 20, 30, 50))]
    files = built(write_results(tmp_path / "runs", *results), tmp_path / "out")
    (line,) = csv.DictReader(files["leaderboard.csv"].splitlines())
    (row,) = json.loads(files["leaderboard.json"])["rows"]
    assert (line["mean"], line["iqm"]) == ("0.5", "0.5")
    for low, high, ends in (("mean_low", "mean_high", "mean_ci95"), ("iqm_low", "iqm_high", "iqm_ci95")):
        assert [float(line[low]), float(line[high])] == pytest.approx(row[ends], abs=1e-4)
        assert 0.0 <= row[ends][0] < 0.5 < row[ends][1] <= 1.0
    assert not row["single_seed"] and "one training seed only" not in files["leaderboard.md"]


def test_one_training_seed_is_said_in_words(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    files = built(write_results(tmp_path / "runs", make_result()), tmp_path / "out")
    assert json.loads(files["leaderboard.json"])["rows"][0]["single_seed"]
    (line,) = [line for line in files["leaderboard.md"].splitlines() if line.startswith("| egovideo_nano")]
    assert line.count("] † |") == 2
    assert "† Some task has one training seed only" in files["leaderboard.md"]


def test_sections_stand_where_there_is_something_to_tell(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]]
) -> None:
    alone = built(write_results(tmp_path / "alone", make_result()), tmp_path / "out1")
    assert "## Comparisons" not in alone["leaderboard.md"] and "## Learning curves" not in alone["leaderboard.md"]
    record = json.loads(alone["leaderboard.json"])
    assert (record["comparisons"], record["learning_curves"]) == ([], [])

    results = [make_result(41), make_result(21, encoder=CONTROL), make_result(11, num_demos=10)]
    files = built(write_results(tmp_path / "both", *results), tmp_path / "out2")
    record = json.loads(files["leaderboard.json"])
    (comparison,), (curve,) = record["comparisons"], record["learning_curves"]
    assert comparison["overall"]["difference"] == pytest.approx(0.4)
    assert (comparison["tasks"]["microwave"]["pairs"], comparison["tasks"]["microwave"]["only_a"]) == (50, 20)
    assert [point["num_demos"] for point in curve["points"]] == [10, 100]
    markdown = files["leaderboard.md"]
    assert "| microwave | 82 % | 42 % | +40.0 | < 0.001 | 50, 1 seed | 20 | 0 |" in markdown
    assert "| egovideo_nano | bc_mlp | microwave | 22 % [" in markdown


def test_pairs_to_compare_are_chosen_by_name(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    blank = {"name": "blank", "fingerprint": "ffff", "dim": 1}
    results = [make_result(41), make_result(21, encoder=CONTROL), make_result(2, encoder=blank)]
    root, out = write_results(tmp_path / "runs", *results), tmp_path / "out"
    build_leaderboard(root, out, [("blank", "egovideo_nano")])
    (comparison,) = json.loads((out / "leaderboard.json").read_text())["comparisons"]
    assert (comparison["a"]["encoder"], comparison["b"]["encoder"]) == ("blank", "egovideo_nano")
    with pytest.raises(UserError, match="no run has the encoder 'nobody'"):
        build_leaderboard(root, tmp_path / "not made", [("nobody", "blank")])
    assert not (tmp_path / "not made").exists()


def test_rows_without_pairs_are_named(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(21, encoder=CONTROL, seed=1))
    markdown = built(root, tmp_path / "out")["leaderboard.md"]
    assert "egovideo_nano and random_vit (bc_mlp, 100 demonstrations) have no episode of the same task" in markdown
    assert "| only A |" not in markdown


def test_the_command_takes_pairs(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result(41), make_result(21, encoder=CONTROL))
    command = [sys.executable, "-m", "egorobot.leaderboard", f"runs_dir={root}", f"out={tmp_path / 'out'}"]
    done = subprocess.run(
        [*command, "compare=[[random_vit,egovideo_nano]]"], capture_output=True, text=True, check=True
    )
    assert "| random_vit | egovideo_nano | bc_mlp | 100 | all (1) | 42 % | 82 % | -40.0 [" in done.stdout
    done = subprocess.run([*command, "compare=[random_vit]"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: compare=['random_vit'] does not fit") and done.stderr.count("\n") == 1


def test_the_page_has_the_comparisons(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    results = [make_result(41, seed=0), make_result(12, seed=0, encoder=CONTROL)]
    page = built(write_results(tmp_path / "runs", *results), tmp_path / "out")["leaderboard.html"]
    (table,) = re.findall(r'<table class="pairs">.*?</table>', page, re.DOTALL)
    drawing, *cells = re.findall(r"<td>(.*?)</td>", table)
    assert "<title>+58.0 points, 95 % interval +44.0 to +72.0</title>" in drawing
    assert cells[:5] == ["egovideo_nano", "random_vit", "bc_mlp", "100", "all (1)"] and cells[5:7] == ["82 %", "24 %"]
    alone = built(write_results(tmp_path / "one", results[0]), tmp_path / "alone")["leaderboard.html"]
    assert "Comparisons" not in alone


def test_runs_on_other_files_are_other_rows(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    """Rows are told apart by the file's name; where two files have one, no row is made of both."""
    first, second, third = (
        make_result(seed=seed) | {"dataset": f"{folder}/{name}_112px.hdf5", "dataset_fingerprint": fingerprint}
        for seed, (folder, name, fingerprint) in enumerate([("a", "complete", "f0"), ("b", "mixed", "f1")] * 2)
        if seed < 3
    )
    rows = make_rows(read_results(write_results(tmp_path / "runs", first, second, third)))
    assert [row.key.policy for row in rows] == ["bc_mlp dataset=complete_112px", "bc_mlp dataset=mixed_112px"]
    assert [row.cells["microwave"].seeds for row in rows] == [(0, 2), (1,)]
    for seed in (0, 2):  # of one seed they would pass for the same run
        other = third | {"dataset_fingerprint": "f2", "seed": seed}
        root = write_results(tmp_path / f"runs{seed}", first, second, other)
        with pytest.raises(UserError, match=r"learnt from two files of the same name .* rename one") as caught:
            read_results(root)
        assert "\n" not in str(caught.value)


def test_a_file_in_the_way_is_told(tmp_path: Path, make_result: Callable[..., dict[str, Any]]) -> None:
    root = write_results(tmp_path / "runs", make_result())
    (tmp_path / "out").touch()
    with pytest.raises(UserError, match="out is not a folder: choose another out="):
        build_leaderboard(root, tmp_path / "out")

"""Run folders, their stages, and the checks on results."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from omegaconf import DictConfig

from egorobot import runs
from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.stages import Run


def make_config(tmp_path: Path, *overrides: str) -> DictConfig:
    return load_config("train_bc", [f"runs_dir={tmp_path}", *overrides])


def make_result() -> dict[str, Any]:
    evaluation = {
        "checkpoint": "last", "episodes": 4, "successes": 3, "success_rate": 0.75, "ci95": [0.3, 0.95],
        "ci_method": "wilson", "episode_seeds": [100000, 100001, 100002, 100003], "outcomes": [True, True, False, True],
    }  # fmt: skip
    return {
        "schema": 1, "task": "slide", "protocol": "kitchen", "camera": "left_cap2",
        "encoder": {"name": "blank", "fingerprint": "blank", "dim": 1}, "policy": "bc_mlp", "num_demos": 10, "seed": 0,
        "eval": evaluation, "eval_max": None, "wall_time_s": {"demos": 1, "embed": 0.5, "train": 2.0, "eval": 3.0},
        "versions": runs.versions(), "render_fingerprint": "abc", "git_commit": None,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["..", "/", "a/../../b", "x" * 500, "~root", ""])
def test_no_encoder_name_leaves_its_folder(name: str) -> None:
    safe = runs.path_safe(name)
    assert Path(safe).name == safe
    assert safe not in ("", ".", "..")
    assert len(safe) <= 100


def test_a_killed_run_knows_what_it_has_finished(tmp_path: Path) -> None:
    config, folder = make_config(tmp_path), tmp_path / "run"
    with Run(folder).open(config):
        pass
    first = Run(folder)
    with first.open(config):
        first.require("encoder", "abc")
        first.finish("demos", 1.234)
    again = Run(folder)
    with again.open(config):
        assert again.finished("demos")
        assert not again.finished("train")
        assert again.seconds == {"demos": 1.23}
        again.require("encoder", "abc")
        with pytest.raises(UserError, match="encoder fingerprint abc there, def here"):
            again.require("encoder", "def")


def test_where_and_how_fast_may_change_but_not_what(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run(folder).open(make_config(tmp_path)):
        pass
    before = (folder / "config.yaml").read_text()
    with Run(folder).open(make_config(tmp_path, "num_workers=7", "videos=9", "data_dir=elsewhere")):
        pass
    for option, difference in {
        "num_demos=7": "num_demos=100 there, 7 here",
        "task=knob": 'task="microwave" there, "knob" here',
        "+policy.extra=1": "policy.extra=nothing there, 1 here",
        "policy.norm=batchnorm": 'policy.norm="standardize" there, "batchnorm" here',
    }.items():
        message = re.escape(f"belongs to another configuration ({difference}): choose run_dir=")
        with pytest.raises(UserError, match=message), Run(folder).open(make_config(tmp_path, option)):
            pass
    assert (folder / "config.yaml").read_text() == before


def test_a_folder_that_is_no_run_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious.txt").write_text("x")
    with (
        pytest.raises(UserError, match=r"holds precious\.txt but is not a run"),
        Run(tmp_path).open(make_config(tmp_path)),
    ):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["precious.txt"]
    with pytest.raises(UserError, match="is not a folder"), Run(tmp_path / "precious.txt").open(make_config(tmp_path)):
        pass


OPEN = """
import sys
from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.stages import Run
try:
    with Run(sys.argv[1]).open(load_config("train_bc", [sys.argv[2]])):
        print("opened")
except UserError as error:
    print(error)
"""


def open_elsewhere(folder: Path, override: str) -> str:
    """Open a run in another process, and return what came of it."""
    command = [sys.executable, "-c", OPEN, str(folder), override]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180).stdout


def test_only_one_process_at_a_time(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with Run(folder).open(make_config(tmp_path)):
        assert "another process writes a run" in open_elsewhere(folder, f"runs_dir={tmp_path}")
    assert open_elsewhere(folder, f"runs_dir={tmp_path}") == "opened\n"


@pytest.mark.parametrize("text", ["", "a: [", "seed: 1", "- 1"])
def test_a_damaged_config_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError) as caught:
        runs.read_config(tmp_path)
    assert str(tmp_path / "config.yaml") in str(caught.value)


def test_a_damaged_progress_file_is_said_to_be(tmp_path: Path) -> None:
    with Run(tmp_path / "run").open(make_config(tmp_path)):
        (tmp_path / "run" / ".progress.json").write_text("[1")
    with pytest.raises(UserError, match="damaged"), Run(tmp_path / "run").open(make_config(tmp_path)):
        pass


def test_result_round_trip(tmp_path: Path) -> None:
    result = make_result()
    runs.write_result(tmp_path, result)
    assert runs.read_result(tmp_path) == result
    result["eval_max"] = {**result["eval"], "checkpoint": "step 500"}
    runs.write_result(tmp_path, result)
    assert runs.read_result(tmp_path) == result


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("schema", 2, "schema 1"),
        ("task", 3, "'task' is 3, of the wrong type"),
        ("encoder.dim", None, "'encoder.dim' is null"),
        ("encoder", "blank", "'encoder' is"),
        ("seed", True, "'seed' is true"),
        ("eval.outcomes", [True], "4 episodes, 1 outcomes"),
        ("eval.outcomes", [1, 1, 0, 1], "true or false"),
        ("eval.successes", 4, "a rate that its outcomes do not have"),
        ("eval.success_rate", 0.9, "a rate that its outcomes do not have"),
        ("eval_max", {"episodes": 4}, "'eval_max.checkpoint' is missing"),
        ("wall_time_s.eval", "long", "'wall_time_s.eval'"),
    ],
)
def test_a_result_that_is_not_exactly_right_is_refused(tmp_path: Path, path: str, value: Any, message: str) -> None:
    result = copy.deepcopy(make_result())
    *parents, last = path.split(".")
    target = result
    for parent in parents:
        target = target[parent]
    target[last] = value
    with pytest.raises(UserError, match="re"):
        runs.write_result(tmp_path, result)
    (tmp_path / "result.json").write_text(json.dumps(result))
    with pytest.raises(UserError) as caught:
        runs.read_result(tmp_path)
    assert message in str(caught.value)


def test_a_missing_or_broken_result_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has not finished"):
        runs.read_result(tmp_path)
    (tmp_path / "result.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match="cannot be read"):
        runs.read_result(tmp_path)

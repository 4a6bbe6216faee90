"""Evaluating a run again gives what it recorded, and leaves it as it is."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from egorobot import evaluate as module
from egorobot.errors import UserError
from egorobot.evaluate import check_rendering, compare, describe, evaluate, evaluation_seeds
from egorobot.runs import check_result, read_result


def test_again_it_is_as_recorded_with_another_number_of_workers(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished_run.rglob("*") if path.is_file()}
    out = tmp_path / "again.json"
    monkeypatch.setattr(sys, "argv", ["evaluate", f"run={finished_run}", "episodes=4", "num_workers=2", f"out={out}"])
    module.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[-3] == describe(read_result(finished_run), read_result(finished_run)["eval"])
    assert lines[-2] == "as recorded in 4 of 4 episodes evaluated before"
    assert lines[-1] == str(out)
    result = json.loads(out.read_text())
    check_result(result, out)
    assert result["eval"] == read_result(finished_run)["eval"]
    assert {path: path.stat().st_mtime_ns for path in finished_run.rglob("*") if path.is_file()} == before


def test_comparisons_name_what_differs() -> None:
    recorded = {"episode_seeds": [1, 2, 3], "outcomes": [True, False, True]}
    other = {"episode_seeds": [2, 3, 4], "outcomes": [False, False, True]}
    assert compare(recorded, other) == "as recorded in 1 of 2 episodes evaluated before; not so: 3"


def test_the_line_that_a_person_reads() -> None:
    result = {"task": "microwave", "encoder": {"name": "egovideo_nano"}, "policy": "bc_mlp"}
    evaluation = {"successes": 41, "episodes": 50, "success_rate": 0.82, "ci95": [0.692, 0.902]}
    expected = "microwave / egovideo_nano / bc_mlp: success 41/50 = 82 % [69, 90] (95 % Wilson)"
    assert describe(result, evaluation) == expected


def test_a_folder_that_is_no_finished_run_is_one_line(finished_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        evaluate(tmp_path)
    copy = shutil.copytree(finished_run, tmp_path / "run")
    with pytest.raises(UserError, match="episodes=0"):
        evaluate(copy, episodes=0)
    content = (copy / "policy.pth").read_bytes()
    (copy / "policy.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="damaged"):
        evaluate(copy)
    (copy / "policy.pth").unlink()
    with pytest.raises(UserError, match="no policy at"):
        evaluate(copy)
    (copy / "result.json").unlink()
    with pytest.raises(UserError, match="has not finished"):
        evaluate(copy)


def test_images_drawn_otherwise_are_refused() -> None:
    kwargs = {"protocol": "kitchen", "camera": "left_cap2", "image_size": 32, "render": "fast"}
    with pytest.raises(UserError, match="trained on images drawn unlike those here"):
        check_rendering(kwargs, "elsewhere", "policy.pth")
    check_rendering(kwargs | {"camera": None}, "elsewhere", "policy.pth")


def test_an_encoder_that_changed_is_refused(finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import egorobot_patches  # type: ignore[import-not-found]

    from egorobot.policies.core import matching_encoder

    matching_encoder.cache_clear()
    monkeypatch.setattr(egorobot_patches.Patches, "fingerprint", "retrained")
    with pytest.raises(UserError, match="not the one this policy was trained with"):
        evaluate(finished_run, episodes=1, num_workers=1)
    matching_encoder.cache_clear()


def test_seeds_of_demonstrations_are_no_measure() -> None:
    assert evaluation_seeds(2, 999_998) == [999_998, 999_999]
    with pytest.raises(UserError, match="demonstrations begin at seed 1000000"):
        evaluation_seeds(3, 999_998)

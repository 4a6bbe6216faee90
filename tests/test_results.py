"""The results that the repository reports are the leaderboard of the runs that it keeps."""

from pathlib import Path

from egorobot.leaderboard import build_leaderboard, read_results

RESULTS = Path(__file__).parents[1] / "results"


def test_the_report_is_the_leaderboard_of_the_results(tmp_path: Path) -> None:
    written = build_leaderboard(RESULTS, tmp_path)
    assert written.read_bytes() == (RESULTS / "RESULTS.md").read_bytes()


def test_encoders_are_reported_on_all_tasks_with_the_last_checkpoint() -> None:
    results = read_results(RESULTS)
    assert {result["eval"]["checkpoint"] for result in results} == {"last"}
    tasks: dict[str, set[str]] = {}
    for result in results:
        tasks.setdefault(result["encoder"]["name"], set()).add(result["task"])
    assert {"egovideo_nano", "random_vit", "random_egovideo", "thumbnail", "blank", "state"} <= tasks.keys()
    assert all(found == {"microwave", "knob", "door"} for found in tasks.values())

"""The results that the repository reports are the leaderboard of the runs that it keeps."""

from pathlib import Path

from egorobot.leaderboard import build_leaderboard, read_results

RESULTS = Path(__file__).parents[1] / "results"
TASKS = {"kitchen": {"microwave", "knob", "door"}, "r3m": {"microwave", "knob", "slide", "light"}}


def test_the_report_is_the_leaderboard_of_the_results(tmp_path: Path) -> None:
    written = build_leaderboard(RESULTS, tmp_path)
    assert written.read_bytes() == (RESULTS / "RESULTS.md").read_bytes()


def test_encoders_are_reported_on_all_tasks_with_the_last_checkpoint() -> None:
    results = read_results(RESULTS)
    assert {result["eval"]["checkpoint"] for result in results} == {"last"}
    tasks: dict[tuple[str, str], set[str]] = {}
    for result in results:
        tasks.setdefault((result["protocol"], result["encoder"]["name"]), set()).add(result["task"])
    encoders = {encoder for protocol, encoder in tasks if protocol == "kitchen"}
    assert {"egovideo_nano", "random_vit", "random_egovideo", "thumbnail", "blank", "state"} <= encoders
    assert all(found == TASKS[protocol] for (protocol, _), found in tasks.items())

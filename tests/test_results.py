"""The results that the repository reports are the leaderboard of the runs that it keeps."""

from pathlib import Path

from egorobot.comparisons import make_comparisons
from egorobot.leaderboard import Row, build_leaderboard, make_rows, read_results
from egorobot.leaderboard_words import interval_words, percent, points

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
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
    end_to_end = tasks.pop(("kitchen", "end_to_end"), {"microwave"})
    assert end_to_end == {"microwave"}  # two cores take a quarter of an hour for a thousand steps
    assert all(found == TASKS[protocol] for (protocol, _), found in tasks.items())


def table_of_readme(first_column: str) -> list[list[str]]:
    """Return the rows of the table of README whose header begins so, their cells without backticks."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    rows = [line for line in lines[start : lines.index("", start)] if not line.startswith("|---")]
    return [[cell.strip().replace("`", "") for cell in row.strip("|").split("|")] for row in rows]


def main_rows() -> dict[str, Row]:
    """Return the rows that README's tables are about, by encoder."""
    rows = make_rows(read_results(RESULTS))
    return {
        row.key.encoder: row
        for row in rows
        if (row.key.protocol, row.key.num_demos, row.key.policy) == ("kitchen", 100, "bc_mlp")
    }


def test_rates_in_readme_are_those_of_the_results() -> None:
    rows = main_rows()
    (_, _, *tasks, _), *told = table_of_readme("encoder | seeds x episodes")
    assert {name.split()[0] for name, *_ in told} == rows.keys()
    for name, _, *cells, mean in told:
        row = rows[name.split()[0]]
        expected = [f"{percent(row.cells[t].mean)} {interval_words(row.cells[t].ci95)}" for t in tasks]
        assert [*cells, mean] == [*expected, f"{percent(row.mean)} {interval_words(row.summary.mean_ci95)}"], name


def test_comparisons_in_readme_are_those_of_the_results() -> None:
    rows = list(main_rows().values())
    _, *told = table_of_readme("A | B")
    assert len(told) > 5
    for a, b, _, pairs, difference, p in told:
        (comparison,) = make_comparisons(rows, [(a, b)])
        assert comparison.overall is not None
        paired = comparison.overall.paired
        assert paired.ci95 is not None and paired.p is not None
        low, high = (f"{100 * end:.1f}" for end in paired.ci95)
        assert int(pairs) == comparison.overall.counts.pairs
        assert difference == f"{points(paired.difference)} [{low}, {high}]", (a, b)
        assert p == ("< 0.001" if paired.p < 0.001 else f"{paired.p:.3f}"), (a, b)

"""Learning curves join rows that differ in demonstrations only, on tasks that all of them have."""

from typing import Any

import pytest

from egorobot.leaderboard_rows import make_rows, summarize_results
from egorobot.learning_curves import make_learning_curves


def make_run(successes: int, num_demos: int, encoder: str = "a", **changes: Any) -> dict[str, Any]:
    run = {
        "task": "microwave",
        "protocol": "kitchen",
        "camera": "left_cap2",
        "encoder": {"name": encoder, "fingerprint": "ffff", "dim": 192},
        "policy": "bc_mlp",
        "num_demos": num_demos,
        "seed": 0,
        "eval": {
            "episodes": 50,
            "successes": successes,
            "success_rate": successes / 50,
            "episode_seeds": list(range(50)),
            "outcomes": [k < successes for k in range(50)],
        },
        "eval_max": None,
        "render_fingerprint": "cccc",
    }
    return run | changes


def test_points_are_on_the_tasks_that_all_have() -> None:
    """The knob at 100 demonstrations is in the leaderboard's mean, but would make the curve rise by an easier task."""
    runs = [make_run(40, 100), make_run(50, 100, task="knob"), make_run(10, 10), make_run(20, 10, seed=1)]
    (curve,) = make_learning_curves(make_rows(runs))
    assert curve.tasks == ("microwave",)
    assert {n: point.mean for n, point in curve.points.items()} == pytest.approx({10: 0.3, 100: 0.8})
    assert list(curve.points) == [10, 100]
    assert {n: point.single_seed for n, point in curve.points.items()} == {10: False, 100: True}
    assert curve.points[10].ci95 == summarize_results([runs[2:]]).mean_ci95


@pytest.mark.parametrize("other", [{"protocol": "r3m"}, {"policy": "bc_gmm"}, {"encoder": "b"}, {"task": "knob"}])
def test_rows_that_differ_otherwise_make_no_curve(other: dict[str, Any]) -> None:
    assert make_learning_curves(make_rows([make_run(40, 100), make_run(20, 25, **other)])) == []


def test_a_curve_wants_two_points() -> None:
    assert make_learning_curves(make_rows([make_run(40, 100), make_run(30, 100, encoder="b")])) == []


def test_curves_are_ordered_by_where_they_end() -> None:
    runs = [make_run(good, n, e) for e, n, good in [("a", 10, 9), ("a", 100, 20), ("b", 10, 5), ("b", 100, 40)]]
    assert [curve.key.encoder for curve in make_learning_curves(make_rows(runs))] == ["b", "a"]

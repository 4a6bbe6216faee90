"""Comparisons pair what belongs together, count it rightly and say what cannot be compared."""

from collections.abc import Sequence
from typing import Any

import pytest
from scipy.stats import binomtest

from egorobot.comparisons import check_pairs, compare_rows, make_comparisons
from egorobot.errors import UserError
from egorobot.leaderboard_rows import Row, make_rows


def make_run(encoder: str, outcomes: Sequence[bool], first_episode: int = 0, **changes: Any) -> dict[str, Any]:
    run = {
        "task": "microwave",
        "protocol": "kitchen",
        "camera": "left_cap2",
        "encoder": {"name": encoder, "fingerprint": f"weights of {encoder}", "dim": 192},
        "policy": "bc_mlp",
        "num_demos": 100,
        "seed": 0,
        "eval": {
            "episodes": len(outcomes),
            "successes": sum(outcomes),
            "success_rate": sum(outcomes) / len(outcomes),
            "episode_seeds": [first_episode + k for k in range(len(outcomes))],
            "outcomes": list(outcomes),
        },
        "eval_max": None,
        "render_fingerprint": "cccc",
    }
    return run | changes


def solved(*ranges: range, episodes: int = 50) -> list[bool]:
    return [any(k in r for r in ranges) for k in range(episodes)]


def two_rows(*runs: dict[str, Any]) -> tuple[Row, Row]:
    a, b = sorted(make_rows(runs), key=lambda row: row.key.encoder)
    return a, b


def names(rows: Sequence[Row], pairs: Sequence[Sequence[str]] = ()) -> list[tuple[str, str]]:
    return [(c.a.encoder, c.b.encoder) for c in make_comparisons(rows, pairs)]


def test_pairs_are_counted_by_task_and_over_all() -> None:
    """Seeds are pooled within a task; over all tasks the tasks' differences weigh alike."""
    comparison = compare_rows(
        *two_rows(
            make_run("a", solved(range(30))),
            make_run("b", solved(range(20, 40))),
            make_run("a", solved(range(25)), seed=1),
            make_run("b", solved(range(10)), seed=1),
            make_run("a", solved(range(5), episodes=10), task="knob"),
            make_run("b", solved(range(0), episodes=10), task="knob"),
        )
    )
    microwave, knob = comparison.tasks["microwave"], comparison.tasks["knob"]
    assert (microwave.counts.pairs, microwave.counts.only_a, microwave.counts.only_b) == (100, 35, 10)
    assert microwave.counts.seeds == (0, 1)
    assert (microwave.counts.rate_a, microwave.counts.rate_b) == (pytest.approx(0.55), pytest.approx(0.3))
    assert microwave.p == pytest.approx(binomtest(10, 45).pvalue)
    assert knob.p == pytest.approx(2 * 0.5**5)
    assert comparison.overall is not None
    counts, paired = comparison.overall.counts, comparison.overall.paired
    assert (counts.pairs, counts.only_a, counts.only_b) == (110, 40, 10)
    assert paired.difference == pytest.approx((0.25 + 0.5) / 2)
    assert paired.difference == pytest.approx(counts.rate_a - counts.rate_b)
    assert paired.single_seed


def test_only_the_same_task_training_seed_and_evaluation_seed_are_paired() -> None:
    """Of 50 episodes of one and 20 of the other, starting 40 later, 10 are shared; other seeds and tasks are not."""
    comparison = compare_rows(
        *two_rows(
            make_run("a", solved(range(40, 50))),
            make_run("b", solved(range(2), episodes=20), first_episode=40),
            make_run("a", solved(), seed=1),
            make_run("b", solved(), seed=2),
            make_run("b", solved(), task="door"),
        )
    )
    assert list(comparison.tasks) == ["microwave"]
    counts = comparison.tasks["microwave"].counts
    assert (counts.pairs, counts.seeds, counts.only_a, counts.only_b) == (10, (0,), 8, 0)
    assert (counts.rate_a, counts.rate_b) == (1.0, pytest.approx(0.2))


def test_swapped_rows_give_the_opposite() -> None:
    a, b = two_rows(
        *(make_run("a", solved(range(30 + 3 * s)), seed=s) for s in range(3)),
        *(make_run("b", solved(range(20 - s, 42)), seed=s) for s in range(3)),
    )
    forth, back = compare_rows(a, b), compare_rows(b, a)
    assert forth.overall is not None and back.overall is not None
    assert forth.overall.paired.difference == -back.overall.paired.difference
    assert forth.overall.paired.p == back.overall.paired.p is not None
    assert forth.overall.detectable == pytest.approx(back.overall.detectable)
    assert forth.tasks["microwave"].p == back.tasks["microwave"].p
    assert forth.tasks["microwave"].counts.only_a == back.tasks["microwave"].counts.only_b > 0


def test_rows_without_a_shared_run_are_said_to_have_none() -> None:
    comparison = compare_rows(*two_rows(make_run("a", solved()), make_run("b", solved(), seed=1)))
    assert (comparison.tasks, comparison.overall) == ({}, None)


def test_differently_rendered_runs_are_told() -> None:
    rows = two_rows(make_run("a", solved()), make_run("b", solved(), render_fingerprint="dddd"))
    assert compare_rows(*rows).tasks["microwave"].render_fingerprints == ("cccc", "dddd")


def test_each_row_is_compared_with_the_controls_of_its_group() -> None:
    """The untrained ones where there are any, else blank; and the shipped encoder.

    A group without any of them has nothing to compare with.
    """
    rows = make_rows(
        [
            *(make_run(encoder, solved(range(n))) for encoder, n in (("a", 40), ("random_vit", 20), ("blank", 5))),
            *(make_run(encoder, solved(range(n)), num_demos=25) for encoder, n in (("a", 30), ("blank", 2))),
            *(make_run(encoder, solved(range(n)), protocol="r3m") for encoder, n in (("a", 30), ("b", 20))),
        ]
    )
    assert names(rows) == [("a", "blank"), ("a", "random_vit"), ("blank", "random_vit")]
    untrained = [make_run(name, solved(range(20))) for name in ("a", "random_vit", "random_egovideo")]
    assert names(make_rows(untrained)) == [("a", "random_vit"), ("a", "random_egovideo")]
    shipped = [*untrained[:2], make_run("egovideo_nano", solved(range(30)))]
    assert names(make_rows(shipped)) == [("egovideo_nano", "random_vit"), ("a", "random_vit"), ("a", "egovideo_nano")]


@pytest.mark.parametrize("other", [{"protocol": "r3m"}, {"policy": "bc_gmm"}, {"num_demos": 25}, {"camera": "top"}])
def test_rows_that_differ_in_more_than_the_encoder_are_not_compared(other: dict[str, Any]) -> None:
    rows = make_rows([make_run("a", solved()), make_run("random_vit", solved(), **other)])
    assert names(rows) == []
    with pytest.raises(UserError, match="no rows of a and random_vit differ in nothing but the encoder"):
        make_comparisons(rows, [("a", "random_vit")])


def test_named_pairs_are_compared_in_that_order_and_no_others() -> None:
    rows = make_rows([make_run(encoder, solved(range(20))) for encoder in ("a", "b", "c", "random_vit")])
    assert names(rows, [("c", "a"), ("a", "b")]) == [("c", "a"), ("a", "b")]


def test_an_unknown_name_is_one_line() -> None:
    rows = make_rows([make_run(encoder, solved(range(20))) for encoder in ("a", "b")])
    with pytest.raises(UserError, match=r"^compare: no run has the encoder 'd': name two of a, b$"):
        make_comparisons(rows, [("a", "d")])


def test_the_option_is_a_list_of_pairs() -> None:
    assert check_pairs([["a", "b"], ["c", "a"]]) == [("a", "b"), ("c", "a")]
    assert check_pairs([]) == []


@pytest.mark.parametrize("value", ["a", None, ["a", "b"], [["a"]], [["a", "b", "c"]], [["a", 3]]])
def test_another_option_is_refused(value: Any) -> None:
    with pytest.raises(UserError, match="pairs are needed"):
        check_pairs(value)


def test_an_encoder_is_not_compared_with_itself() -> None:
    with pytest.raises(UserError, match="a with itself"):
        check_pairs([["a", "a"]])

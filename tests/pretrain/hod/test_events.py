"""Events: what hands do, when, and which way."""

from collections.abc import Callable

import numpy as np
import pytest

from egorobot.pretrain.hod.events import MIN_MOVE, Event, find_events, place_words
from egorobot.pretrain.samples import HandObjectTracks

RATE = 2.0  # Hz
STILL = [(0.2, 0.2)] * 4


def summary(tracks: HandObjectTracks) -> list[tuple[str, str, float, float, list[str]]]:
    return [(e.side, e.kind, e.start, e.end, e.directions()) for e in find_events(tracks, RATE, "cup")]


def test_a_thing_that_is_fetched_is_reached_for_taken_carried_and_released(carrying: HandObjectTracks) -> None:
    right = [event for event in summary(carrying) if event[0] == "right"]
    assert right == [
        ("right", "reach", 0.0, 1.0, ["to the left"]),
        ("right", "take", 1.0, 1.0, []),
        ("right", "carry", 1.0, 2.0, ["up"]),
        ("right", "release", 2.0, 2.0, []),
        ("right", "withdraw", 2.0, 2.5, ["to the right"]),
    ]
    assert ("left", "move", 0.0, 2.5, ["down"]) in summary(carrying)
    nouns = {event.kind: event.noun for event in find_events(carrying, RATE, "cup")}
    assert nouns["carry"] == nouns["reach"] == "cup" and nouns["move"] == ""


def test_events_come_in_order_of_time(carrying: HandObjectTracks) -> None:
    starts = [event.start for event in find_events(carrying, RATE, "cup")]
    assert starts == sorted(starts)


def test_backwards_everything_is_the_other_way_round(carrying: HandObjectTracks) -> None:
    right = [event[1::3] for event in summary(carrying.reversed()) if event[0] == "right"]
    assert right == [
        ("reach", ["to the left"]), ("take", []), ("carry", ["down"]), ("release", []), ("withdraw", ["to the right"]),
    ]  # fmt: skip


def test_the_mirror_exchanges_hands_and_ways(carrying: HandObjectTracks) -> None:
    mirrored = [(e[0], e[1], e[4]) for e in summary(carrying.mirrored())]
    assert ("left", "reach", ["to the right"]) in mirrored
    assert ("right", "move", ["down"]) in mirrored


def test_a_hand_that_holds_still_holds(make_tracks: Callable[..., HandObjectTracks]) -> None:
    tracks = make_tracks([None] * 4, [(0.5, 0.5), (0.5, 0.52), (0.5, 0.5), (0.5, 0.51)], [(0.5, 0.5)] * 4, [1] * 4)
    assert summary(tracks) == [("right", "hold", 0.0, 1.5, [])]


def test_what_is_hardly_a_move_is_none(make_tracks: Callable[..., HandObjectTracks]) -> None:
    right = [(0.5 + 0.9 * MIN_MOVE * i / 3, 0.5) for i in range(4)]
    assert summary(make_tracks(STILL, right, [None] * 4, [0] * 4)) == []


def test_a_hand_out_of_view_does_nothing_meanwhile(make_tracks: Callable[..., HandObjectTracks]) -> None:
    right = [(0.2, 0.5), (0.4, 0.5), None, None, (0.9, 0.5), (0.7, 0.5)]
    tracks = make_tracks([None] * 6, right, [None] * 6, [0] * 6)
    assert summary(tracks) == [
        ("right", "move", 0.0, 0.5, ["to the right"]),
        ("right", "move", 2.0, 2.5, ["to the left"]),
    ]


@pytest.mark.parametrize(("ends", "kind"), [((0.3, 0.7), "approach"), ((0.7, 0.3), "part")])
def test_hands_come_nearer_or_part(
    make_tracks: Callable[..., HandObjectTracks], ends: tuple[float, float], kind: str
) -> None:
    gaps = [ends[1], 0.5, 0.5, ends[0]]
    tracks = make_tracks([(0.1, 0.5)] * 4, [(0.1 + gap, 0.5) for gap in gaps], [None] * 4, [0] * 4)
    assert ("both", kind, 0.0, 1.5, []) in summary(tracks)


def test_directions_name_the_larger_part_first_and_small_ones_not_at_all() -> None:
    def ways(right: float, down: float) -> list[str]:
        return Event("move", "left", 0, 1, "", (0.5, 0.5), (0.5 + right, 0.5 + down)).directions()

    assert ways(0.2, -0.15) == ["to the right", "up"]
    assert ways(-0.1, 0.2) == ["down", "to the left"]
    assert ways(-0.05, 0.2) == ["down"]


def test_places_are_thirds_of_the_image() -> None:
    assert [place_words((x, x)) for x in (0.0, 0.5, 1.0)] == ["upper left", "centre", "lower right"]
    assert place_words((0.5, 0.1)) == "upper centre"


def test_what_comes_into_view_in_a_hand_is_not_seen_to_be_taken(make_tracks: Callable[..., HandObjectTracks]) -> None:
    right = [None, None, (0.5, 0.6), (0.5, 0.4), None]
    tracks = make_tracks([None] * 5, right, [(0.5, 0.5)] * 2 + [(0.5, 0.6), (0.5, 0.4), (0.5, 0.4)], [0, 0, 1, 1, 0])
    assert [event[1] for event in summary(tracks)] == ["carry"]


def test_what_turns_round_is_told_as_two(make_tracks: Callable[..., HandObjectTracks]) -> None:
    way = [(0.3, 0.5), (0.5, 0.5), (0.7, 0.5), (0.5, 0.5), (0.3, 0.5)]
    carry = summary(make_tracks([None] * 5, way, way, [1] * 5))
    assert carry == [
        ("right", "carry", 0.0, 1.0, ["to the right"]),
        ("right", "carry", 1.0, 2.0, ["to the left"]),
    ]
    free = summary(make_tracks([None] * 5, way, [None] * 5, [0] * 5))
    assert [(event[1], event[4]) for event in free] == [("move", ["to the right"]), ("move", ["to the left"])]


def test_there_and_back_between_other_events(make_tracks: Callable[..., HandObjectTracks]) -> None:
    right = [(0.9, 0.5), (0.5, 0.5), (0.5, 0.3), (0.5, 0.1), (0.5, 0.3), (0.5, 0.5), (0.9, 0.5)]
    thing = [(0.5, 0.5), *right[1:6], (0.5, 0.5)]
    events = summary(make_tracks([None] * 7, right, thing, [0, 1, 1, 1, 1, 1, 0]))
    assert [event[1] for event in events] == ["reach", "take", "carry", "carry", "release", "withdraw"]
    assert [event[4] for event in events if event[1] == "carry"] == [["up"], ["down"]]


def test_back_and_forth_is_told_turn_by_turn(make_tracks: Callable[..., HandObjectTracks]) -> None:
    way = [(x, 0.5) for x in (0.2, 0.4, 0.6, 0.4, 0.3, 0.5, 0.7)]
    assert [event[4] for event in summary(make_tracks([None] * 7, way, [None] * 7, [0] * 7))] == [
        ["to the right"], ["to the left"], ["to the right"],
    ]  # fmt: skip


def test_an_arc_or_a_corner_is_one_move(make_tracks: Callable[..., HandObjectTracks]) -> None:
    arc = [(0.1 + 0.1 * i, 0.5 - 0.01 * i * (8 - i)) for i in range(9)]
    corner = [(0.2, 0.8), (0.2, 0.6), (0.2, 0.4), (0.4, 0.4), (0.6, 0.4)]
    for way in (arc, corner):
        assert len(summary(make_tracks([None] * len(way), way, [None] * len(way), [0] * len(way)))) == 1


@pytest.mark.parametrize("seed", range(10))
def test_jitter_turns_nothing_round(make_tracks: Callable[..., HandObjectTracks], seed: int) -> None:
    rng = np.random.default_rng(seed)
    way = [(0.2 + 0.02 * i + rng.normal(0, 0.008), 0.5 + rng.normal(0, 0.008)) for i in range(30)]
    tracks = make_tracks([None] * 30, way, [None] * 30, [0] * 30)
    assert [event.directions() for event in find_events(tracks, 10.0, "cup")] == [["to the right"]]


def test_the_same_again_after_a_moment_out_of_view_is_told_once(make_tracks: Callable[..., HandObjectTracks]) -> None:
    right = [(0.2, 0.3), (0.2, 0.5), None, (0.2, 0.6), (0.2, 0.8)]
    assert summary(make_tracks([None] * 5, right, [None] * 5, [0] * 5)) == [("right", "move", 0.0, 2.0, ["down"])]


def test_a_thing_that_is_hidden_meanwhile_turns_where_the_hand_does(
    make_tracks: Callable[..., HandObjectTracks],
) -> None:
    right = [(x, 0.5) for x in (0.3, 0.5, 0.7, 0.5, 0.3)]
    events = summary(make_tracks([None] * 5, right, [right[0], None, None, None, right[-1]], [1] * 5))
    assert [event[4] for event in events] == [["to the right"], ["to the left"]]

"""The check of captions: true ones pass, however they are put; one planted error of any kind is found."""

from collections.abc import Callable

import pytest

from egorobot.pretrain.hod.events import find_events
from egorobot.pretrain.hod.faithfulness import find_faults
from egorobot.pretrain.hod.sentences import caption
from egorobot.pretrain.samples import HandObjectTracks


def kinds(text: str, tracks: HandObjectTracks) -> set[str]:
    return {fault.kind for fault in find_faults(text, find_events(tracks, 2.0, "cup"), ["cup"])}


@pytest.mark.parametrize(
    "text",
    [
        "The right hand reaches for the cup, picks it up and lifts it. Meanwhile the left hand moves down.",
        "With the right hand, C reaches leftwards, grabs the cup and raises it upwards; then it lets go.",
        "The left hand goes down while the right hand carries the cup up; then it lets go.",
        "The right hand draws back to the right, and the other hand moves down.",
        "The right hand moves the cup from the centre to the upper centre.",
        "Cooking goes on.",
        "",
    ],
)
def test_true_captions_pass(carrying: HandObjectTracks, text: str) -> None:
    assert kinds(text, carrying) == set()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The left hand reaches for the cup.", "side"),
        ("The right hand moves the cup down.", "direction"),
        ("The right hand lowers the cup.", "direction"),
        ("The right hand reaches to the right for the cup.", "direction"),
        ("The right hand lets go of the cup, then lifts it.", "order"),
        ("The right hand carries the cup up, then takes it.", "order"),
        ("The right hand lifts the knife.", "object"),
        ("The right hand puts the cup up on a shelf.", "object"),
        ("The two hands come together.", "action"),
    ],
)
def test_a_fault_is_found_and_named(carrying: HandObjectTracks, text: str, kind: str) -> None:
    assert kind in kinds(text, carrying)


def test_the_reason_says_what_was_seen(carrying: HandObjectTracks) -> None:
    (fault,) = find_faults("The right hand lowers the cup.", find_events(carrying, 2.0, "cup"), ["cup"])
    assert "it went up" in fault.reason


def test_words_of_names_are_no_directions(carrying: HandObjectTracks) -> None:
    events = find_events(carrying, 2.0, "left cabinet door")
    assert not find_faults("the right hand lifts the left cabinet door", events, ["left cabinet door"])


@pytest.mark.parametrize("kind", ["side", "direction", "order", "object"])
def test_planted_errors_are_found(carrying: HandObjectTracks, spoil: Callable[[str, str, str], str], kind: str) -> None:
    for tracks in (carrying, carrying.reversed(), carrying.mirrored()):
        text = caption(find_events(tracks, 2.0, "cup"))
        assert not kinds(text, tracks)
        spoilt = spoil(kind, text, "cup")
        assert spoilt != text and kinds(spoilt, tracks)


def test_words_of_the_narration_may_be_named_and_hide_nothing(carrying: HandObjectTracks) -> None:
    events = find_events(carrying, 2.0, "cup")
    words = ["picks", "up", "the", "cup", "left", "hand", "shelf"]
    assert not find_faults("the right hand lifts the cup from the shelf", events, ["cup"], words)
    assert find_faults("the right hand lifts the cup from the shelf", events, ["cup"])
    assert [fault.kind for fault in find_faults("the left hand picks up the cup", events, ["cup"], words)] == ["side"]

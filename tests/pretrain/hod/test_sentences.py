"""Template captions: everything that happened, in order, and nothing else."""

from egorobot.pretrain.hod.events import Event, find_events
from egorobot.pretrain.hod.faithfulness import find_faults
from egorobot.pretrain.hod.sentences import caption
from egorobot.pretrain.samples import HandObjectTracks


def test_a_caption_tells_each_hand_in_order(carrying: HandObjectTracks) -> None:
    assert caption(find_events(carrying, 2.0, "cup")) == (
        "the right hand reaches to the left for the cup, takes it, "
        "moves it up from the centre to the upper centre, lets go of it, "
        "then draws back to the right from it; the left hand moves down; the two hands move apart."
    )


def test_nothing_is_said_of_nothing() -> None:
    assert caption([]) == ""


def test_what_is_done_again_after_a_moment_out_of_view_is_told_once() -> None:
    events = [
        Event("move", "left", 0, 1, "", (0.2, 0.3), (0.2, 0.5)),
        Event("move", "left", 2, 3, "", (0.2, 0.1), (0.2, 0.25)),
        Event("hold", "right", 0, 1, "cup", (0.5, 0.5), (0.5, 0.5)),
        Event("hold", "right", 2, 3, "cup", (0.7, 0.5), (0.7, 0.5)),
    ]
    assert caption(events) == "the right hand holds the cup still; the left hand moves down."
    assert not find_faults(caption(events), events, ["cup"])

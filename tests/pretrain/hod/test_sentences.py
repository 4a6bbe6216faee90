"""Template captions: everything that happened, in order, and nothing else."""

from egorobot.pretrain.hod.events import find_events
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

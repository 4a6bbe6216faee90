"""Names of things in narrations."""

import pytest

from egorobot.pretrain.hod.narrations import UNNAMED, object_name, words_of


@pytest.mark.parametrize(
    ("narration", "name"),
    [
        ("#C C handles the top left burner", "top left burner"),
        ("#C C takes a knife from the table with her hand", "knife"),
        ("Chef preparing a sauce in a blender, adding ingredients.", "sauce"),
        ("#C C lifts his hand", UNNAMED),
        ("the hands of an experienced baker skillfully kneading bread dough", UNNAMED),
        ("#C C walks", UNNAMED),
        ("#C C turns to the left", UNNAMED),
        ("", UNNAMED),
        ("#C C puts the cup down", "cup"),
        ("#C C lifts the cup up with his hand", "cup"),
        ("#C C puts the knife back", "knife"),
        ("#C C pulls the drawer out again", "drawer"),
        ("#C C cuts the onion through the middle", "onion"),
        ("#C C pushes the chopping board aside", "chopping board"),
        ("#C C moves the wood forward", "wood"),
        ("#C C turns the wheel clockwise twice", "wheel"),
        ("#C C wipes the plate slowly", "plate"),
        ("#C C slides the drawer left", "drawer"),
        ("#C C pulls the left cabinet door open", "left cabinet door"),
        ("#C C opens the back cover", "back cover"),
        ("#C C presses the up button", "up button"),
        ("#C C opens the trash can", "trash can"),
        ("#C C eats the strawberry jelly", "strawberry jelly"),
        ("#C C takes the other", UNNAMED),
        ("#C C holds the two", UNNAMED),
        ("#C C picks the small one", UNNAMED),
        ("#C C takes the other cup", "other cup"),
        ("#O The man takes the cup up", "cup"),
        ("#C C gives her the cup", "cup"),
        ("#C C turns to the top left", UNNAMED),
    ],
)
def test_the_first_thing_with_an_article_is_what_a_narration_is_about(narration: str, name: str) -> None:
    assert object_name(narration) == name


def test_words_are_lower_case_and_without_marks() -> None:
    assert words_of("#C C cuts Bread, twice.") == ["cuts", "bread", "twice"]

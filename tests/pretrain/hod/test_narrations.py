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
    ],
)
def test_the_first_thing_with_an_article_is_what_a_narration_is_about(narration: str, name: str) -> None:
    assert object_name(narration) == name


def test_words_are_lower_case_and_without_marks() -> None:
    assert words_of("#C C cuts Bread, twice.") == ["cuts", "bread", "twice"]

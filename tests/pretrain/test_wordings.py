"""The text tower before training: it learns which captions say the same, from captions alone."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from egorobot.pretrain.augment import Augmentation
from egorobot.pretrain.batches import TrainingBatches, TrainingCorpus
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.model.text import vocabulary_of
from egorobot.pretrain.options import PretrainOptions
from egorobot.pretrain.samples import ClipWords
from egorobot.pretrain.wordings import DRAWN_TEXT_SHARE, draw_wordings, learn_wordings, text_steps

HANDS = ("left", "right")
THINGS = ("kettle", "microwave", "light", "knob", "cabinet", "door")


class SaidTwice:
    """Groups of two clips, of one thing and either hand, each said in two ways; nothing to see."""

    name, group_size, variants = "said twice", 2, ("original", "other hand")

    def __init__(self, ways: int = 2) -> None:
        self.ways = ways

    def __len__(self) -> int:
        return 2 * len(THINGS)

    def words(self, number: int) -> ClipWords:
        thing, hand = THINGS[number // 2], HANDS[number % 2]
        return ClipWords(
            ["#C C moves"], [f"the {hand} hand moves the {thing}", f"the {thing} is in the {hand} hand"][: self.ways]
        )


def model_for(corpus: SaidTwice, options: PretrainOptions) -> EgoVideo:
    captions = [caption for number in range(len(corpus)) for caption in corpus.words(number).hod]
    return EgoVideo(get_size("nano", **options.model, vocabulary=vocabulary_of(captions)), 0)


def batches_of(corpus: Any, hod_ratio: float = 0.5) -> TrainingBatches:
    training = TrainingCorpus(corpus, range(len(corpus)), augmentation=Augmentation(hod_ratio=hod_ratio))
    return TrainingBatches([training], 8, (32, 32), seed=0)


def test_both_captions_are_of_one_clip_and_of_the_same_kinds_in_a_group(two_corpora: list[TrainingCorpus]) -> None:
    said = {frozenset(s.corpus[number].captions) for s in two_corpora for number in s.clips}
    batches = TrainingBatches(two_corpora, 8, (32, 32), seed=0)
    orders = set()
    for step in range(6):
        words = draw_wordings(batches, step)
        assert len(words.first) == len(words.second) == len(words.groups) == 8
        assert words.first != words.second
        kinds: dict[int, set[bool]] = {}
        for first, second, group in zip(words.first, words.second, words.groups.tolist(), strict=True):
            assert frozenset((first, second)) in said
            kinds.setdefault(group, set()).add(first.startswith("the hand"))
        assert all(len(kind) == 1 for kind in kinds.values())
        orders |= {kind.pop() for kind in kinds.values()}
    assert orders == {True, False}


def test_wordings_are_a_function_of_seed_and_step(two_corpora: list[TrainingCorpus]) -> None:
    def draw(seed: int, step: int) -> list[str]:
        return draw_wordings(TrainingBatches(two_corpora, 8, (32, 32), seed), step).first

    assert draw(0, 3) == draw(0, 3) != draw(0, 4)
    assert draw(0, 3) != draw(1, 3)


def test_captions_of_hand_object_dynamics_are_enough_where_there_are_two() -> None:
    words = draw_wordings(batches_of(SaidTwice()), 0)
    assert not {"#C C moves"} & {*words.first, *words.second}
    single = draw_wordings(batches_of(SaidTwice(ways=1)), 0)
    assert all({"#C C moves"} & {*pair} for pair in zip(single.first, single.second, strict=True))


def test_captions_that_training_never_shows_are_not_learned_from() -> None:
    words = draw_wordings(batches_of(SaidTwice(), hod_ratio=0.0), 0)
    assert {*words.first, *words.second} == {"#C C moves"}


def test_clips_that_cannot_be_read_are_left_out(tiny_corpus: Any) -> None:
    corpus = tiny_corpus("singles", 8, bad=(2, 5))
    words = draw_wordings(batches_of(corpus), 0)
    assert len(words.first) == len(words.second) == len(words.groups) == 6


def test_other_wordings_come_near_and_other_hands_go_away(
    tiny_options: PretrainOptions,
) -> None:
    corpus = SaidTwice()
    model = model_for(corpus, tiny_options)
    before = {name: tensor.clone() for name, tensor in model.vision.state_dict().items()}
    options = replace(tiny_options, steps=60, text_share=1.0, precision="float32")

    def cosines() -> tuple[float, float]:
        with torch.no_grad():
            first, second = (
                model.encode_text([corpus.words(i).hod[way] for i in range(len(corpus))]) for way in range(2)
            )
        return (first * second).sum(1).mean().item(), (first[::2] * first[1::2]).sum(1).mean().item()

    same, other = cosines()
    assert other > same  # to a drawn tower one word is less than another order
    learn_wordings(model, batches_of(corpus), options, Ranks())
    same, other = cosines()
    assert same > 0.9 and other < 0.5
    assert all(tensor.equal(before[name]) for name, tensor in model.vision.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_nothing_is_learned_where_no_clip_has_two_captions(
    tiny_options: PretrainOptions,
) -> None:
    class SaidOnce(SaidTwice):
        def words(self, number: int) -> ClipWords:
            return ClipWords([], super().words(number).hod[:1])

    corpus = SaidOnce()
    model = model_for(corpus, tiny_options)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learn_wordings(model, batches_of(corpus), replace(tiny_options, precision="float32"), Ranks())
    assert all(tensor.equal(before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize(
    ("changes", "steps"),
    [
        ({}, round(200 * DRAWN_TEXT_SHARE)),
        ({"init": "some/folder"}, 0),
        ({"init": "some/folder", "text_share": 0.5}, 100),
        ({"text_share": 0.0}, 0),
    ],
)
def test_only_a_drawn_text_tower_learns_alone(
    changes: dict[str, Any], steps: int, tiny_options: PretrainOptions
) -> None:
    assert text_steps(replace(tiny_options, **{"steps": 200, "text_share": None, **changes})) == steps

"""The mixture of corpora: exact shares, whole epochs, any place by itself."""

from collections import Counter

import pytest

from egorobot.errors import UserError
from egorobot.pretrain.mixture import MixedClips, Mixture


def mixture(*parts: tuple[int, int, float], seed: int = 0) -> Mixture:
    """Mix corpora of so many clips, in groups of such a size, with such a weight."""
    return Mixture([MixedClips(f"c{i}", range(n), group, w) for i, (n, group, w) in enumerate(parts)], seed)


def test_shares_are_exact_after_any_number_of_slots() -> None:
    mixed = mixture((1000, 1, 0.5), (1000, 1, 0.3), (1000, 1, 0.2))
    counts: Counter[int] = Counter()
    for place, (corpus, _) in enumerate(mixed.clips(0, 1000), 1):
        counts[corpus] += 1
        assert all(abs(counts[i] - share * place) < 2 for i, share in enumerate((0.5, 0.3, 0.2)))
    assert [counts[i] for i in range(3)] == [500, 300, 200]


def test_shares_hold_for_clips_whatever_the_sizes_of_groups() -> None:
    mixed = mixture((1000, 1, 1), (1000, 4, 3))
    assert mixed.slot_size == 4
    assert Counter(corpus for corpus, _ in mixed.clips(0, 1600)) == {0: 400, 1: 1200}


def test_every_epoch_shows_every_clip_once_in_another_order_and_groups_together() -> None:
    mixed = mixture((20, 4, 1.0), (10, 1, 0.5))
    seen: dict[int, list[int]] = {0: [], 1: []}
    for corpus, number in mixed.clips(0, 120):
        seen[corpus].append(number)
    for corpus, size in ((0, 20), (1, 10)):
        epochs = [seen[corpus][start : start + size] for start in range(0, 40, size)]
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs)
        assert epochs[0] != epochs[1]
    firsts = seen[0][::4]
    assert all(first % 4 == 0 for first in firsts)
    assert seen[0] == [first + i for first in firsts for i in range(4)]


def test_any_place_can_be_asked_for_without_those_before_it() -> None:
    parts = ((20, 4, 0.3), (10, 1, 0.7))
    whole = mixture(*parts).clips(0, 400)
    assert mixture(*parts).clips(321, 333) == whole[321:333]
    backwards = mixture(*parts)
    assert [backwards.clips(place, place + 1)[0] for place in range(399, -1, -1)] == whole[::-1]
    assert mixture(*parts, seed=1).clips(0, 400) != whole
    corpus, number = mixture(*parts).clips(10**15, 10**15 + 1)[0]
    assert number < parts[corpus][0]


def test_clips_keep_the_numbers_that_they_have_in_the_corpus() -> None:
    mixed = Mixture([MixedClips("odd", [1, 3, 5, 7])], seed=0)
    assert sorted(mixed.clips(0, 4)) == [(0, 1), (0, 3), (0, 5), (0, 7)]


@pytest.mark.parametrize(
    ("parts", "batch_size", "message"),
    [
        (((8, 4, 1.0),), 6, "multiple of 4"),
        (((8, 4, 1.0), (90, 3, 1.0)), 8, "multiple of 12"),
        (((8, 1, 1.0),), 9, "c0, which has 8"),
        (((90, 1, 1.0), (8, 1, 1.0)), 32, "16 clips of corpus c1, which has 8"),
    ],
)
def test_batches_that_do_not_fit_are_refused(
    parts: tuple[tuple[int, int, float], ...], batch_size: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        mixture(*parts).check_batch(batch_size)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_must_be_above_zero(weight: float) -> None:
    with pytest.raises(UserError, match="above 0"):
        mixture((8, 1, 1.0), (8, 1, weight))

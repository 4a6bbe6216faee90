"""On clips of simulated hands, whose tracks are the truth: captions pass, planted errors do not."""

import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from egorobot.pretrain.corpora.simulated_hands import SimulatedHands
from egorobot.pretrain.hands.staging import ClipOptions
from egorobot.pretrain.hod.events import find_events
from egorobot.pretrain.hod.faithfulness import find_faults
from egorobot.pretrain.hod.narrations import object_name
from egorobot.pretrain.hod.sentences import caption
from egorobot.pretrain.samples import SIDES, ClipSample

NUM_CLIPS = 48
MIN_FOUND = 0.99  # of planted errors


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[ClipSample]:
    corpus = SimulatedHands(ClipOptions(image_size=16), 7, NUM_CLIPS, tmp_path_factory.mktemp("clips"), fast_ratio=4)
    corpus.render(num_workers=1)
    return [corpus[number] for number in range(NUM_CLIPS)]


def told(samples: list[ClipSample]) -> Iterator[tuple[ClipSample, str, list, str]]:
    """Yield each sample with its object's name, its events and its caption."""
    for sample in samples:
        assert sample.tracks is not None
        noun = object_name(sample.narrations[0])
        events = find_events(sample.tracks, ClipOptions().frame_rate, noun)
        yield sample, noun, events, caption(events)


def test_captions_pass_and_hardly_a_clip_has_none(samples: list[ClipSample]) -> None:
    for _, noun, events, text in told(samples):
        assert not find_faults(text, events, [noun]), text
    # A hand that comes along the line of sight does not move in the image.
    assert np.mean([bool(text) for _, _, _, text in told(samples)]) > 0.95


def misplace(text: str) -> str:
    """Return a caption in which the first place that is reached is another, across the image."""
    across = {"left": "right", "right": "left", "upper": "lower", "lower": "upper"}

    def far(match: re.Match[str]) -> str:
        place = match[2]
        return match[1] + ("upper left" if place == "centre" else " ".join(across.get(w, w) for w in place.split()))

    return re.sub(r"(from the [a-z ]+ to the )((?:upper |middle |lower )?(?:left|centre|right))", far, text, count=1)


def test_planted_places_are_found(samples: list[ClipSample]) -> None:
    found = []
    for _, noun, events, text in told(samples):
        if (spoilt := misplace(text)) != text:
            found.append("place" in {fault.kind for fault in find_faults(spoilt, events, [noun])})
    assert len(found) >= NUM_CLIPS / 8 and np.mean(found) >= MIN_FOUND


@pytest.mark.parametrize("kind", ["side", "direction", "order", "object"])
def test_planted_errors_are_found(samples: list[ClipSample], spoil: Callable[[str, str, str], str], kind: str) -> None:
    found = []
    for _, noun, events, text in told(samples):
        if (spoilt := spoil(kind, text, noun)) != text:
            found.append(bool(find_faults(spoilt, events, [noun])))
    assert len(found) >= NUM_CLIPS / 2 and np.mean(found) >= MIN_FOUND


def test_takes_and_releases_are_those_of_the_simulator(samples: list[ClipSample]) -> None:
    for sample, _, events, _ in told(samples):
        assert sample.tracks is not None
        changes = np.diff(sample.tracks.contact.astype(int), axis=0)  # (F - 1, 2)
        for i, side in enumerate(SIDES):
            for kind, change in (("take", 1), ("release", -1)):
                assert sum(e.kind == kind and e.side == side for e in events) == (changes[:, i] == change).sum()


def test_the_hand_that_touches_is_named_first(samples: list[ClipSample]) -> None:
    for sample, _, _, text in told(samples):
        assert sample.tracks is not None
        touching = sample.tracks.contact.any(axis=0)
        if touching.any():
            assert text.startswith(f"the {SIDES[int(touching.argmax())]} hand")

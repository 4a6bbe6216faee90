"""Probes: right for a model that knows everything, chance for one that knows nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from egorobot.pretrain.model import SIZES, EgoVideo
from egorobot.pretrain.model.text import vocabulary_of
from egorobot.pretrain.probing import Probes, Score, asked_caption, probe, sample_clips
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords


class Coloured:
    """Clips whose pixels are their number; groups of two, videos of eight."""

    name = "coloured"
    group_size = 2
    variants = ("original", "twin")

    def __init__(self, count: int, bad: Sequence[int] = (), same_words: bool = False) -> None:
        self.count, self.bad, self.same_words = count, bad, same_words

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> ClipSample:
        if number in self.bad:
            raise BadClip("it is bad")
        frames = np.full((4, 8, 8 if number < self.count // 2 else 16, 3), 255, np.uint8)
        frames[:, :, (frames.shape[2] - 8) // 2 :][:, :, :8] = number  # the centred square
        words = "the same" if self.same_words else f"clip {number}"
        return ClipSample(self.clip_id(number), f"video {number // 8}", frames, 2, ["#C C moves"], [words])

    def clip_id(self, number: int) -> str:
        return f"coloured/{number}"

    def words(self, number: int) -> ClipWords:
        sample = self[number]
        return ClipWords(sample.narrations, sample.hod)

    def captions(self) -> Iterator[str]:
        for number in range(self.count):
            yield from self[number].captions

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        return range(0), range(self.count)


class Knowing(nn.Module):
    """Reads the number off the pixels, and off the caption unless it is `blind`."""

    def __init__(self, blind: bool = False) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(()))
        self.blind = blind
        self.config = SimpleNamespace(image_size=8, joint_dim=256)

    def encode_video(self, frames_slow: Tensor, frames_fast: Tensor) -> Tensor:
        assert frames_slow.shape[1] * 2 == frames_fast.shape[1]
        assert all((clip == clip[0, 0, 0]).all() for clip in frames_fast)  # nothing is squeezed in
        return torch.eye(256)[frames_fast[:, 0, 0, 0, 0].long()]

    def encode_text(self, captions: Sequence[str]) -> Tensor:
        numbers = torch.tensor([int(caption.split()[-1]) for caption in captions])
        return torch.eye(256)[torch.zeros_like(numbers) if self.blind else numbers]


def test_a_model_that_knows_everything_answers_everything() -> None:
    result = probe(Knowing(), Coloured(40), range(40))  # type: ignore[arg-type]
    assert result.clips == 40
    assert set(result.rates()) == {
        "inter_video", "intra_video", "video_to_text@1", "video_to_text@5", "text_to_video@1", "text_to_video@5",
        "pairs/twin",
    }  # fmt: skip
    assert all(rate == 1 for rate in result.rates().values())
    assert result.pairs["twin"] == Score(40, 40)  # both clips of each pair are asked
    assert result.inter_video.n == result.intra_video.n == 40


def test_a_model_that_cannot_tell_gets_no_points() -> None:
    """Ties are wrong answers: a constant would otherwise be right."""
    result = probe(Knowing(blind=True), Coloured(40), range(40))  # type: ignore[arg-type]
    assert result.inter_video.hits == result.intra_video.hits == result.pairs["twin"].hits == 0


def test_captions_that_say_the_same_are_no_wrong_answers() -> None:
    model = EgoVideo(replace(SIZES["nano"], num_slow=2, fast_ratio=2, depth=1, vocabulary=tuple(range(300, 310))))
    result = probe(model, Coloured(16, same_words=True), range(16))
    assert result.inter_video.n == result.intra_video.n == result.pairs["twin"].n == 0
    assert result.video_to_text[1].rate == 1
    assert "no questions" in result.table()


def test_clips_that_cannot_be_read_are_left_out_with_their_pairs() -> None:
    result = probe(Knowing(), Coloured(40, bad=[3, 4]), range(40))  # type: ignore[arg-type]
    assert result.clips == 38
    assert result.pairs["twin"] == Score(36, 36)
    assert all(rate == 1 for rate in result.rates().values())


def test_no_clip_at_all_is_no_question() -> None:
    result = probe(Knowing(), Coloured(8, bad=range(8)), range(8))  # type: ignore[arg-type]
    assert (result.clips, result.rates()) == (0, {})
    assert "no questions" in result.table()


def test_an_untrained_model_is_about_chance_and_stays_in_training_mode() -> None:
    corpus = Coloured(80)
    vocabulary = vocabulary_of(corpus.captions())
    model = EgoVideo(replace(SIZES["nano"], num_slow=2, fast_ratio=2, depth=1, vocabulary=vocabulary))
    model.train()
    result = probe(model, corpus, range(80))
    assert model.training
    assert 0 <= result.inter_video.rate < 0.5
    assert 0.2 < result.pairs["twin"].rate < 0.8


def test_scores_survive_json() -> None:
    result = probe(Knowing(), Coloured(20), range(20))  # type: ignore[arg-type]
    assert Probes.from_dict(result.to_dict()) == result


def test_the_table_has_intervals_and_chance() -> None:
    scores = probe(Knowing(), Coloured(40), range(40))  # type: ignore[arg-type]
    table = scores.table()
    assert "one of five, other videos" in table and "100 % [91, 100] 40/40" in table
    assert "hard pairs: twin" in table and "chance 50.0 %" in table
    assert "recall at 5" in table and "chance 12.5 %" in table
    assert replace(scores, clips=2).table().count("chance 100.0 %") == 2  # of recall at 5, both ways


@pytest.mark.parametrize(
    ("hod", "asked"), [([], "#C C moves it"), (["the left hand moves it"], "the left hand moves it")]
)
def test_questions_are_about_hand_and_object_where_there_is_such_a_caption(hod: list[str], asked: str) -> None:
    sample = ClipSample("id", "video", np.zeros((2, 4, 4, 3), np.uint8), 1, ["#C C moves it"], hod)
    assert asked_caption(sample) == asked


def test_of_many_clips_runs_of_whole_groups_are_asked() -> None:
    corpus = Coloured(200)
    assert sample_clips(corpus, range(200), 200) == range(200)
    chosen = sample_clips(corpus, range(10, 200), 150)
    assert chosen == [*range(10, 74), *range(136, 200)]
    assert probe(Knowing(), corpus, chosen).intra_video.rate == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "limit", "asked"), [(20, 10, 10), (50, 32, 32), (70, 9, 8), (24, 1, 2)])
def test_fewer_clips_than_a_run_are_chosen(count: int, limit: int, asked: int) -> None:
    chosen = sample_clips(Coloured(200), range(count), limit)
    assert len(set(chosen)) == asked and set(chosen) <= set(range(count))

"""What a model knows of clips it has not seen: multiple choice, retrieval, hard pairs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from egorobot.pretrain.augment import fit
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.samples import BadClip, ClipSample, Corpus
from egorobot.statistics import format_rate

CHOICES = 5  # of a question, as in EgoMCQ
BATCH = 32
MAX_CLIPS = 4096  # that training asks about: memory grows with their square, to 0.3 GB for so many
RUN = 64  # neighbours that are asked about together, where not all clips are


@dataclass(frozen=True)
class Score:
    """How many of `n` questions were answered rightly."""

    hits: int
    n: int

    @property
    def rate(self) -> float:
        """Share of right answers, NaN without questions."""
        return self.hits / self.n if self.n else float("nan")

    def __str__(self) -> str:
        return format_rate(self.hits, self.n) if self.n else "no questions"


@dataclass(frozen=True)
class Probes:
    """Scores on held-out clips; which caption is asked for: see `asked_caption`.

    Attributes:
        clips: how many clips could be read.
        inter_video: the right one of five captions, four from other videos (chance 20 %).
        intra_video: the same, four from the same video.
        video_to_text: clips whose caption is the nearest (at 1), or one of five (at 5).
        text_to_video: captions whose clip is.
        pairs: for each way in which the clips of a group differ from their first: whether
            each of the two has the nearer of both captions (chance 50 %).
    """

    clips: int
    inter_video: Score
    intra_video: Score
    video_to_text: dict[int, Score]
    text_to_video: dict[int, Score]
    pairs: dict[str, Score]

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as JSON holds them."""
        values = asdict(self)
        for name in ("video_to_text", "text_to_video"):
            values[name] = {f"recall@{k}": score for k, score in values[name].items()}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Probes":
        """Return the scores written by `to_dict`."""

        def recalls(name: str) -> dict[int, Score]:
            return {int(k.split("@")[1]): Score(**score) for k, score in values[name].items()}

        return cls(
            clips=values["clips"],
            inter_video=Score(**values["inter_video"]),
            intra_video=Score(**values["intra_video"]),
            video_to_text=recalls("video_to_text"),
            text_to_video=recalls("text_to_video"),
            pairs={name: Score(**score) for name, score in values["pairs"].items()},
        )

    def rates(self) -> dict[str, float]:
        """Return every score by name, as a share in [0, 1]; those without questions are left out."""
        scores = {"inter_video": self.inter_video, "intra_video": self.intra_video}
        scores |= {f"video_to_text@{k}": score for k, score in self.video_to_text.items()}
        scores |= {f"text_to_video@{k}": score for k, score in self.text_to_video.items()}
        scores |= {f"pairs/{name}": score for name, score in self.pairs.items()}
        return {name: score.rate for name, score in scores.items() if score.n}

    def table(self) -> str:
        """Return the scores as lines, each with its 95 % interval and what chance would give."""
        chance = 100 / max(self.clips, 1)
        rows: list[tuple[str, Score, float]] = [
            ("one of five, other videos", self.inter_video, 20),
            ("one of five, same video", self.intra_video, 20),
            *(
                (f"video to text, recall at {k}", score, min(k * chance, 100))
                for k, score in self.video_to_text.items()
            ),
            *(
                (f"text to video, recall at {k}", score, min(k * chance, 100))
                for k, score in self.text_to_video.items()
            ),
            *((f"hard pairs: {name}", score, 50.0) for name, score in self.pairs.items()),
        ]
        lines = [f"held out: {self.clips} clips"]
        lines += [f"  {name:28} {score!s:24} chance {expected:.1f} %" for name, score, expected in rows]
        return "\n".join(lines)


def asked_caption(sample: ClipSample) -> str:
    """Return the caption that questions are about: the first of hand and object, or the first narration."""
    return sample.hod[0] if sample.hod else sample.narrations[0]


Read = Callable[[Corpus, int], ClipSample | None]


def sample_clips(corpus: Corpus, clips: Sequence[int], limit: int) -> Sequence[int]:
    """Return about `limit` of `clips`, whole groups of `corpus`, where there are more.

    They are runs of neighbours, which mostly share a video, spread evenly over all.
    """
    if len(clips) <= limit:
        return clips
    size = max(min(RUN, limit) // corpus.group_size, 1) * corpus.group_size
    count = max(limit // size, 1)
    starts = (i * (len(clips) - size) // max(count - 1, 1) for i in range(count))
    aligned = (start - start % corpus.group_size for start in starts)
    return [clips[place] for start in aligned for place in range(start, start + size)]


def read_clip(corpus: Corpus, number: int) -> ClipSample | None:
    """Return clip `number` of `corpus`, None where it cannot be read."""
    try:
        return corpus[number]
    except BadClip:
        return None


@torch.inference_mode()
def probe(model: EgoVideo, corpus: Corpus, clips: Sequence[int], seed: int = 0, read: Read = read_clip) -> Probes:
    """Return how well `model` knows `clips` of `corpus`, whole groups of it; it is left as it was.

    Wrong answers that say the same as the right one are not offered, and a caption that
    several clips share counts as found with any of them. Clips that cannot be read are
    left out.

    Args:
        model: the model.
        corpus: where clips are read from.
        clips: their numbers.
        seed: of the answers that are offered.
        read: reads a clip; it may note those for which it returns None.
    """
    training = model.training
    model.eval()
    numbers, captions, videos, vectors = _encode(model, corpus, clips, read)
    parts = [model.encode_text(captions[i : i + BATCH]) for i in range(0, len(captions), BATCH)]
    texts = torch.cat([vectors[:0], *parts])
    model.train(training)
    scores = (vectors @ texts.T).float().cpu().numpy()  # (N, N), clips by captions
    same = np.array(captions)[:, None] == np.array(captions)[None]
    home = np.array(videos)[:, None] == np.array(videos)[None]
    rng = np.random.default_rng(seed)
    return Probes(
        clips=len(numbers),
        inter_video=_choose(scores, ~home & ~same, rng),
        intra_video=_choose(scores, home & ~same, rng),
        video_to_text=_recalls(scores, same),
        text_to_video=_recalls(scores.T, same),
        pairs={name: _pairs(scores, same, pairs) for name, pairs in _hard_pairs(corpus, numbers)},
    )


def _encode(
    model: EgoVideo, corpus: Corpus, clips: Sequence[int], read: Read
) -> tuple[list[int], list[str], list[str], Tensor]:
    """Return the numbers, captions, videos and vectors (N, D) of the clips that can be read."""
    numbers: list[int] = []
    captions: list[str] = []
    videos: list[str] = []
    vectors = [torch.empty(0, model.config.joint_dim, device=model.log_scale.device)]
    for start in range(0, len(clips), BATCH):
        found = {number: sample for number in clips[start : start + BATCH] if (sample := read(corpus, number))}
        numbers += found
        captions += [asked_caption(sample) for sample in found.values()]
        videos += [sample.video_id for sample in found.values()]
        if found:
            vectors.append(_encode_video(model, list(found.values())))
    return numbers, captions, videos, torch.cat(vectors)


def _encode_video(model: EgoVideo, samples: list[ClipSample]) -> Tensor:
    """Return vectors of clips, (B, D), seen as in training: the centred square."""
    fitted = [sample.with_frames(fit(sample.frames_fast, model.config.image_size)) for sample in samples]
    device = model.log_scale.device
    slow, fast = (
        torch.from_numpy(np.stack([getattr(sample, name) for sample in fitted])).to(device)
        for name in ("frames_slow", "frames_fast")
    )
    return model.encode_video(slow, fast)


def _choose(scores: NDArray[Any], wrong: NDArray[np.bool_], rng: np.random.Generator) -> Score:
    """Ask every clip for its caption among `CHOICES`, the wrong ones drawn from `wrong` (N, N)."""
    hits = n = 0
    for i, row in enumerate(scores):
        others = np.flatnonzero(wrong[i])
        if len(others) >= CHOICES - 1:
            n += 1
            hits += bool((row[i] > row[rng.choice(others, CHOICES - 1, replace=False)]).all())
    return Score(hits, n)


def _recalls(scores: NDArray[Any], same: NDArray[np.bool_], ks: Sequence[int] = (1, 5)) -> dict[int, Score]:
    """Return for how many rows something equal to the right column is among the nearest k."""
    nearest = np.argsort(-scores, axis=1, kind="stable")
    found = np.take_along_axis(same, nearest, axis=1)
    return {k: Score(int(found[:, :k].any(axis=1).sum()), len(scores)) for k in ks}


def _hard_pairs(corpus: Corpus, numbers: list[int]) -> Iterator[tuple[str, list[tuple[int, int]]]]:
    """Yield each way to differ, with the rows of the pairs that do."""
    row = {number: i for i, number in enumerate(numbers)}
    for place, name in enumerate(corpus.variants[1:], start=1):
        firsts = [n for n in numbers if n % corpus.group_size == 0 and n + place in row]
        yield name, [(row[n], row[n + place]) for n in firsts]


def _pairs(scores: NDArray[Any], same: NDArray[np.bool_], pairs: list[tuple[int, int]]) -> Score:
    """Ask both clips of each pair for the nearer of their two captions."""
    questions = [(i, j) for pair in pairs if not same[pair] for i, j in (pair, pair[::-1])]
    return Score(int(sum(scores[i, i] > scores[i, j] for i, j in questions)), len(questions))

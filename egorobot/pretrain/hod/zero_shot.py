"""Objects that a narration names, found by any detector that Hugging Face transformers runs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from PIL import Image

from egorobot.errors import UserError
from egorobot.pretrain.hod.captioning import Detector
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import Box, FrameDetections, ObjectDetection
from egorobot.pretrain.hod.narrations import UNNAMED, object_name
from egorobot.pretrain.hod.packages import need

PACKAGE = "transformers"
ZERO_SHOT, PLAIN = "zero-shot-object-detection", "object-detection"  # tasks of its pipelines
# Models that were trained on texts whose phrases end in a dot (Liu et al. 2023).
DOTTED = ("grounding-dino", "mm-grounding-dino")


class ZeroShotObjects:
    """Adds to another detector's hands the object that the clip's first narration names.

    A zero-shot detector (Grounding DINO, OWL-ViT, OWLv2) looks for that name. One with fixed
    labels (DETR, YOLOS, RT-DETR) gives what it calls the same: "cup" for a "coffee cup",
    "dining table" for a "table"; nothing where none of its labels fits.

    Where something is found in a clip, it takes the place of the objects of the other
    detector. Where nothing is, or the narration names nothing, these stay.

    Args:
        model: its name on the Hub, or a folder.
        hands: finds the hands.
        device: where it computes, as PyTorch names it; None is the GPU where there is one.
        min_score: least confidence of a detection, in [0, 1].
        every: looks at every how many frames, and at the last. Tracks are filled between them
            as far as `max_gap` reaches.

    Raises:
        UserError: transformers is not installed, the model cannot be loaded, or a number
            is out of its range.
    """

    name = "hf"

    def __init__(
        self, model: str, hands: Detector, device: str | None = None, min_score: float = 0.2, every: int = 1
    ) -> None:
        if not 0 <= min_score <= 1:
            raise UserError(f"hf.min_score={min_score}: it must be in [0, 1]")
        if every < 1:
            raise UserError(f"hf.every={every}: it must be 1 or more frames")
        self.model = model
        self.hands = hands
        self.min_score = min_score
        self.every = every
        self.pipeline = _load(model, device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.zero_shot = self.pipeline.task == ZERO_SHOT

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        """Return the other detector's hands in each frame of `clip`, with the named object where it is seen.

        Raises:
            BadClip: the other detector raises it.
            UserError: likewise.
        """
        frames = self.hands.detect(clip)
        narrations = clip.annotated.narrations
        noun = object_name(narrations[0]) if narrations else UNNAMED
        if noun == UNNAMED:
            return frames
        last = len(frames) - 1
        numbers = [i for i in range(len(frames)) if i % self.every == 0 or i == last]
        found = dict(zip(numbers, self._find(noun, clip.frames[numbers]), strict=True))
        if not any(found.values()):
            return frames
        return [replace(frame, objects=found.get(i, [])) for i, frame in enumerate(frames)]

    def _find(self, noun: str, frames: NDArray[Any]) -> list[list[ObjectDetection]]:
        """Return what `noun` names in each of frames, uint8 (N, H, W, 3)."""
        images = [Image.fromarray(frame) for frame in frames]
        if self.zero_shot:
            query = self._query(noun)
            if not query:
                return [[] for _ in images]
            inputs: list[Any] = [{"image": image, "candidate_labels": [query]} for image in images]
            wanted = {query}
        else:
            inputs = images
            wanted = matching_labels(noun, self.pipeline.model.config.id2label.values())
            if not wanted:
                return [[] for _ in images]
        height, width = frames.shape[1:3]
        answers = self.pipeline(inputs, threshold=self.min_score)
        return [
            [
                ObjectDetection(box, float(one["score"]))
                for one in answer
                if one["label"] in wanted and (box := _relative(one["box"], width, height)) is not None
            ]
            for answer in answers
        ]

    def _query(self, noun: str) -> str:
        """Return how the model is asked for `noun`: without its first words where all are too long for it."""
        config = self.pipeline.model.config
        text = getattr(config, "text_config", None)
        limits = (getattr(text, "max_position_embeddings", None), getattr(config, "max_text_len", None))
        limit = min([self.pipeline.tokenizer.model_max_length, *(limit for limit in limits if limit is not None)])
        end = "." if config.model_type in DOTTED else ""
        words = noun.split()
        while words:
            query = " ".join(words) + end
            if len(self.pipeline.tokenizer(query)["input_ids"]) <= limit:
                return query
            words = words[1:]  # the last one names the thing
        return ""


def matching_labels(noun: str, labels: Iterable[str]) -> set[str]:
    """Return which of a detector's labels call a thing what `noun` calls it.

    Example:
        >>> sorted(matching_labels("wine glass", ["wine glass", "glass"]))
        ['wine glass']
        >>> sorted(matching_labels("red cups", ["cup", "cupboard"]))
        ['cup']
    """
    wanted = _words(noun)
    names = {label: _words(label) for label in labels}
    same = {label for label, words in names.items() if len(words) == len(wanted) and _share_end(words, wanted)}
    return same or {label for label, words in names.items() if _share_end(words, wanted)}


def _words(name: str) -> list[str]:
    return name.lower().replace("_", " ").split()


def _share_end(one: list[str], other: list[str]) -> bool:
    """Return whether the shorter of two names is the end of the longer one, in singular or plural."""
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    return bool(pairs) and all(a == b or a in (f"{b}s", f"{b}es") or b in (f"{a}s", f"{a}es") for a, b in pairs)


def _relative(box: dict[str, int], width: int, height: int) -> Box | None:
    """Return a box from pixels to [0, 1], as far as it lies in the image; None where it does not."""
    left, right = (min(max(box[side] / width, 0.0), 1.0) for side in ("xmin", "xmax"))
    top, bottom = (min(max(box[side] / height, 0.0), 1.0) for side in ("ymin", "ymax"))
    return (left, top, right, bottom) if left < right and top < bottom else None


def _load(model: str, device: str) -> Any:
    """Return the pipeline of a model."""
    transformers = need(PACKAGE)
    try:
        config = transformers.AutoConfig.from_pretrained(model)
        zero_shot = type(config) in transformers.MODEL_FOR_ZERO_SHOT_OBJECT_DETECTION_MAPPING
        return transformers.pipeline(ZERO_SHOT if zero_shot else PLAIN, model=model, device=device)
    except Exception as error:  # libraries below raise all kinds
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(
            f"cannot load the object detector {model} ({type(error).__name__}: {reason}): "
            "hf.model= must be the name of one on the Hub (Grounding DINO, OWLv2, DETR), or a folder that "
            "save_pretrained wrote with its processor"
        ) from error

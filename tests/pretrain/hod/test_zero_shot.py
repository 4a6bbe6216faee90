"""Hugging Face detectors, tiny and with random weights: their boxes, asked for what the narration names."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from egorobot.errors import UserError
from egorobot.pretrain.corpora.clip_table import AnnotatedClip
from egorobot.pretrain.hod.clips import HodClip
from egorobot.pretrain.hod.detections import FrameDetections, HandDetection, ObjectDetection
from egorobot.pretrain.hod.zero_shot import ZeroShotObjects, matching_labels

transformers = pytest.importorskip("transformers")
HEIGHT, WIDTH, NUM_FRAMES = 30, 50, 5  # px, frames
OTHER = ObjectDetection((0.0, 0.0, 0.5, 0.5), 0.9)  # of the detector that finds the hands


class Hands:
    """A detector that sees a hand and an object in every frame."""

    name = "known"

    def detect(self, clip: HodClip) -> list[FrameDetections]:
        hand = HandDetection("left", (0.1, 0.1, 0.4, 0.4), 0.8)
        return [FrameDetections(float(time), [hand], [OTHER]) for time in clip.times]


def clip(*narrations: str) -> HodClip:
    frames = np.random.default_rng(0).integers(0, 256, (NUM_FRAMES, HEIGHT, WIDTH, 3), np.uint8)
    return HodClip(AnnotatedClip("kitchen", "", 0, 1, list(narrations), []), frames, 5.0)


@pytest.fixture(scope="module")
def owl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with an OWL-ViT of two layers and a tokenizer of letters, as save_pretrained writes it."""
    folder = tmp_path_factory.mktemp("owl")
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(tokens), "max_position_embeddings": 16}
    config = transformers.OwlViTConfig(
        text_config={**text, "bos_token_id": len(tokens) - 2, "eos_token_id": len(tokens) - 1},
        vision_config={**sizes, "image_size": 32, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(0)
    size = {"height": 32, "width": 32}
    images = transformers.OwlViTImageProcessor(size=size, do_center_crop=False, crop_size=size)
    transformers.OwlViTForObjectDetection(config).save_pretrained(folder)
    transformers.OwlViTProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def yolos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a tiny YOLOS, which takes all that it sees for a cup."""
    folder = tmp_path_factory.mktemp("yolos")
    config = transformers.YolosConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=[32, 32],
        patch_size=8, num_detection_tokens=3, id2label={0: "cup", 1: "cell phone"},
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.YolosForObjectDetection(config)
    with torch.no_grad():
        model.class_labels_classifier.layers[-1].bias[0] += 10
    model.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    transformers.YolosImageProcessor(size=size, do_pad=False).save_pretrained(folder)
    return str(folder)


def test_boxes_are_those_of_the_model_for_what_the_narration_names(owl: str) -> None:
    shown = clip("#C C takes a cup from the shelf", "#C C takes the knife")
    frames = ZeroShotObjects(owl, Hands(), "cpu", min_score=0.0).detect(shown)
    processor = transformers.OwlViTProcessor.from_pretrained(owl)
    model = transformers.OwlViTForObjectDetection.from_pretrained(owl)
    for i, frame in enumerate(frames):
        inputs = processor(text=["cup"], images=Image.fromarray(shown.frames[i]), return_tensors="pt")
        with torch.no_grad():
            output = model(**inputs)
        x, y, width, height = output.pred_boxes[0].T.numpy()
        corners = np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1)
        pixels = (corners * [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(int).clip(0, [WIDTH, HEIGHT, WIDTH, HEIGHT])
        seen = (pixels[:, 0] < pixels[:, 2]) & (pixels[:, 1] < pixels[:, 3])
        boxes = pixels[seen] / [WIDTH, HEIGHT, WIDTH, HEIGHT]
        assert len(frame.objects) == len(boxes) > 3
        scores = output.logits[0, :, 0].sigmoid().numpy()[seen]
        order = np.lexsort([scores, *boxes.T])
        found = sorted(frame.objects, key=lambda one: (*one.box[::-1], one.score))
        np.testing.assert_allclose([one.box for one in found], boxes[order], atol=1e-6)
        np.testing.assert_allclose([one.score for one in found], scores[order], atol=1e-5)
        assert [hand.box for hand in frame.hands] == [(0.1, 0.1, 0.4, 0.4)] and OTHER not in frame.objects


def test_another_name_finds_other_things(owl: str) -> None:
    detector = ZeroShotObjects(owl, Hands(), "cpu", min_score=0.0)
    cup, knife = (detector.detect(clip(f"#C C takes the {noun}"))[0].objects for noun in ("cup", "knife"))
    assert [found.score for found in cup] != [found.score for found in knife]


def test_some_frames_are_looked_at_and_the_last_always(owl: str) -> None:
    frames = ZeroShotObjects(owl, Hands(), "cpu", min_score=0.0, every=3).detect(clip("#C C takes the cup"))
    assert [bool(frame.objects) for frame in frames] == [True, False, False, True, True]
    assert all(frame.hands for frame in frames)


@pytest.mark.parametrize("narrations", [[], ["#C C walks"], ["#C C takes the " + "x" * 40]])
def test_where_nothing_is_named_the_other_detector_is_kept(owl: str, narrations: list[str]) -> None:
    frames = ZeroShotObjects(owl, Hands(), "cpu", min_score=0.0).detect(clip(*narrations))
    assert [frame.objects for frame in frames] == [[OTHER]] * NUM_FRAMES


def test_where_nothing_is_found_the_other_detector_is_kept(owl: str) -> None:
    frames = ZeroShotObjects(owl, Hands(), "cpu", min_score=1.0).detect(clip("#C C takes the cup"))
    assert [frame.objects for frame in frames] == [[OTHER]] * NUM_FRAMES


def test_names_too_long_for_the_model_lose_their_first_words(owl: str) -> None:
    detector = ZeroShotObjects(owl, Hands(), "cpu", min_score=0.0)
    nouns = ("remarkable elongated cup", "elongated cup", "cup")
    whole, cut, head = (detector.detect(clip(f"#C C takes the {noun}")) for noun in nouns)
    assert whole == cut != head


@pytest.mark.parametrize(("noun", "is_found"), [("coffee cup", True), ("cups", True), ("phone", False), ("pan", False)])
def test_a_plain_detector_is_asked_by_its_labels(yolos: str, noun: str, is_found: bool) -> None:
    frames = ZeroShotObjects(yolos, Hands(), "cpu", min_score=0.2).detect(clip(f"#C C takes the {noun}"))
    assert [bool(frame.objects) and OTHER not in frame.objects for frame in frames] == [is_found] * NUM_FRAMES


@pytest.mark.parametrize(
    ("noun", "matching"),
    [
        ("hot dog", {"hot dog"}), ("dog", {"dog"}), ("brown cow", {"cow"}), ("glasses", {"wine glass"}),
        ("vase", {"vases"}), ("dining tables", {"dining_table"}), ("buses", {"bus"}), ("cupboard", set()),
    ],
)  # fmt: skip
def test_labels_match_by_their_last_words(noun: str, matching: set[str]) -> None:
    labels = ["hot dog", "dog", "cow", "wine glass", "vases", "dining_table", "bus", "N/A", ""]
    assert matching_labels(noun, labels) == matching


def test_what_cannot_be_loaded_is_told_in_one_line(tmp_path: Path, yolos: str) -> None:
    (tmp_path / "empty").mkdir()
    transformers.ViTConfig(hidden_size=16).save_pretrained(tmp_path / "classifier")
    for model in (tmp_path / "nowhere", tmp_path / "empty", tmp_path / "classifier"):
        with pytest.raises(UserError, match=r"cannot load the object detector .*hf\.model=") as error:
            ZeroShotObjects(str(model), Hands(), "cpu")
        assert str(model) in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"nobody/no-such-model .*hf\.model="):
        ZeroShotObjects("nobody/no-such-model", Hands(), "cpu")
    with pytest.raises(UserError, match="cannot load"):
        ZeroShotObjects(yolos, Hands(), "no_device")


@pytest.mark.parametrize(("option", "value"), [("min_score", 1.5), ("min_score", float("nan")), ("every", 0)])
def test_numbers_out_of_range_are_refused(yolos: str, option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"hf\.{option}={value}"):
        ZeroShotObjects(yolos, Hands(), **{option: value})

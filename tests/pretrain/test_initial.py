"""What training starts from: drawn weights, or those of an encoder folder."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from egorobot.errors import UserError
from egorobot.pretrain.initial import TOKEN_EMBEDDING, find_vocabulary, initial_config, initial_model
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.text import NUM_SPECIAL, bpe, vocabulary_of
from egorobot.pretrain.options import PretrainOptions


def make(options: PretrainOptions, captions: list[str]) -> EgoVideo:
    config = initial_config(options)
    return initial_model(options, replace(config, vocabulary=find_vocabulary(options, config, captions)))


@pytest.fixture
def folder(tiny_model: EgoVideo, tmp_path: Path) -> Path:
    tiny_model.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def test_drawn_weights_follow_the_seed_and_know_the_words_of_the_captions(tiny_options: PretrainOptions) -> None:
    captions = ["opens the zebra"]
    model = make(tiny_options, captions)
    assert model.config.vocabulary == vocabulary_of(captions)
    assert make(tiny_options, captions).fingerprint == model.fingerprint
    assert make(replace(tiny_options, seed=1), captions).fingerprint != model.fingerprint
    known = replace(tiny_options, model={**tiny_options.model, "vocabulary": ()})
    assert make(known, captions).config.vocabulary == ()


def test_the_same_words_start_from_the_very_weights_in_the_folder(
    tiny_model: EgoVideo, folder: Path, tiny_options: PretrainOptions
) -> None:
    start = replace(tiny_options, init=str(folder), seed=5)
    model = make(start, ["opens"])
    assert model.fingerprint == tiny_model.fingerprint


def test_new_words_are_drawn_and_old_ones_keep_their_rows(
    tiny_model: EgoVideo, folder: Path, tiny_options: PretrainOptions
) -> None:
    model = make(replace(tiny_options, init=str(folder), seed=5), ["opens the zebra"])
    old, new = tiny_model.config.vocabulary, model.config.vocabulary
    assert set(new) == {*old, *vocabulary_of(["opens the zebra"])} and len(new) > len(old)
    before, after = (m.state_dict()[TOKEN_EMBEDDING] for m in (tiny_model, model))
    assert after[:NUM_SPECIAL].equal(before[:NUM_SPECIAL])
    for i, token in enumerate(old):
        assert after[NUM_SPECIAL + new.index(token)].equal(before[NUM_SPECIAL + i])
    zebra = NUM_SPECIAL + new.index(bpe().encode("zebra")[0])
    assert after[zebra].abs().max() > 0
    with torch.no_grad():
        torch.testing.assert_close(model.encode_text(["opens the door"]), tiny_model.encode_text(["opens the door"]))


def test_what_the_folder_does_not_have_is_drawn(
    tiny_model: EgoVideo, tiny_options: PretrainOptions, tmp_path: Path
) -> None:
    slow = EgoVideo(replace(tiny_model.config, streams="slow"), seed=3)
    slow.save_pretrained(tmp_path)
    model = make(replace(tiny_options, init=str(tmp_path), model={"streams": "both"}), [])
    weights = model.state_dict()
    assert all(weights[name].equal(tensor) for name, tensor in slow.state_dict().items())
    assert model.fusion is not None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": "b"}, "is of size nano"),
        ({"model": {"width": 64}}, "does not fit at"),
        ({"model": {"heads": 5}}, "changes to model do not fit"),
        ({"init": "nowhere"}, "no encoder folder"),
    ],
)
def test_a_folder_that_does_not_fit_is_one_line(
    folder: Path, tiny_options: PretrainOptions, change: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        make(replace(tiny_options, **{"init": str(folder), "model": {}, **change}), [])  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("head", "weight"), [(True, 0.0), (False, 1.0)])
def test_a_head_that_does_not_follow_the_weight_of_boxes_is_refused(
    tiny_options: PretrainOptions, head: bool, weight: float
) -> None:
    options = replace(tiny_options, model={**tiny_options.model, "box_head": head}, box_weight=weight)
    with pytest.raises(UserError, match=f"box_head={head} with box_weight={weight:g}: .* choose box_weight="):
        initial_config(options)
    assert initial_config(replace(options, box_weight=1 - weight)).box_head is head


def test_what_is_asked_for_outweighs_what_a_clip_has(tiny_options: PretrainOptions) -> None:
    model = {"vocabulary": (320, 1125), "text_causal": False}
    config = initial_config(replace(tiny_options, size="b", model=model, init="open_clip:ViT-B-16/openai"))
    assert (config.vocabulary, config.text_causal, config.activation) == ((320, 1125), False, "quick_gelu")

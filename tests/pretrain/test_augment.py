"""What is changed in a clip, and how it is made to fit the model."""

from dataclasses import replace

import numpy as np
import pytest

from egorobot.pretrain.augment import (
    Augmentation,
    Colours,
    augment,
    crop_box,
    draw_caption,
    fit,
    mirror,
    resize,
    swap_sides,
)
from egorobot.pretrain.samples import ClipSample, HandObjectTracks


def clip(shape: tuple[int, int] = (32, 32), hod: tuple[str, ...] = ("the left hand opens it",)) -> ClipSample:
    frames = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), dtype=np.uint8)
    return ClipSample("clip", "video", frames, 2, ["#C C turns right"], list(hod))


def test_colours_change_alike_in_all_frames() -> None:
    frames = np.full((3, 2, 2, 3), 100, np.uint8)
    changed = Colours.draw(np.random.default_rng(0), 0.2).change(frames)
    assert changed.dtype == np.uint8
    assert (changed == changed[0, 0, 0]).all() and (changed != frames).any()
    np.testing.assert_array_equal(Colours.draw(np.random.default_rng(0), 0.0).change(frames), frames)


def test_colours_are_a_gain_of_each_channel_and_one_offset() -> None:
    frames = np.arange(256, dtype=np.uint8)[:, None, None].repeat(3, -1)
    rng = np.random.default_rng(1)
    gain, offset = 1 + 0.3 * rng.uniform(-1, 1, 3), 128 * 0.3 * rng.uniform(-1, 1)
    expected = np.clip(np.rint(frames * gain + offset), 0, 255)
    np.testing.assert_array_equal(Colours.draw(np.random.default_rng(1), 0.3).change(frames), expected)


def test_a_mirrored_clip_has_mirrored_frames_captions_and_tracks() -> None:
    hands = np.full((2, 2, 4), np.nan, np.float32)
    hands[:, 0] = (0.1, 0.2, 0.3, 0.4)  # the left hand
    tracks = HandObjectTracks(hands, hands[:, 0], np.array([[True, False]] * 2))
    sample = clip()
    mirrored = mirror(ClipSample(**{**vars(sample), "tracks": tracks}))
    np.testing.assert_array_equal(mirrored.frames_fast, sample.frames_fast[:, :, ::-1])
    assert mirrored.narrations == ["#C C turns left"] and mirrored.hod == ["the right hand opens it"]
    assert mirrored.tracks is not None and mirrored.tracks.contact[0].tolist() == [False, True]
    np.testing.assert_allclose(mirrored.tracks.hands[0, 1], [0.7, 0.2, 0.9, 0.4], rtol=1e-6)
    assert mirror(sample).tracks is None


def test_a_mirror_swaps_what_lies_leftmost_and_the_ways_to_turn() -> None:
    said = "Turns the leftmost knob clockwise, then Anti-clockwise; leftover anticlockwise"
    assert swap_sides(said) == "Turns the rightmost knob counterclockwise, then Clockwise; leftover clockwise"


@pytest.mark.parametrize(("height", "width"), [(48, 64), (64, 48), (9, 200)])
def test_crops_are_inside_and_of_the_asked_for_area(height: int, width: int) -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        top, left, crop_height, crop_width = crop_box(height, width, (0.5, 0.9), rng)
        assert 0 <= top <= top + crop_height <= height and 0 <= left <= left + crop_width <= width
        shares.append(crop_height * crop_width / (height * width))
    if max(height, width) < 100:  # longer ones have no such crop, and show the centred square
        assert 0.45 < min(shares) < 0.6 and 0.8 < max(shares) < 0.95
    else:
        assert set(shares) == {9 * 9 / (9 * 200)}


def test_all_frames_of_a_clip_are_cropped_alike() -> None:
    frames = np.broadcast_to(clip((48, 64)).frames_fast[:1], (2, 48, 64, 3))
    sample = clip().with_frames(frames)
    seen = augment(sample, Augmentation(crop=(0.5, 1.0)), (32, 32), np.random.default_rng(0), np.random.default_rng(1))
    cropped = seen.sample.frames_fast
    assert cropped.shape == (2, 32, 32, 3)
    np.testing.assert_array_equal(cropped[0], cropped[1])


def test_boxes_are_cropped_with_the_frames() -> None:
    frames = np.zeros((2, 48, 96, 3), np.uint8)
    frames[:, 12:24, 60:84] = 255  # the object
    hands = np.full((2, 2, 4), np.nan, np.float32)
    hands[:, 0] = (0, 0.2, 0.2, 0.4)  # out of the centred square
    place = np.tile(np.array([60 / 96, 12 / 48, 84 / 96, 24 / 48], np.float32), (2, 1))
    sample = replace(clip(), frames_fast=frames, tracks=HandObjectTracks(hands, place, np.array([[False, True]] * 2)))
    seen = augment(sample, Augmentation(colour=0), (48, 48), np.random.default_rng(0), np.random.default_rng(1)).sample
    assert seen.tracks is not None and np.isnan(seen.tracks.hands).all()
    rows, columns = np.nonzero(seen.frames_fast[0, :, :, 0])
    shown = [columns.min() / 48, rows.min() / 48, (columns.max() + 1) / 48, (rows.max() + 1) / 48]
    np.testing.assert_allclose(seen.tracks.object[1], shown, atol=1e-6)
    np.testing.assert_array_equal(seen.tracks.contact, sample.tracks.contact if sample.tracks else None)


def test_without_a_crop_the_centred_square_is_shown() -> None:
    frames = clip((32, 40)).frames_fast
    np.testing.assert_array_equal(fit(frames, 32), frames[:, :, 4:36])
    assert fit(frames, 16).shape == (2, 16, 16, 3)
    square = clip().frames_fast
    assert resize(square, 32) is square


def test_resizing_averages_pixels() -> None:
    frames = np.zeros((1, 4, 4, 3), np.uint8)
    frames[:, ::2] = 200
    assert abs(int(resize(frames, 1)[0, 0, 0, 0]) - 100) <= 1


@pytest.mark.parametrize(("ratio", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_captions_of_hand_and_object_come_as_often_as_asked(ratio: float, share: float) -> None:
    rng, sample = np.random.default_rng(0), clip(hod=("hod 1", "hod 2"))
    drawn = [draw_caption(sample, ratio, rng) for _ in range(2000)]
    assert abs(np.mean([caption.startswith("hod") for caption in drawn]) - share) < 0.03
    if ratio == 1:
        assert abs(drawn.count("hod 1") - 1000) < 100


def test_a_clip_with_one_kind_of_captions_gives_that() -> None:
    rng = np.random.default_rng(0)
    assert {draw_caption(clip(hod=()), 1.0, rng) for _ in range(5)} == {"#C C turns right"}
    only_hod = ClipSample(**{**vars(clip()), "narrations": []})
    assert {draw_caption(only_hod, 0.0, rng) for _ in range(5)} == {"the left hand opens it"}


@pytest.mark.parametrize(
    "change", [{"flip": 1.5}, {"colour": -0.1}, {"hod_ratio": 2}, {"crop": (0.0, 1.0)}, {"crop": (0.9, 0.5)}]
)
def test_numbers_out_of_range_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Augmentation(**change)  # type: ignore[arg-type]

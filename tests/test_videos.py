"""Videos and what is drawn into them."""

from pathlib import Path

import imageio.v2 as imageio
import numpy as np
import pytest

from egorobot.videos import draw_caption, grid, write_video


def test_a_video_has_its_frames_and_holds_the_last(tmp_path: Path) -> None:
    frames = [np.full((64, 96, 3), value, np.uint8) for value in (0, 100, 200)]
    write_video(tmp_path / "new" / "v.mp4", frames, fps=10, hold=0.5)
    reader = imageio.get_reader(tmp_path / "new" / "v.mp4")
    shown = list(reader.iter_data())
    metadata = reader.get_meta_data()
    assert metadata["codec"] == "h264"
    assert metadata["fps"] == 10
    assert [round(float(f.mean()), -2) for f in shown] == [0, 100, 200, 200, 200, 200, 200, 200]
    assert shown[0].shape == (64, 96, 3)


def test_a_video_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"old")

    def frames():  # type: ignore[no-untyped-def]
        yield np.zeros((64, 64, 3), np.uint8)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        write_video(path, frames())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_captions_and_outcomes_show_and_leave_the_original() -> None:
    frame = np.full((112, 112, 3), 128, np.uint8)
    running, success, failure = (draw_caption(frame, "microwave 12/100", o) for o in (None, True, False))
    assert (frame == 128).all()
    assert (running[:8] != 128).any()
    assert (running[40:] == 128).all()
    assert success[60, 0].tolist() == [90, 220, 110]
    assert failure[60, 0].tolist() == [255, 110, 100]


def test_a_grid_shows_the_last_frame_of_what_is_over() -> None:
    episodes = [[np.full((4, 4, 3), 10 * e + s, np.uint8) for s in range(e + 1)] for e in range(3)]
    frames = list(grid(episodes))
    assert len(frames) == 3
    assert frames[2].shape == (8, 8, 3)
    assert [frames[2][y, x, 0] for y, x in ((0, 0), (0, 4), (4, 0), (4, 4))] == [0, 11, 22, 0]

"""Videos of a run's policy show the episodes that were asked for, with their outcomes."""

from pathlib import Path

import imageio.v2 as imageio
import pytest

from egorobot.errors import UserError
from egorobot.render import render_run
from egorobot.runs import read_result


def test_a_video_for_each_episode(finished_run: Path, tmp_path: Path) -> None:
    evaluation = read_result(finished_run)["eval"]
    success, failure = (evaluation["episode_seeds"][evaluation["outcomes"].index(o)] for o in (True, False))
    paths = render_run(finished_run, [success, failure], tmp_path, image_size=96, num_workers=1)
    assert [p.name for p in paths] == [f"seed{success}_success.mp4", f"seed{failure}_failure.mp4"]
    lengths = [imageio.get_reader(path).count_frames() for path in paths]
    assert lengths[1] == 101 + 12  # a failure takes all 100 steps; the last frame stays for a second
    assert lengths[0] < lengths[1]
    assert imageio.get_reader(paths[0]).get_data(0).shape == (96, 96, 3)


def test_a_grid_of_all_episodes(finished_run: Path, tmp_path: Path) -> None:
    (path,) = render_run(finished_run, [100001, 100000], tmp_path, as_grid=True, image_size=64, num_workers=2)
    assert path.name == "grid_100001_2.mp4"
    assert imageio.get_reader(path).get_data(0).shape == (64, 128, 3)


@pytest.mark.parametrize(("seeds", "image_size"), [([], 224), ([-1], 224), ([100000], 8)])
def test_bad_wishes_are_one_line(finished_run: Path, seeds: list[int], image_size: int) -> None:
    with pytest.raises(UserError, match="a seed and 64 pixels are needed"):
        render_run(finished_run, seeds, image_size=image_size)


def test_a_file_is_no_folder_for_videos(finished_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is not a folder: choose another out="):
        render_run(finished_run, [100000], tmp_path / "file")


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        render_run(tmp_path, [100000])

"""The rollout videos beside the page: few, chosen by a rule, and there for whoever shows them."""

import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote


def source(attributes: str) -> str:
    """Where a video is, by the attributes of its element."""
    (found,) = re.findall(r'src="([^"]*)"', attributes)
    return unquote(found)


def test_videos_are_few_and_chosen_by_a_rule(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
    """One success and one failure a task, of the lowest training seed and then of the lowest episode seed."""
    names = [
        "seed100010_success",
        "seed100002_success",
        "seed100045_failure",
        "grid_1_4",
        "seed_success",
        "seed5_other",
    ]
    names += ["seed7_success", "seed100001_failure"]  # no evaluation seed, and not what came of it: drawn by hand
    for name in names:
        clip(tmp_path / "run0" / "videos" / f"{name}.mp4")
    clip(tmp_path / "run1" / "videos" / "seed100001_success.mp4", 90)
    results = [make_result(), make_result(seed=1), make_result(task="knob")]
    clip(tmp_path / "run2" / "videos" / "seed100042_failure.mp4", 150)
    text = write_board(tmp_path / "out", *results, runs=tmp_path)
    videos = re.findall(r"<video ([^>]*)>", text)
    assert len(videos) == 3
    assert all('preload="none"' in video and " controls" in video and "autoplay" not in video for video in videos)
    assert re.findall(r"training seed (\d+), episode (\d+)<", text) == [
        ("0", "100042"),
        ("0", "100002"),
        ("0", "100045"),
    ]
    assert "3 videos · 3 runs · command" in text
    shutil.move(tmp_path / "out", tmp_path / "elsewhere")
    for video in videos:
        assert (tmp_path / "elsewhere" / source(video)).stat().st_size > 0


def test_old_copies_go_and_other_files_stay(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
    source, out = clip(tmp_path / "run0" / "videos" / "seed100001_success.mp4"), tmp_path / "out"
    write_board(out, make_result(), runs=tmp_path)
    (first,) = out.glob("videos/*.mp4")
    write_board(out, make_result(), runs=tmp_path)
    assert list(out.glob("videos/*.mp4")) == [first]
    own = clip(out / "videos" / "seed1_failure.mp4")
    clip(source, 90)
    write_board(out, make_result(), runs=tmp_path)
    assert len(list(out.glob("videos/*.mp4"))) == 2 and own.exists() and not first.exists()
    source.unlink()
    write_board(out, make_result(), runs=tmp_path)
    assert list(out.glob("videos/*.mp4")) == [own]


def test_pages_written_at_once_end_with_their_videos(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
    """What one page no longer shows is not taken from another that is written meanwhile."""

    def build(i: int) -> None:
        write_board(tmp_path / "out", make_result(), runs=tmp_path / str(i % 4))

    for i in range(4):
        clip(tmp_path / str(i) / "run0" / "videos" / "seed100001_success.mp4", 50 * i)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(build, range(32)))
    (video,) = re.findall(r"<video ([^>]*)>", (tmp_path / "out" / "leaderboard.html").read_text(encoding="utf-8"))
    assert [path.name for path in tmp_path.glob("out/videos/*.mp4")] == [Path(source(video)).name]


def test_no_videos_make_no_folder(
    tmp_path: Path, make_result: Callable[..., dict[str, Any]], write_board: Callable[..., str]
) -> None:
    text = write_board(tmp_path / "out", make_result(), runs=tmp_path)
    assert "<video" not in text and "1 run · command" in text
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["leaderboard.html"]


def test_the_page_does_not_depend_on_places_or_order(
    tmp_path: Path,
    make_result: Callable[..., dict[str, Any]],
    clip: Callable[..., Path],
    write_board: Callable[..., str],
) -> None:
    results = [make_result(40 - i, seed=i, num_demos=n) for i in range(3) for n in (10, 100)]
    clip(tmp_path / "a" / "run0" / "videos" / "seed100003_success.mp4")
    shutil.copytree(tmp_path / "a" / "run0", tmp_path / "b" / "run5")
    first = write_board(tmp_path / "a" / "out", *results, runs=tmp_path / "a")
    second = write_board(tmp_path / "b" / "out", *reversed(results), runs=tmp_path / "b")
    assert first == second
    assert [p.name for p in (tmp_path / "a/out/videos").iterdir()] == [
        p.name for p in (tmp_path / "b/out/videos").iterdir()
    ]

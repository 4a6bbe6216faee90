import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

pytest.importorskip("pyarrow")

import pyarrow as pa
from pyarrow import parquet

from egorobot.envs.demonstrations import read_info
from egorobot.envs.exchange import lerobot_layout, lerobot_stats, lerobot_writer
from egorobot.envs.exchange.lerobot_reader import LeRobotReader
from egorobot.envs.exchange.lerobot_video import VideoSettings
from egorobot.envs.exchange.recorded import recorded_demos
from egorobot.envs.exchange.sources import reader_for
from egorobot.errors import UserError

KEY = "observation.images.left_cap2"
VIDEO = f"videos/{KEY}/chunk-000/file-000.mp4"
DATA = "data/chunk-000/file-000.parquet"
EPISODES = "meta/episodes/chunk-000/file-000.parquet"


def psnr(images, originals):
    """The lowest PSNR of a frame, in dB."""
    errors = ((images.astype(np.float64) - originals) ** 2).mean(axis=(1, 2, 3))
    return 10 * np.log10(255**2 / max(errors.max(), 1e-9))


@pytest.fixture(scope="module")
def dataset(info, demos, tmp_path_factory):
    """Three demonstrations as a LeRobotDataset with a video. Read only."""
    return lerobot_writer.write_lerobot(tmp_path_factory.mktemp("lerobot") / "microwave", info, demos)


@pytest.fixture
def copy(dataset, tmp_path):
    return shutil.copytree(dataset, tmp_path / "copy")


def test_there_and_back(dataset, demos, info):
    reader = reader_for(f"lerobot:{dataset}")
    assert isinstance(reader, LeRobotReader)
    assert reader.num_episodes == 3
    env = reader.env
    assert (env.protocol, env.task, env.env_id) == ("kitchen", "microwave", "egorobot/Microwave-v0")
    assert env.render_fingerprint == info.render_fingerprint
    for index, demo in enumerate(demos):
        episode = reader.read(index)
        for name in ("actions", "rewards", "states"):
            ours, theirs = getattr(demo, name), getattr(episode, name)
            assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
        assert episode.seed == demo.seed
        assert np.array_equal(episode.positions[:, :9].astype(np.float32), demo.vectors["proprio"])
        assert np.array_equal(episode.positions[:, 9:].astype(np.float32), demo.vectors["state"][:, :21])
        assert np.array_equal(episode.desk.astype(np.float32), demo.vectors["state"][0, 21:])
        assert psnr(episode.images["left_cap2"], demo.images["left_cap2"]) > 50  # measured: 53
        assert reader.read(index, images=False).images == {}


def test_images_as_png_are_exact(info, demos, tmp_path):
    folder = lerobot_writer.write_lerobot(tmp_path / "png", info, demos, video=None)
    assert not (folder / "videos").exists()
    for index, demo in enumerate(demos):
        assert np.array_equal(LeRobotReader(str(folder)).read(index).images["left_cap2"], demo.images["left_cap2"])


def test_a_video_that_every_player_knows(info, demos, tmp_path):
    folder = lerobot_writer.write_lerobot(tmp_path / "small", info, demos, VideoSettings("yuv420p", 18))
    images = LeRobotReader(str(folder)).read(1).images["left_cap2"]
    assert 30 < psnr(images, demos[1].images["left_cap2"]) < 45


def test_what_the_files_say(dataset, demos):
    info = json.loads((dataset / "meta/info.json").read_text())
    total = sum(demo.length for demo in demos)
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 12.5, total)
    assert info["features"][KEY]["info"]["video.pix_fmt"] == "yuv444p"
    rows = parquet.read_table(dataset / EPISODES).to_pylist()
    starts = np.cumsum([0, *(demo.length for demo in demos)])
    for row, demo, start in zip(rows, demos, starts, strict=False):
        assert (row["dataset_from_index"], row["dataset_to_index"]) == (start, start + demo.length)
        assert row["tasks"] == ["open the microwave"]
        assert row[f"videos/{KEY}/from_timestamp"] == pytest.approx(start / 12.5)
    frames = parquet.read_table(dataset / DATA).to_pydict()
    assert frames["index"] == list(range(total))
    assert frames["timestamp"][starts[1] : starts[1] + 2] == pytest.approx([0.0, 0.08])
    assert np.flatnonzero(frames["next.done"]).tolist() == [start - 1 for start in starts[1:]]


def test_statistics_of_all_are_those_of_the_frames(dataset, demos):
    stats = json.loads((dataset / "meta/stats.json").read_text())
    actions = np.concatenate([demo.actions for demo in demos]).astype(np.float64)
    for name, values in {
        "min": actions.min(0),
        "max": actions.max(0),
        "mean": actions.mean(0),
        "std": actions.std(0),
    }.items():
        np.testing.assert_allclose(stats["action"][name], values, atol=1e-9)
    assert stats["action"]["count"] == [len(actions)]
    pixels = np.concatenate([demo.images["left_cap2"] for demo in demos]) / 255
    np.testing.assert_allclose(np.ravel(stats[KEY]["mean"]), pixels.mean((0, 1, 2)), atol=0.01)
    assert np.shape(stats[KEY]["q99"]) == (3, 1, 1)
    alone = lerobot_stats.vector_stats(actions)
    np.testing.assert_allclose(alone["q50"], np.median(actions, axis=0))


def test_files_are_followed_by_others_when_they_are_full(info, demos, tmp_path, monkeypatch):
    monkeypatch.setattr(lerobot_layout, "DATA_FILE_SIZE", 0)
    monkeypatch.setattr(lerobot_layout, "VIDEO_FILE_SIZE", 0)
    monkeypatch.setattr(lerobot_layout, "CHUNK_SIZE", 2)
    folder = lerobot_writer.write_lerobot(tmp_path / "many", info, demos)
    found = sorted(str(path.relative_to(folder / "data")) for path in folder.glob("data/*/*"))
    assert found == ["chunk-000/file-000.parquet", "chunk-000/file-001.parquet", "chunk-001/file-000.parquet"]
    assert len(list(folder.glob("videos/*/*/*.mp4"))) == 3
    reader = LeRobotReader(str(folder))
    for index, demo in enumerate(demos):
        episode = reader.read(index)
        assert np.array_equal(episode.states, demo.states)
        assert psnr(episode.images["left_cap2"], demo.images["left_cap2"]) > 50


def test_a_dataset_without_our_states_is_read_by_its_vectors(copy, demos):
    """What another library would write: no exact states."""
    table = parquet.read_table(copy / DATA).drop_columns([lerobot_layout.STATE])
    parquet.write_table(table, copy / DATA)
    info = json.loads((copy / "meta/info.json").read_text())
    del info["features"][lerobot_layout.STATE]
    (copy / "meta/info.json").write_text(json.dumps(info))
    reader = LeRobotReader(str(copy))
    episode = reader.read(2)
    assert reader.env.task is None and episode.states is None and episode.velocities is None
    assert np.array_equal(episode.positions[:, :9].astype(np.float32), demos[2].vectors["proprio"])
    assert np.array_equal(episode.desk.astype(np.float32), demos[2].vectors["state"][0, 21:])


def test_fingerprint_is_of_the_content(dataset, copy):
    assert LeRobotReader(str(copy)).fingerprint == LeRobotReader(str(dataset)).fingerprint
    (copy / "meta/stats.json").write_text("{}")
    assert LeRobotReader(str(copy)).fingerprint != LeRobotReader(str(dataset)).fingerprint


def _read_all(folder):
    reader = LeRobotReader(str(folder))
    return [reader.read(index) for index in range(3)]


def _change_info(folder, **changes):
    path = folder / "meta/info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _change_frames(folder, name, values):
    table = parquet.read_table(folder / DATA)
    column = table.column_names.index(name)
    parquet.write_table(table.set_column(column, name, values(table[name])), folder / DATA)


def _shift_video(folder, seconds):
    table = parquet.read_table(folder / EPISODES)
    name = f"videos/{KEY}/from_timestamp"
    later = pa.array([start + seconds for start in table[name].to_pylist()])
    parquet.write_table(table.set_column(table.column_names.index(name), name, later), folder / EPISODES)


def _with_nan(column):
    array = np.asarray(column.combine_chunks().flatten()).copy()
    array[40] = np.nan
    return pa.FixedSizeListArray.from_arrays(array, 9)


DAMAGE = {
    "no LeRobotDataset at": lambda folder: (folder / "meta/info.json").unlink(),
    "is a LeRobotDataset v2.1": lambda folder: _change_info(folder, codebase_version="v2.1"),
    "has 25 steps a second, and the kitchen takes 12.5": lambda folder: _change_info(folder, fps=25),
    "lacks 'action'": lambda folder: _change_info(folder, features={}),
    "is damaged (Expecting": lambda folder: (folder / "meta/info.json").write_text("{"),
    "is damaged ('features')": lambda folder: (folder / "meta/info.json").write_text('{"codebase_version": "v3.0"}'),
    "holds no episodes": lambda folder: shutil.rmtree(folder / "meta/episodes"),
    "file-000.parquet": lambda folder: (folder / DATA).unlink(),
    "is damaged (": lambda folder: (folder / DATA).write_bytes((folder / DATA).read_bytes()[:1000]),
    "frames of episode 0, not": lambda folder: _change_frames(
        folder, "episode_index", lambda c: pa.array([0] * len(c))
    ),
    "actions hold NaN or infinity at step 4": lambda folder: _change_frames(folder, "action", _with_nan),
    "30 ms off its time": lambda folder: _shift_video(folder, 0.03),
    "s on, 49 are needed": lambda folder: _shift_video(folder, 8.0),
    "is missing, damaged, or no video": lambda folder: (folder / VIDEO).write_bytes(
        (folder / VIDEO).read_bytes()[:999]
    ),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_dataset_is_one_line(copy, message):
    DAMAGE[message](copy)
    with pytest.raises(UserError) as caught:
        _read_all(copy)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_nothing_is_left_of_what_cannot_be_written(info, demos, tmp_path):
    bad = replace(demos[1], images={"left_cap2": demos[1].images["left_cap2"][:, :32, :32]})
    with pytest.raises(UserError, match="demo_1 has other observations"):
        lerobot_writer.write_lerobot(tmp_path / "new" / "deep" / "out", info, [demos[0], bad])
    with pytest.raises(UserError, match="crf=99"):
        lerobot_writer.write_lerobot(tmp_path / "out", info, demos, VideoSettings(crf=99))
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="there already"):
        lerobot_writer.write_lerobot(tmp_path / "full", info, demos)
    assert [path.name for path in tmp_path.rglob("*")] == ["full", "mine.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda demo: demo.pop("rewards"), "demo_1 is not a demonstration of egorobot"),
        (lambda demo: demo["obs"].pop("state"), "demo_1 is not a demonstration of egorobot"),
        (
            lambda demo: demo["states"].write_direct(np.full(demo["states"].shape, np.nan)),
            "states hold NaN or infinity at step 0",
        ),
        (lambda demo: demo.create_dataset("obs/extra", data=np.zeros(3)), None),
        (lambda demo: _replace(demo, "rewards", np.zeros(3)), "rewards are shaped (3, 1)"),
        (
            lambda demo: _replace(demo, "obs/left_cap2_image", np.zeros((4, 8, 8), np.uint8)),
            "images of left_cap2 are uint8",
        ),
    ],
)
def test_demonstrations_are_checked_on_their_way_out(demonstrations, tmp_path, change, message):
    path = shutil.copy(demonstrations, tmp_path / "demos.hdf5")
    with h5py.File(path, "a") as file:
        change(file["data/demo_1"])
    found = recorded_demos(read_info(path), range(3))
    if message is None:  # what the first demonstration does not have is not read
        assert len(list(found)) == 3
        return
    with pytest.raises(UserError) as caught:
        list(found)
    assert message in str(caught.value)


def _replace(group, name, values):
    del group[name]
    group[name] = values

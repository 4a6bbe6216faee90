"""Tracks from the records of captioning: those of the right clip at the right times."""

import json
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from egorobot.errors import UserError
from egorobot.pretrain.corpora.track_table import TrackTable, open_track_table
from egorobot.pretrain.hod.records import Record, unreadable_record, write_records


def record(clip_id: str, start: float, left_sides: list[float]) -> Record:
    """Return a record of tracks at 10 Hz, in which the left hand touches and the right one is not in view."""
    nan = float("nan")
    rows = [[x, 0.1, x + 0.1, 0.2, *[nan] * 4, 0.5, 0.5, 0.6, 0.6, 1.0, 0.0] for x in left_sides]
    fields = {
        "clip_id": clip_id,
        "start_second": start - 0.5,
        "first_second": start,
        "frame_rate": 10.0,
        "tracks": json.dumps(rows),
    }
    return unreadable_record(clip_id, "") | fields


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Two files of records, one of a clip that could not be read."""
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / ".part-1.99.parquet").write_bytes(b"of a run that was killed")
    write_records(folder / "part-0.parquet", [record("a/1", 1.0, [0.1, 0.2, 0.3]), unreadable_record("a/2", "broken")])
    write_records(folder / "part-1.parquet", [record("b/1", 0.0, [0.7, 0.8])])
    return folder


@pytest.fixture
def table(records: Path, tmp_path: Path) -> TrackTable:
    return open_track_table(records, tmp_path / "indexes")


def test_tracks_are_those_of_the_nearest_frames(table: TrackTable) -> None:
    tracks = table.at("a/1", np.array([1.0, 1.04, 1.06, 1.2, 1.24]))
    assert tracks is not None
    np.testing.assert_allclose(tracks.hands[:, 0, 0], [0.1, 0.1, 0.2, 0.3, 0.3], rtol=1e-6)
    assert np.isnan(tracks.hands[:, 1]).all()
    np.testing.assert_allclose(tracks.object, [[0.5, 0.5, 0.6, 0.6]] * 5, rtol=1e-6)
    assert tracks.contact.tolist() == [[True, False]] * 5
    other = table.at("b/1", np.array([0.1]))
    assert other is not None and other.hands[0, 0, 0] == np.float32(0.8)


def test_times_that_nobody_looked_at_are_not_those_of_nothing(table: TrackTable) -> None:
    """One frame further than the last is still that frame; a clip shown for longer has no tracks."""
    tracks = table.at("a/1", np.array([0.9, 1.1, 1.3]))
    assert tracks is not None
    np.testing.assert_allclose(tracks.hands[:, 0, 0], [0.1, 0.2, 0.3], rtol=1e-6)
    assert table.at("a/1", np.array([0.8, 1.1])) is None and table.at("a/1", np.array([1.1, 1.4])) is None


def test_clips_that_were_not_read_have_no_tracks(table: TrackTable) -> None:
    assert table.at("a/2", np.array([0.0])) is None and table.at("a/3", np.array([0.0])) is None
    assert [table.has(name) for name in ("a/1", "a/2", "a/3")] == [True, True, False]


def test_other_processes_map_the_same_files(table: TrackTable, records: Path) -> None:
    sent = pickle.dumps(table)
    assert len(sent) < 500
    tracks = pickle.loads(sent).at("b/1", np.array([0.0]))
    assert tracks.hands[0, 0, 0] == np.float32(0.7)


def test_records_are_read_once_and_again_when_they_change(table: TrackTable, records: Path, tmp_path: Path) -> None:
    assert open_track_table(records, tmp_path / "indexes").folder == table.folder
    write_records(records / "part-1.parquet", [record("b/1", 0.0, [0.4, 0.5, 0.6])])
    changed = open_track_table(records, tmp_path / "indexes").at("b/1", np.array([0.2]))
    assert changed is not None and changed.hands[0, 0, 0] == np.float32(0.6)


def test_a_folder_without_records_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no records .* in .*nothing: pretrain.hod writes them"):
        open_track_table(tmp_path / "nothing", tmp_path / "indexes")


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing", None])
def test_a_file_that_is_no_record_is_named(records: Path, tmp_path: Path, content: bytes | None) -> None:
    if content is None:
        parquet.write_table(pa.table({"clip": ["a"]}), records / "part-2.parquet")
    else:
        (records / "part-2.parquet").write_bytes(content)
    with pytest.raises(UserError, match=r"part-2.parquet cannot be read as records of pretrain.hod \(.+\)$"):
        open_track_table(records, tmp_path / "indexes")

"""Records in Parquet: what goes in comes out."""

from pathlib import Path

from egorobot.pretrain.hod.records import FIELDS, read_records, unreadable_record, write_records


def test_records_are_read_as_they_were_written(tmp_path: Path) -> None:
    records = [unreadable_record("v/0.000-1.000", "no video"), unreadable_record("v/1.000-2.000", "no frames")]
    write_records(tmp_path / "part.parquet", records)
    assert list(read_records(tmp_path / "part.parquet")) == records
    assert all(tuple(record) == FIELDS for record in records)


def test_half_a_character_is_no_reason_to_lose_a_part(tmp_path: Path) -> None:
    """JSON of others may have it, in narrations too, and UTF-8 does not."""
    record = {**unreadable_record("v/0.000-1.000", "no video"), "narration": "C moves the cup \ud83d. Grüße 🥄"}
    write_records(tmp_path / "part.parquet", [record])
    (found,) = read_records(tmp_path / "part.parquet")
    assert found == {**record, "narration": "C moves the cup ?. Grüße 🥄"}

"""What is counted of a job, and which captions are for training."""

import csv
import json
from pathlib import Path
from typing import Any

from egorobot.pretrain.hod.narrations import UNNAMED
from egorobot.pretrain.hod.records import FIELDS, read_records, tracks_of, unreadable_record, write_records
from egorobot.pretrain.hod.rephrasing import FAITHFUL, FALLBACK, NOTHING_SEEN, UNFAITHFUL, UNREADABLE
from egorobot.pretrain.hod.report import COLUMNS, write_captions


def record(number: int, verdict: str, *faults: str, noun: str = "cup") -> dict[str, Any]:
    """A record whose captions of the model had these kinds of faults, one each; "" is none."""
    attempts = [{"caption": "x", "faults": [{"kind": kind, "reason": ""}] if kind else []} for kind in faults]
    return {
        **unreadable_record(f"v/{number}", ""), "dataset": "d", "video_id": "v", "start_second": float(number),
        "end_second": number + 1.0, "object": noun, "caption": f"caption {number}, of \"it\"", "verdict": verdict,
        "attempts": json.dumps(attempts), "model": "m", "prompt_version": "full-1",
    }  # fmt: skip


RECORDS = [
    record(0, FAITHFUL, ""),
    record(1, FAITHFUL, "side", ""),
    record(2, FALLBACK, "side", "order", "side"),
    record(3, FAITHFUL),
    record(4, NOTHING_SEEN, noun=UNNAMED),
    record(5, UNFAITHFUL),
    unreadable_record("v/6", "cut off"),
    record(7, UNFAITHFUL, "order"),
]


def test_captions_for_training_are_those_that_are_faithful(tmp_path: Path) -> None:
    write_captions(tmp_path / "captions.csv", RECORDS)
    with (tmp_path / "captions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["text"] for row in rows] == [RECORDS[i]["caption"] for i in (0, 1, 2, 3)]
    assert [float(row["start_second"]) for row in rows] == [0, 1, 2, 3]


def test_counts(tmp_path: Path) -> None:
    report = write_captions(tmp_path / "captions.csv", RECORDS)
    counts = report.to_dict()
    assert counts["clips"] == 8 and counts["unnamed"] == 1
    assert counts["verdicts"] == {FAITHFUL: 3, FALLBACK: 1, NOTHING_SEEN: 1, UNFAITHFUL: 2, UNREADABLE: 1}
    assert counts["language_model"] == {
        "models": {"m, prompt full-1": 4},
        "asked": 4,
        "faithful_at_first": 1,
        "faithful_after_retries": 1,
        "fallbacks": 1,
        "faulty_captions": {"order": 2, "side": 3},
    }
    lines = "\n".join(report.lines())
    assert "first try: 25 % [5, 70] 1/4" in lines and "after retries: 50 % [15, 85] 2/4" in lines
    assert "3 side, 2 order" in lines


def test_without_a_language_model_nothing_is_said_of_it(tmp_path: Path) -> None:
    assert len(write_captions(tmp_path / "captions.csv", RECORDS[3:7]).lines()) == 1


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    write_records(tmp_path / "part.parquet", RECORDS)
    assert list(read_records(tmp_path / "part.parquet")) == [{name: r[name] for name in FIELDS} for r in RECORDS]
    assert list(read_records(tmp_path / "part.parquet", ["clip_id"])) == [{"clip_id": r["clip_id"]} for r in RECORDS]
    write_records(tmp_path / "none.parquet", [])
    assert list(read_records(tmp_path / "none.parquet")) == []


def test_a_clip_that_cannot_be_read_has_no_tracks() -> None:
    assert tracks_of(RECORDS[-1]).hands.shape == (0, 2, 4)

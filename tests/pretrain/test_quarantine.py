"""Quarantine: each bad clip once, whatever happens to the process, and not too many."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from egorobot.errors import UserError
from egorobot.pretrain.quarantine import Quarantine
from egorobot.pretrain.samples import BadClip, ClipSample, ClipWords


class FakeCorpus:
    """A hundred clips, of which every fifth is bad."""

    name, group_size, variants = "fake", 1, ()

    def __len__(self) -> int:
        return 100

    def __getitem__(self, number: int) -> ClipSample:
        if number % 5 == 0:
            raise BadClip(f"/videos/{number}.mp4 " + ("is no video" if number % 2 else f"is damaged at {number}.5 s"))
        return ClipSample(self.clip_id(number), "v", np.zeros((2, 4, 4, 3), np.uint8), 1, ["x"], [])

    def clip_id(self, number: int) -> str:
        return f"clip {number}"

    def words(self, number: int) -> ClipWords:
        sample = self[number]
        return ClipWords(sample.narrations, sample.hod)

    def captions(self) -> Iterator[str]:
        yield "x"

    def split(self, valid_share: float) -> tuple[Sequence[int], Sequence[int]]:
        return range(90), range(90, 100)


def test_bad_clips_are_counted_once(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.jsonl", 0.5, 100)
    assert quarantine.summary() == "quarantined none of 100 clips"
    for _ in range(3):
        found = [quarantine.read(FakeCorpus(), number) for number in range(60)]
        assert [sample is None for sample in found] == [number % 5 == 0 for number in range(60)]
    assert quarantine.num_bad == 12
    assert quarantine.summary() == (
        f"quarantined 12 of 100 clips (6 … is damaged at … s; 6 … is no video): see {tmp_path / 'q.jsonl'}"
    )
    lines = [json.loads(line) for line in (tmp_path / "q.jsonl").read_text().splitlines()]
    assert [line["clip_id"] for line in lines] == [f"clip {number}" for number in range(0, 60, 5)]
    assert lines[1] == {"clip_id": "clip 5", "reason": "/videos/5.mp4 is no video"}


def test_what_processes_report_is_counted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.jsonl", 1.0, 10)
    for clip_id in ("a", "b", "a"):
        quarantine.record(clip_id, "cut off")
    assert quarantine.num_bad == 2


def test_all_that_were_found_together_are_noted_before_too_many_stop_the_work(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.jsonl", 0.1, 20)
    with pytest.raises(UserError, match="5 of 20"):
        quarantine.record_all([(f"clip {number}", "cut off") for number in range(5)])
    assert Quarantine(tmp_path / "q.jsonl", 0.25, 20).num_bad == 5


def test_too_many_stop_the_work(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "q.jsonl", 0.1, 100)
    for number in range(50):
        quarantine.read(FakeCorpus(), number)
    with pytest.raises(UserError) as caught:
        quarantine.read(FakeCorpus(), 50)
    assert quarantine.num_bad == 11
    assert str(caught.value) == (
        "11 of 100 clips cannot be read, more than max_bad_share=0.1 (6 … is damaged at … s; 5 … is no video): "
        f"mend the files named in {tmp_path / 'q.jsonl'} and remove it, or raise max_bad_share"
    )
    assert len((tmp_path / "q.jsonl").read_text().splitlines()) == 11
    with pytest.raises(UserError, match="11 of 100"):
        Quarantine(tmp_path / "q.jsonl", 0.1, 100)
    assert Quarantine(tmp_path / "q.jsonl", 0.11, 100).num_bad == 11


def test_none_may_be_bad(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"1 of 100 clips cannot be read, more than max_bad_share=0\.0"):
        Quarantine(tmp_path / "q.jsonl", 0.0, 100).record("a", "cut off")
    with pytest.raises(UserError, match=r"max_bad_share=1\.5: it must be in \[0, 1\]"):
        Quarantine(tmp_path / "q.jsonl", 1.5, 100)


def test_a_run_that_goes_on_counts_no_clip_anew(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    first = Quarantine(file, 0.5, 100)
    for number in range(30):
        first.read(FakeCorpus(), number)
    again = Quarantine(file, 0.5, 100)
    for number in range(100):
        again.read(FakeCorpus(), number)
    assert again.num_bad == 20 and len(file.read_text().splitlines()) == 20


def test_a_line_that_was_not_finished_is_written_again(tmp_path: Path) -> None:
    file = tmp_path / "q.jsonl"
    Quarantine(file, 1.0, 10).record("a", "cut off")
    whole = file.read_bytes()
    line = json.dumps({"clip_id": "b", "reason": "kein Bild ✋"}).encode() + b"\n"
    for size in range(len(line)):
        file.write_bytes(whole + line[:size])
        quarantine = Quarantine(file, 1.0, 10)
        assert quarantine.num_bad == 1
        quarantine.record("b", "kein Bild ✋")
        assert file.read_bytes() == whole + line


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text('{"clip_id": "a", "reason": "x"}\nnot JSON\n')
    with pytest.raises(UserError, match=r"q\.jsonl is damaged"):
        Quarantine(tmp_path / "q.jsonl", 1.0, 10)

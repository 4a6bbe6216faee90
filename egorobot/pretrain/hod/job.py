"""Records of many clips, in parts that are whole or not there, and what is made of all of them."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egorobot.files import claim_folder, sole_user, write_json
from egorobot.pretrain.hod.clips import HodClip, annotations, read_clip
from egorobot.pretrain.hod.preview import PREVIEW_FOLDER, write_previews
from egorobot.pretrain.hod.records import Record, read_records
from egorobot.pretrain.hod.rephrasing import UNREADABLE, Progress
from egorobot.pretrain.hod.report import NEEDED, Report, write_captions
from egorobot.pretrain.hod.stages import Seeing, Telling, WrittenPart
from egorobot.pretrain.quarantine import Quarantine
from egorobot.pretrain.samples import BadClip

OPTIONS_FILE = "hod.json"
RECORDS_FOLDER = "records"
CAPTIONS_FILE = "captions.csv"
REPORT_FILE = "report.json"
QUARANTINE_FILE = "quarantine.jsonl"

Backend = Callable[[Seeing, Telling, Sequence[int], Progress], Iterator[WrittenPart]]


@dataclass(frozen=True)
class HodJob:
    """What is captioned, and where to.

    Attributes:
        seeing: finds out what happens in the clips.
        telling: writes their records, into a folder of `out`.
        out: folder of all that is written.
        max_bad_share: share of the clips that may be unreadable before the work stops.
        num_previews: clips that are shown for people to look at.
    """

    seeing: Seeing
    telling: Telling
    out: Path
    max_bad_share: float
    num_previews: int

    def run(self, options: dict[str, Any], backend: Backend) -> Report:
        """Write the parts that are not there yet, captions, report and previews, and return the report.

        Args:
            options: all that decides what is written; kept with it.
            backend: does the work.

        Raises:
            UserError: `out` holds something else, another process writes there, or too many
                clips cannot be read.
        """
        num_clips = len(self.seeing.corpus)
        clips = {"num_clips": num_clips, "annotations": annotations(self.seeing.corpus)}
        claim_folder(self.out, OPTIONS_FILE, {**options, **clips}, "captions")
        with sole_user(self.out, "captions"):
            quarantine = Quarantine(self.out / QUARANTINE_FILE, self.max_bad_share, num_clips)
            parts = range(-(-num_clips // self.seeing.clips_per_part))
            self._write_parts(parts, backend, quarantine)
            picks = _Picks(self.num_previews)
            records = picks.watch(record for part in parts for record in self._read(part, quarantine))
            report = write_captions(self.out / CAPTIONS_FILE, records)
            write_json(self.out / REPORT_FILE, report.to_dict())
            if self.num_previews:
                write_previews(self.out / PREVIEW_FOLDER, self._previews(picks.numbers()))
        return report

    def _write_parts(self, parts: range, backend: Backend, quarantine: Quarantine) -> None:
        todo = [part for part in parts if not self._finished(part, quarantine)]
        left = sum(len(self.seeing.numbers(part)) for part in todo)
        total = len(self.seeing.corpus)
        with tqdm(total=total, initial=total - left, desc="captions", unit="clip", dynamic_ncols=True) as bar:
            for written in backend(self.seeing, self.telling, todo, bar.update):
                quarantine.record_all((clip.clip_id, clip.reason) for clip in written.bad)

    def _finished(self, part: int, quarantine: Quarantine) -> bool:
        """Whether a part is there, and what could not be read is noted: where it is not, it may have been mended."""
        file = self.telling.file(part)
        return file.exists() and all(
            record["verdict"] != UNREADABLE or record["clip_id"] in quarantine
            for record in read_records(file, ("clip_id", "verdict"))
        )

    def _read(self, part: int, quarantine: Quarantine) -> Iterator[Record]:
        """Yield the records of a part, without boxes and events."""
        for record in read_records(self.telling.file(part), NEEDED):
            if record["verdict"] == UNREADABLE:
                quarantine.record(record["clip_id"], json.loads(record["faults"])[0]["reason"])
            yield record

    def _previews(self, numbers: Sequence[int]) -> Iterator[tuple[Record, HodClip]]:
        for number in tqdm(numbers, desc="previews", unit="clip", dynamic_ncols=True):
            part, row = divmod(number, self.seeing.clips_per_part)
            record = next(r for i, r in enumerate(read_records(self.telling.file(part))) if i == row)
            try:
                clip = read_clip(self.seeing.corpus, number)
            except BadClip:
                continue  # captions are written: what is gone since then is not shown
            yield record, clip


class _Picks:
    """Chooses clips to look at, as many of each verdict as can be, while records go by."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.found: dict[str, list[int]] = {}

    def watch(self, records: Iterator[Record]) -> Iterator[Record]:
        """Yield `records`, which are those of clips 0, 1, ..."""
        for number, record in enumerate(records):
            kept = self.found.setdefault(record["verdict"], [])
            if len(kept) < self.count and record["verdict"] != UNREADABLE:
                kept.append(number)
            yield record

    def numbers(self) -> list[int]:
        """Return the numbers of the clips, ascending."""
        ranks = sorted((rank, number) for kept in self.found.values() for rank, number in enumerate(kept))
        return sorted(number for _, number in ranks[: self.count])

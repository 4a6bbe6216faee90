"""Records of many clips, in parts that are whole or not there, and what is made of all of them."""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from egorobot.files import atomic_path, claim_folder, write_json
from egorobot.pretrain.corpora.video import VideoCorpus
from egorobot.pretrain.hod.captioning import FAITHFUL, FIELDS, NUMBERS, Captioner
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.quarantine import Quarantine

OPTIONS_FILE = "hod.json"
RECORDS_FOLDER = "records"
CAPTIONS_FILE = "captions.csv"
REPORT_FILE = "report.json"
QUARANTINE_FILE = "quarantine.jsonl"
COLUMNS = ("dataset", "video_id", "start_second", "end_second", "text")  # EgoHOD's


@dataclass(frozen=True)
class HodJob:
    """What is captioned, and where to.

    Attributes:
        corpus: the clips.
        captioner: makes their records.
        out: folder of all that is written.
        clips_per_part: clips that a file of records covers.
        max_bad_share: share of the clips that may be unreadable before the work stops.
    """

    corpus: VideoCorpus
    captioner: Captioner
    out: Path
    clips_per_part: int
    max_bad_share: float

    def part_file(self, part: int) -> Path:
        """Return where the records of a part are."""
        return self.out / RECORDS_FOLDER / f"part-{part:06}.parquet"

    def run(self, options: dict[str, Any]) -> dict[str, Any]:
        """Write the parts that are not there yet, the captions and the report, and return the report.

        Args:
            options: all that decides what is written; kept with it.

        Raises:
            UserError: `out` holds something else, or too many clips cannot be read.
        """
        claim_folder(self.out, OPTIONS_FILE, {**options, "num_clips": len(self.corpus)}, "captions")
        quarantine = Quarantine(self.out / QUARANTINE_FILE, self.max_bad_share, len(self.corpus))
        parts = range(-(-len(self.corpus) // self.clips_per_part))
        with tqdm(total=len(self.corpus), desc="captions", unit="clip", dynamic_ncols=True) as bar:
            for part in parts:
                numbers = self._numbers(part)
                if not self.part_file(part).exists():
                    _write_records(self.part_file(part), list(self._records(numbers, quarantine)))
                bar.update(len(numbers))
        report = self._report(parts, quarantine)
        write_json(self.out / REPORT_FILE, report)
        return report

    def _numbers(self, part: int) -> range:
        return range(part * self.clips_per_part, min((part + 1) * self.clips_per_part, len(self.corpus)))

    def _records(self, numbers: range, quarantine: Quarantine) -> Iterator[dict[str, Any]]:
        for number in numbers:
            sample = quarantine.read(self.corpus, number)
            if sample is not None:
                yield self.captioner.record(self.corpus.table[number], sample.frames_fast)

    def _report(self, parts: range, quarantine: Quarantine) -> dict[str, Any]:
        """Write the captions that are faithful, and return what became of all clips."""
        verdicts: Counter[str] = Counter()
        with (
            atomic_path(self.out / CAPTIONS_FILE) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for record in (record for part in parts for record in _read_records(self.part_file(part))):
                verdicts[record["verdict"]] += 1
                if record["verdict"] == FAITHFUL:
                    rows.writerow([record[name] for name in COLUMNS[:-1]] + [record["caption"]])
        return {"clips": len(self.corpus), "unreadable": quarantine.num_bad, "verdicts": dict(sorted(verdicts.items()))}


def _write_records(path: Path, records: list[dict[str, Any]]) -> None:
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    with atomic_path(path) as temporary:
        # A schema, since a part may have no clip that can be read.
        schema = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in FIELDS])
        parquet.write_table(pa.Table.from_pylist(records, schema), temporary)


def _read_records(path: Path) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = (
        need("pyarrow.parquet").read_table(path, columns=[*COLUMNS[:-1], "caption", "verdict"]).to_pylist()
    )
    return records

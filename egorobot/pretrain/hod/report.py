"""What became of the clips of a job: captions for training, numbers for people, clips to look at."""

import csv
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from egorobot.files import atomic_path
from egorobot.pretrain.hod.narrations import UNNAMED
from egorobot.pretrain.hod.records import Record
from egorobot.pretrain.hod.rephrasing import FAITHFUL, FALLBACK, KEPT
from egorobot.statistics import format_rate

COLUMNS = ("dataset", "video_id", "start_second", "end_second", "text")  # EgoHOD's
NEEDED = (*COLUMNS[:-1], "clip_id", "caption", "verdict", "faults", "object", "model", "prompt_version", "attempts")


class Report:
    """Counts of records, added up one by one.

    Attributes:
        verdicts: how many clips ended with each.
        asked: clips for which the language model was asked.
        first_try: clips whose first caption of the language model was faithful.
        retried: clips of which a later one was.
        fallbacks: clips of which none was, and the template's was taken.
        faults: captions of the model with each kind of fault; one that has two counts for both.
        unnamed: clips whose narration names no thing that could be understood.
    """

    def __init__(self) -> None:
        self.verdicts: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.asked = self.first_try = self.retried = self.fallbacks = self.unnamed = 0

    def add(self, record: Record) -> None:
        """Count a record."""
        verdict, attempts = record["verdict"], json.loads(record["attempts"])
        self.verdicts[verdict] += 1
        self.unnamed += record["object"] == UNNAMED
        for attempt in attempts:
            self.faults.update({fault["kind"] for fault in attempt["faults"]})
        if attempts:
            self.models[f"{record['model']}, prompt {record['prompt_version']}"] += 1
            self.asked += 1
            self.first_try += verdict == FAITHFUL and len(attempts) == 1
            self.retried += verdict == FAITHFUL and len(attempts) > 1
            self.fallbacks += verdict == FALLBACK

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as JSON holds them."""
        return {
            "clips": self.verdicts.total(),
            "verdicts": dict(sorted(self.verdicts.items())),
            "unnamed": self.unnamed,
            "language_model": {
                "models": dict(sorted(self.models.items())),
                "asked": self.asked,
                "faithful_at_first": self.first_try,
                "faithful_after_retries": self.retried,
                "fallbacks": self.fallbacks,
                "faulty_captions": dict(sorted(self.faults.items())),
            },
        }

    def lines(self) -> list[str]:
        """Return the counts as people read them."""
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(self.verdicts.items()))
        lines = [f"{self.verdicts.total()} clips: {verdicts}"]
        if self.asked:
            kinds = ", ".join(f"{count} {kind}" for kind, count in self.faults.most_common())
            lines += [
                f"faithful at the first try: {format_rate(self.first_try, self.asked)}",
                f"after retries: {format_rate(self.first_try + self.retried, self.asked)}",
                f"captions of the model that were rejected, by kind of fault: {kinds or 'none'}",
            ]
        return lines


def write_captions(path: Path, records: Iterable[Record]) -> Report:
    """Write the captions that are fit for training, in EgoHOD's columns, and return what was counted on the way."""
    report = Report()
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        for record in records:
            report.add(record)
            if record["verdict"] in KEPT:
                rows.writerow([*(record[name] for name in COLUMNS[:-1]), record["caption"]])
    return report

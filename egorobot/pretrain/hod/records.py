"""Records of clips as Parquet holds them: everything that is known, one row a clip."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from egorobot.files import atomic_path
from egorobot.pretrain.hod.captioning import Draft
from egorobot.pretrain.hod.packages import need
from egorobot.pretrain.hod.rephrasing import UNREADABLE, Captioned
from egorobot.pretrain.samples import HandObjectTracks

# In order; texts but for the numbers. Lists are JSON.
FIELDS = (
    "clip_id", "dataset", "video_id", "start_second", "end_second", "narration", "object", "detector", "frame_rate",
    "first_second", "tracks", "events", "rephraser", "model", "prompt_version", "attempts", "caption", "verdict",
    "faults",
)  # fmt: skip
NUMBERS = ("start_second", "end_second", "frame_rate", "first_second")

Record = dict[str, Any]


def to_record(captioned: Captioned) -> Record:
    """Return all that is known of a clip, by `FIELDS`."""
    return {
        **_seen(captioned.draft),
        "rephraser": captioned.rephraser,
        "model": captioned.model,
        "prompt_version": captioned.prompt_version,
        "attempts": json.dumps([asdict(attempt) for attempt in captioned.attempts]),
        "caption": captioned.caption,
        "verdict": captioned.verdict,
        "faults": json.dumps([asdict(fault) for fault in captioned.faults]),
    }


def unreadable_record(clip_id: str, reason: str) -> Record:
    """Return the record of a clip that cannot be read."""
    texts = dict.fromkeys(FIELDS, "") | dict.fromkeys(("tracks", "events", "attempts"), "[]")
    faults = json.dumps([{"kind": UNREADABLE, "reason": reason}])
    return {**texts, **dict.fromkeys(NUMBERS), "clip_id": clip_id, "verdict": UNREADABLE, "faults": faults}


def tracks_of(record: Record) -> HandObjectTracks:
    """Return the tracks in a record, of no frames where it has none."""
    return HandObjectTracks.from_array(np.array(json.loads(record["tracks"]), np.float32).reshape(-1, 14))


def _seen(draft: Draft) -> Record:
    clip = draft.clip
    return {
        "clip_id": clip.clip_id,
        "dataset": clip.dataset,
        "video_id": clip.video_id,
        "start_second": clip.start,
        "end_second": clip.end,
        "narration": draft.narration,
        "object": draft.noun,
        "detector": draft.detector,
        "frame_rate": draft.frame_rate,
        "first_second": clip.start + draft.first,
        "tracks": json.dumps(np.round(draft.tracks.to_array().astype(float), 4).tolist()),
        "events": json.dumps([asdict(event) for event in draft.events]),
    }


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write `records` to the Parquet file `path`, all or none."""
    pa, parquet = need("pyarrow"), need("pyarrow.parquet")
    with atomic_path(path) as temporary:
        schema = pa.schema([(name, pa.float64() if name in NUMBERS else pa.string()) for name in FIELDS])
        parquet.write_table(pa.Table.from_pylist([_writable(record) for record in records], schema), temporary)


def _writable(record: Record) -> Record:
    """Return `record` without what UTF-8 cannot hold: surrogates alone, as JSON of others may have them."""
    return {
        name: value.encode(errors="replace").decode() if isinstance(value, str) else value
        for name, value in record.items()
    }


def read_records(path: Path, columns: Sequence[str] | None = None) -> Iterator[Record]:
    """Yield the records in the Parquet file `path`.

    Args:
        path: the file.
        columns: the fields that are wanted; None is all.
    """
    file = need("pyarrow.parquet").ParquetFile(path)
    for batch in file.iter_batches(batch_size=256, columns=None if columns is None else list(columns)):
        yield from batch.to_pylist()

"""Clips that cannot be read: noted in a file, counted, and too many of them stop the work."""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from egorobot.errors import UserError
from egorobot.pretrain.samples import BadClip, ClipSample, Corpus

KINDS_SHOWN = 3  # of reasons, in messages


class Quarantine:
    """The clips of some corpora that could not be read, each counted once.

    Processes that read clips have no part in it: whether a clip is bad depends on the clip
    only, so they pass its name and the reason on to the process that holds this.

    Args:
        file: one JSON object a line, `clip_id` and `reason`. What an earlier run wrote
            there counts, so that a run that goes on counts no clip anew.
        ceiling: share of the clips that may be bad, in [0, 1].
        num_clips: of all corpora together.

    Raises:
        UserError: `file` is damaged, or has more clips than may be bad.
    """

    def __init__(self, file: str | Path, ceiling: float, num_clips: int) -> None:
        check_ceiling(ceiling)
        self.file = Path(file)
        self.ceiling = ceiling
        self.num_clips = num_clips
        self._reasons = _load(self.file)
        self._check()

    @property
    def num_bad(self) -> int:
        """How many clips are bad, of those that were read."""
        return len(self._reasons)

    def __contains__(self, clip_id: str) -> bool:
        return clip_id in self._reasons

    def read(self, corpus: Corpus, number: int) -> ClipSample | None:
        """Return clip `number` of `corpus`, or None, which is noted.

        Raises:
            UserError: more clips are bad than may be.
        """
        try:
            return corpus[number]
        except BadClip as error:
            self.record(corpus.clip_id(number), str(error))
            return None

    def record(self, clip_id: str, reason: str) -> None:
        """Note a clip that cannot be read; one that is known changes nothing.

        Raises:
            UserError: more clips are bad than may be.
        """
        self.record_all([(clip_id, reason)])

    def record_all(self, bad: Iterable[tuple[str, str]]) -> None:
        """Note clips that were found bad together, all of them, each by its name and the reason.

        Raises:
            UserError: more clips are bad than may be.
        """
        for clip_id, reason in bad:
            if clip_id not in self._reasons:
                line = json.dumps({"clip_id": clip_id, "reason": reason}) + "\n"
                self.file.parent.mkdir(parents=True, exist_ok=True)
                with self.file.open("ab", buffering=0) as file:
                    file.write(line.encode())  # whole, or cut off at the end, which `_load` mends
                self._reasons[clip_id] = reason
        self._check()

    def summary(self) -> str:
        """Return in one line how many clips are bad, why, and where they are noted."""
        if not self._reasons:
            return f"quarantined none of {self.num_clips} clips"
        return f"quarantined {self.num_bad} of {self.num_clips} clips ({self._kinds()}): see {self.file}"

    def _kinds(self) -> str:
        # Without paths and numbers, reasons are few.
        kinds = Counter(re.sub(r"\S*/\S*|\d[\d.]*", "…", reason) for reason in self._reasons.values())
        shown = [f"{count} {kind}" for kind, count in kinds.most_common(KINDS_SHOWN)]
        return "; ".join([*shown, *(["others"] if len(kinds) > KINDS_SHOWN else [])])

    def _check(self) -> None:
        if self.num_bad > self.ceiling * self.num_clips:
            raise UserError(
                f"{self.num_bad} of {self.num_clips} clips cannot be read, more than max_bad_share={self.ceiling} "
                f"({self._kinds()}): mend the files named in {self.file} and remove it, or raise max_bad_share"
            )


def check_ceiling(ceiling: float) -> None:
    """Check a share of clips that may be bad.

    Raises:
        UserError: it is not in [0, 1].
    """
    if not 0 <= ceiling <= 1:
        raise UserError(f"max_bad_share={ceiling}: it must be in [0, 1]")


def _load(file: Path) -> dict[str, str]:
    """Return the reasons in `file`, by clip; a last line that a killed process left unfinished is removed."""
    if not file.exists():
        return {}
    content = file.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        os.truncate(file, len(whole))
    try:
        records = [json.loads(line) for line in whole.splitlines()]
        return {record["clip_id"]: record["reason"] for record in records}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}): remove it, and bad clips are noted anew") from error

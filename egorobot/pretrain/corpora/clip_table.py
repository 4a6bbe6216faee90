"""The clips of annotation files as columns on disk: made once, then mapped, however many there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egorobot.errors import UserError
from egorobot.files import digest, file_digest, write_json
from egorobot.pretrain.corpora.columns import TextColumn, open_column
from egorobot.pretrain.corpora.merging import write_table
from egorobot.pretrain.samples import clip_name

VERSION = "1"  # counted up when the same files give other columns
DONE_FILE = "clips.json"  # written last
# What the annotation files say; the other columns follow from it.
CONTENT = ("video_ids.utf8", "datasets.utf8", "videos.npy", "times_ms.npy", "captions.utf8", "captions.ends.npy")


@dataclass(frozen=True)
class AnnotatedClip:
    """A stretch of a video and what is said of it; times in s."""

    video_id: str
    dataset: str
    start: float
    end: float
    narrations: list[str]
    hod: list[str]

    @property
    def clip_id(self) -> str:
        """Its name: no other clip of the table has it."""
        return clip_name(self.video_id, self.start, self.end)


class ClipTable:
    """Clips by number, in the order in which they first appear.

    Args:
        folder: made by `open_clip_table`.

    Attributes:
        video_ids: names of the videos.
        datasets: what each of them belongs to, empty where that is not given.
        videos: which of them each clip is a part of, int32 (C,).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.video_ids = TextColumn(folder / "video_ids")
        self.datasets = TextColumn(folder / "datasets")
        self.videos = open_column(folder / "videos.npy")
        self._times = open_column(folder / "times_ms.npy")  # (C, 2)
        self._texts = TextColumn(folder / "captions")  # N of them
        self._is_hod = open_column(folder / "is_hod.npy")  # (N,)
        self._order = open_column(folder / "order.npy")  # (N,): captions clip by clip
        self._ends = open_column(folder / "ends.npy")  # (C,): where a clip's end in that order

    def __reduce__(self) -> tuple[type["ClipTable"], tuple[Path]]:
        return ClipTable, (self.folder,)  # other processes map the same files

    def __len__(self) -> int:
        return len(self.videos)

    def __getitem__(self, number: int) -> AnnotatedClip:
        video = int(self.videos[number])
        start, end = (float(time) / 1000 for time in self._times[number])
        first = int(self._ends[number - 1]) if number else 0
        texts = [(self._texts[int(i)], bool(self._is_hod[i])) for i in self._order[first : int(self._ends[number])]]
        # Files that repeat a caption do not make it likelier.
        narrations = list(dict.fromkeys(text for text, is_hod in texts if not is_hod))
        hod = list(dict.fromkeys(text for text, is_hod in texts if is_hod))
        return AnnotatedClip(self.video_ids[video], self.datasets[video], start, end, narrations, hod)

    def fingerprint(self) -> str:
        """Return a hash of what the annotation files say, wherever they are."""
        return digest(*(file_digest(self.folder / name) for name in CONTENT))

    def captions(self) -> Iterator[str]:
        """Return all captions of all clips."""
        return (self._texts[number] for number in range(len(self._texts)))


def open_clip_table(narrations_csv: Path | None, hod_csv: Path | None, cache_dir: Path) -> ClipTable:
    """Return the clips of the annotation files, read once and kept in a folder in `cache_dir`.

    Rows that have the same `uid`, or the same video and times, are one clip.

    Raises:
        UserError: no file is given, or one makes no sense.
    """
    files = [(path, is_hod) for path, is_hod in ((narrations_csv, False), (hod_csv, True)) if path is not None]
    if not files:
        raise UserError("a corpus of videos needs narrations_csv=... or hod_csv=...: the files that name its clips")
    for path, _ in files:
        if not path.is_file():
            raise UserError(f"no annotation file {path}: check where it is")
    states = [f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns} {is_hod}" for path, is_hod in files]
    folder = cache_dir / f"clips_{digest(VERSION, *states)}"
    if not (folder / DONE_FILE).exists():
        write_table(folder, files)
        write_json(folder / DONE_FILE, [str(path) for path, _ in files])
    return ClipTable(folder)

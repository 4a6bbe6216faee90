"""Where the videos of a corpus lie: one file each, or a folder of chunks of equal length."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from egorobot.errors import UserError
from egorobot.pretrain.samples import BadClip

SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")


@dataclass(frozen=True)
class VideoPart:
    """A file that holds a video from second `start` on."""

    path: Path
    start: float


@dataclass(frozen=True)
class VideoFolder:
    """Videos by name, below one folder.

    A video is `<root>/<video_id>.mp4` (or `.mkv`, `.webm`, `.mov`), or chunks
    `<root>/<video_id>/<NNNN>.mp4`, of which number k holds the seconds from k times
    `chunk_seconds` on; the number may have leading zeros. Between the root and the video
    there may be a folder named by the dataset.

    Attributes:
        root: the folder.
        chunk_seconds: length of a chunk, in s.
    """

    root: Path
    chunk_seconds: float

    def check(self, videos: Iterator[tuple[str, str]]) -> None:
        """Check that one of `videos` (names, and their datasets) is here at least.

        Raises:
            UserError: none is.
        """
        if not self.root.is_dir():
            raise UserError(f"video_root={self.root} is no folder: check where the videos are")
        video_id = ""
        for video_id, dataset in videos:
            if self._file(video_id, dataset) or self._chunk_folder(video_id, dataset):
                return
        raise UserError(
            f"video_root={self.root} has none of the annotated videos: "
            f"there is no {video_id}.mp4 and no folder {video_id}, for one"
        )

    def parts(self, video_id: str, dataset: str, first: float, last: float) -> list[VideoPart]:
        """Return the files that hold a video from second `first` to `last`, in order, one at least.

        Chunks after the video's last one are left out.

        Raises:
            BadClip: the video, or the chunk with `first`, is not here.
        """
        if path := self._file(video_id, dataset):
            return [VideoPart(path, 0.0)]
        folder = self._chunk_folder(video_id, dataset)
        if folder is None:
            raise BadClip(f"no video {video_id} in {self.root}")
        parts = []
        for number in range(int(first // self.chunk_seconds), int(last // self.chunk_seconds) + 1):
            names = dict.fromkeys(f"{number:0{digits}}{suffix}" for digits in (4, 1) for suffix in SUFFIXES)
            path = next((folder / name for name in names if (folder / name).is_file()), None)
            if path is None:
                break
            parts.append(VideoPart(path, number * self.chunk_seconds))
        if not parts:
            raise BadClip(f"no chunk {number:04} in {folder}")
        return parts

    def _file(self, video_id: str, dataset: str) -> Path | None:
        paths = (folder / f"{video_id}{suffix}" for folder in self._folders(dataset) for suffix in SUFFIXES)
        return next((path for path in paths if path.is_file()), None)

    def _chunk_folder(self, video_id: str, dataset: str) -> Path | None:
        return next((path for folder in self._folders(dataset) if (path := folder / video_id).is_dir()), None)

    def _folders(self, dataset: str) -> list[Path]:
        return [self.root, self.root / dataset] if dataset else [self.root]

"""Rows of annotation files become clips: those of the same stretch of a video are merged."""

from array import array
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egorobot.errors import UserError
from egorobot.pretrain.corpora.annotations import FIRST_ROW, read_annotations
from egorobot.pretrain.corpora.columns import write_column, write_texts


def write_table(folder: Path, files: list[tuple[Path, bool]]) -> None:
    """Write the columns of a `ClipTable` to `folder`.

    Args:
        folder: where they go.
        files: the annotation files, each with whether its text is of hand-object dynamics.

    Raises:
        UserError: a file cannot be read or makes no sense.
    """
    rows = _AllRows(files)
    write_texts(folder / "captions", rows.read_captions())
    clip_of_row, first_rows = rows.merge()
    caption_clips = clip_of_row[np.frombuffer(rows.caption_rows, np.int64)]
    write_texts(folder / "video_ids", rows.videos)
    write_texts(folder / "datasets", rows.videos.values())
    video, start, end = rows.stretches()
    write_column(folder / "videos.npy", video[first_rows])
    write_column(folder / "times_ms.npy", np.stack([start[first_rows], end[first_rows]], axis=1))
    write_column(folder / "is_hod.npy", np.frombuffer(rows.is_hod, np.bool_))
    write_column(folder / "order.npy", np.argsort(caption_clips, kind="stable"))
    write_column(folder / "ends.npy", np.cumsum(np.bincount(caption_clips, minlength=len(first_rows))))


class _AllRows:
    """The rows of all files one after the other, R of them, without their text."""

    def __init__(self, files: list[tuple[Path, bool]]) -> None:
        self.files = files
        self.first_of_file: list[int] = []
        self.videos: dict[str, str] = {}  # the dataset of each video
        self.video = array("i")
        self.start, self.end = array("q"), array("q")  # in ms
        self.uid = array("Q")
        self.caption_rows = array("q")  # (N,)
        self.is_hod = bytearray()  # (N,)

    def stretches(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
        """Return the video, the start and the end of all rows, the latter in ms, each (R,)."""
        video = np.frombuffer(self.video, np.int32)
        return video, np.frombuffer(self.start, np.int64), np.frombuffer(self.end, np.int64)

    def read_captions(self) -> Iterator[str]:
        """Yield all captions, and fill the columns on the way."""
        numbers: dict[str, int] = {}
        for path, is_hod in self.files:
            self.first_of_file.append(len(self.video))
            for rows in read_annotations(path, is_hod):
                first = len(self.video)
                for video_id, dataset in zip(rows.video_ids, rows.datasets, strict=True):
                    self.video.append(numbers.setdefault(video_id, len(numbers)))
                    known = self.videos.setdefault(video_id, dataset)
                    if known and dataset and known != dataset:
                        raise UserError(
                            f"{path} has a video {video_id} of dataset {dataset}, and there is one of {known}: "
                            "give videos of several datasets names of their own"
                        )
                    self.videos[video_id] = known or dataset
                self.start.frombytes(rows.start_ms.tobytes())
                self.end.frombytes(rows.end_ms.tobytes())
                self.uid.frombytes(rows.uids.tobytes())
                for kind, texts in enumerate((rows.narrations, rows.hod)):
                    for row, captions in enumerate(texts):
                        self.caption_rows.extend([first + row] * len(captions))
                        self.is_hod.extend([kind] * len(captions))
                        yield from captions
        if not self.video:
            raise UserError(f"{self.files[0][0]} has no clips: a header and no row below it")

    def merge(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the clip of each row, (R,), and the first row of each clip, (C,), ascending."""
        video, start, end = self.stretches()
        uid = np.frombuffer(self.uid, np.uint64)
        if uid.any():
            _, first, inverse = np.unique(uid, return_index=True, return_inverse=True)
            namesake = np.where(uid == 0, np.arange(len(uid)), first[inverse])
            self._check_namesakes(namesake)
            video, start, end = video[namesake], start[namesake], end[namesake]
        order = np.lexsort((end, start, video))  # stable: a clip's first row comes first
        begins = np.ones(len(order), bool)
        begins[1:] = np.any([np.diff(column[order]) != 0 for column in (video, start, end)], axis=0)
        firsts = order[begins]
        rank = np.empty(len(firsts), np.int64)
        rank[np.argsort(firsts)] = np.arange(len(firsts))
        clip_of_row = np.empty(len(order), np.int64)
        clip_of_row[order] = rank[np.cumsum(begins) - 1]
        return clip_of_row, np.sort(firsts)

    def _check_namesakes(self, namesake: NDArray[np.int64]) -> None:
        """Check that rows of one `uid` are parts of one video that overlap.

        Raises:
            UserError: they are not.
        """
        video, start, end = self.stretches()
        apart = (video != video[namesake]) | (start >= end[namesake]) | (end <= start[namesake])
        if apart.any():
            row = int(apart.argmax())
            raise UserError(
                f"{self._place(row)} and {self._place(int(namesake[row]))} have the same uid and are different clips: "
                "give each its own, or remove the column"
            )

    def _place(self, row: int) -> str:
        file = int(np.searchsorted(self.first_of_file, row, side="right")) - 1
        return f"{self.files[file][0]}, row {row - self.first_of_file[file] + FIRST_ROW}"

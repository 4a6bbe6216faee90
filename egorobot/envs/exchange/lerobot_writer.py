"""Writing demonstrations as a LeRobotDataset v3.0."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egorobot.envs.demonstrations import DemoInfo
from egorobot.envs.exchange import lerobot_layout as layout
from egorobot.envs.exchange.arrow import pa, pandas, parquet
from egorobot.envs.exchange.lerobot_stats import FeatureStats, combine, image_stats, vector_stats
from egorobot.envs.exchange.lerobot_video import VideoFile, VideoSettings
from egorobot.envs.exchange.new_folder import new_folder
from egorobot.envs.exchange.recorded import Recorded, instruction
from egorobot.envs.protocols import CONTROL_RATE
from egorobot.errors import UserError
from egorobot.files import write_json

MEGABYTE = 1024**2
EXACT = VideoSettings()


def write_lerobot(
    out: str | Path, info: DemoInfo, demos: Iterable[Recorded], video: VideoSettings | None = EXACT
) -> Path:
    """Write demonstrations as a dataset that `lerobot.datasets.LeRobotDataset` loads.

    Beside what the format asks for there are the simulator's exact states, the reset seeds,
    and what the environment is rebuilt from: nothing that we know is lost but what the video
    codec changes.

    Args:
        out: folder to write, new or empty; it appears when it is complete.
        info: of the file that they are from.
        demos: of that file, at least one.
        video: how images become video; None keeps them as they are, as PNG.

    Returns:
        The folder.

    Raises:
        UserError: there is something at `out`, a setting is out of range, or see
            `recorded_demos`.
    """
    with new_folder(out) as folder:
        writer = _Writer(folder, info, video)
        try:
            for demo in demos:
                writer.add(demo)
            writer.finish()
        finally:
            writer.close()
    return Path(out)


class _Numbered:
    """The number of a file that is filled until it has a size, then followed by the next."""

    def __init__(self, limit_mb: int) -> None:
        self.number = 0
        self._limit = limit_mb * MEGABYTE

    @property
    def indices(self) -> dict[str, int]:
        """Index of the folder, and of the file in it."""
        return {"chunk_index": self.number // layout.CHUNK_SIZE, "file_index": self.number % layout.CHUNK_SIZE}

    def is_full(self, num_bytes: int) -> bool:
        """Return whether a file of this size is not to be extended."""
        return num_bytes >= self._limit


class _Writer:
    """A dataset being written into `folder`, episode after episode."""

    def __init__(self, folder: Path, info: DemoInfo, video: VideoSettings | None) -> None:
        self.folder = folder
        self.env_args = info.env_args
        self.task = instruction(info.task)
        self.video = video
        self._features: dict[str, Any] = {}
        self._data: Any = None
        self._data_file = _Numbered(layout.DATA_FILE_SIZE)
        self._data_bytes = 0
        self._videos: dict[str, VideoFile] = {}
        self._video_files: dict[str, _Numbered] = {}
        self._episodes: list[dict[str, Any]] = []
        self._stats: list[dict[str, FeatureStats]] = []
        self._num_frames = 0

    def add(self, demo: Recorded) -> None:
        """Write an episode.

        Raises:
            UserError: its arrays have other sizes than those before it.
        """
        columns = self._columns(demo)
        features = layout.data_features(demo, self.env_args) | layout.image_features(
            demo, self.video.describe() if self.video else None
        )
        self._features = self._features or features
        if features != self._features:
            raise UserError(f"{demo.name} has other observations than those before it: export what is alike")
        stats = {key: vector_stats(values) for key, values in columns.items() if key != layout.STATE}
        where: dict[str, Any] = {}
        for camera, images in demo.images.items():
            key = layout.IMAGES + camera
            stats[key] = image_stats(images)
            where |= self._add_video(key, images) if self.video else {}
        table = _table(columns, {} if self.video else {layout.IMAGES + name: a for name, a in demo.images.items()})
        data_file = self._add_data(table)
        self._episodes.append(
            {
                "episode_index": len(self._episodes),
                "tasks": [self.task],
                "length": demo.length,
                **{f"data/{name}": value for name, value in data_file.items()},
                "dataset_from_index": self._num_frames,
                "dataset_to_index": self._num_frames + demo.length,
                **where,
                "meta/episodes/chunk_index": 0,
                "meta/episodes/file_index": 0,
                layout.SEED: demo.seed,
            }
        )
        self._stats.append(stats)
        self._num_frames += demo.length

    def finish(self) -> None:
        """Write what is known at the end."""
        self.close()
        path = self.folder / layout.EPISODES_PATH.format(chunk_index=0, file_index=0)
        path.parent.mkdir(parents=True)
        # LeRobot reads this one with pandas, the task its index; plain objects any pandas reads.
        tasks = pandas.DataFrame({"task_index": [0]}, index=pandas.Index([self.task], dtype=object, name="task"))
        tasks.to_parquet(self.folder / layout.TASKS_FILE)
        rows = [episode | _stats_columns(stats) for episode, stats in zip(self._episodes, self._stats, strict=True)]
        parquet.write_table(pa.Table.from_pylist(rows), path)
        stats = {key: _as_lists(values) for key, values in combine(self._stats).items()}
        write_json(self.folder / layout.STATS_FILE, stats)
        videos = self.video is not None and bool(self._video_files)
        contents = layout.dataset_info(self._features, len(self._episodes), self._num_frames, videos)
        write_json(self.folder / layout.INFO_FILE, contents)

    def close(self) -> None:
        """Finish the files that are open."""
        if self._data is not None:
            self._data.close()
            self._data = None
        for video in self._videos.values():
            video.close()
        self._videos = {}

    def _columns(self, demo: Recorded) -> dict[str, NDArray[Any]]:
        """Return the columns of the frames of an episode, (N, D), but for images."""
        steps = np.arange(demo.length)
        scalars = {
            layout.REWARD: demo.rewards,
            layout.DONE: demo.dones,
            "timestamp": (steps / CONTROL_RATE).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(demo.length, len(self._episodes)),
            "index": self._num_frames + steps,
            "task_index": np.zeros(demo.length, np.int64),
        }
        vectors: dict[str, NDArray[Any]] = {
            layout.VECTORS[key]: values for key, values in demo.vectors.items() if key in layout.VECTORS
        }
        columns: dict[str, NDArray[Any]] = {layout.ACTION: demo.actions, **vectors, layout.STATE: demo.states}
        return columns | {name: values[:, None] for name, values in scalars.items()}

    def _add_data(self, table: Any) -> dict[str, int]:
        """Write frames, in the present file or the next, and return where."""
        if self._data is not None and self._data_file.is_full(self._data_bytes):
            self._data.close()
            self._data, self._data_bytes = None, 0
            self._data_file.number += 1
        if self._data is None:
            path = self.folder / layout.DATA_PATH.format(**self._data_file.indices)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._data = parquet.ParquetWriter(path, table.schema)
        self._data.write_table(table)
        self._data_bytes += table.nbytes
        return self._data_file.indices

    def _add_video(self, key: str, images: NDArray[np.uint8]) -> dict[str, Any]:
        """Write an episode's images of one camera, in the present file or the next, and return where."""
        assert self.video is not None
        numbered = self._video_files.setdefault(key, _Numbered(layout.VIDEO_FILE_SIZE))
        if key in self._videos and numbered.is_full(self._videos[key].num_bytes):
            self._videos.pop(key).close()
            numbered.number += 1
        if key not in self._videos:
            self.video.check(images)
            path = self.folder / layout.VIDEO_PATH.format(video_key=key, **numbered.indices)
            self._videos[key] = VideoFile(path, (images.shape[1], images.shape[2]), self.video)
        video = self._videos[key]
        first = video.num_frames
        video.append(images)
        where = numbered.indices | {
            "from_timestamp": first / CONTROL_RATE,
            "to_timestamp": video.num_frames / CONTROL_RATE,
        }
        return {f"videos/{key}/{name}": value for name, value in where.items()}


def _table(columns: dict[str, NDArray[Any]], images: dict[str, NDArray[np.uint8]]) -> Any:
    """Return columns (N, D) as Arrow: lists of D, and plain values where D is 1; images (N, H, W, 3) as PNG."""
    arrays: dict[str, Any] = {}
    for name, values in columns.items():
        flat = pa.array(np.ascontiguousarray(values).reshape(-1))
        arrays[name] = flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    for name, frames in images.items():
        arrays[name] = pa.array([{"bytes": _png(frame), "path": None} for frame in frames], IMAGE_TYPE)
    return pa.table(arrays)


IMAGE_TYPE = pa.struct({"bytes": pa.binary(), "path": pa.string()})


def _png(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png", compress_level=1)
    return buffer.getvalue()


def _stats_columns(stats: dict[str, FeatureStats]) -> dict[str, Any]:
    return {f"stats/{key}/{name}": value for key, values in stats.items() for name, value in _as_lists(values).items()}


def _as_lists(stats: FeatureStats) -> dict[str, Any]:
    return {name: value.tolist() for name, value in stats.items()}

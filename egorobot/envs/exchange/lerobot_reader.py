"""Reading LeRobotDataset v3.0 folders of the Franka Kitchen: those exported by us, and others."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egorobot.envs.d4rl_tasks import D4RL_TASKS
from egorobot.envs.exchange import lerobot_layout as layout
from egorobot.envs.exchange.arrow import pa, parquet
from egorobot.envs.exchange.episodes import Episode, SourceEnv, split_states
from egorobot.envs.exchange.layouts import split_flat
from egorobot.envs.exchange.lerobot_video import read_frames
from egorobot.envs.protocols import CONTROL_RATE
from egorobot.envs.scene import CAMERAS
from egorobot.envs.tasks import TASKS
from egorobot.errors import UserError
from egorobot.files import folder_digest

RATE_TOLERANCE = 1.0  # Hz: of those who round 12.5


class LeRobotReader:
    """A LeRobotDataset v3.0 in a folder.

    Positions come from `egorobot.state` where we exported the dataset, else from
    `observation.state` (the robot's nine) and `observation.environment_state` (the objects'
    21 and the desk's three). Images of our cameras are taken as they are.

    Args:
        folder: the dataset.

    Raises:
        UserError: the folder is missing, damaged, of another version, or of another robot
            or environment.
    """

    def __init__(self, folder: str) -> None:
        self.source = folder
        self._folder = Path(folder)
        if not (self._folder / layout.INFO_FILE).is_file():
            raise UserError(f"no LeRobotDataset at {folder} (no {layout.INFO_FILE}): source=lerobot:FOLDER names one")
        with self._reading():
            info = self._info
            version, self._features = str(info["codebase_version"]), dict(info["features"])
            if not version.startswith("v3."):
                raise UserError(f"{folder} is a LeRobotDataset {version}: lerobot's own converter makes v3.0 of it")
            self.num_episodes = len(self._episodes)
            rate = float(info["fps"])
        needed = [layout.ACTION, *([] if layout.STATE in self._features else layout.VECTORS.values())]
        if missing := [key for key in needed if key not in self._features]:
            raise UserError(
                f"{folder} lacks '{missing[0]}', from which the kitchen is restored: choose another dataset"
            )
        if abs(rate - CONTROL_RATE) > RATE_TOLERANCE:
            raise UserError(
                f"{folder} has {rate:g} steps a second, and the kitchen takes {CONTROL_RATE:g}: "
                "choose another dataset, or resample it"
            )
        if self.num_episodes == 0:
            raise UserError(f"{folder} holds no episodes: choose another dataset")

    @cached_property
    def env(self) -> SourceEnv:
        """What we wrote of the environment; nothing is known in a dataset of others."""
        told = self._features.get(layout.STATE, {}).get(layout.STATE_INFO)
        if told is None:
            return SourceEnv()
        with self._reading():
            return _source_env(told["env_args"])

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content, images and their encoding included."""
        return folder_digest(self._folder)

    def read(self, index: int, images: bool = True) -> Episode:
        """Return an episode, its images if they are asked for and there.

        Raises:
            UserError: the dataset is damaged there.
        """
        with self._reading():
            row = self._episodes[index]
            table = self._frames(row)
            episode = self._episode(index, row, table, images)
        episode.check(self.source)
        return episode

    def _episode(self, index: int, row: Mapping[str, Any], table: Any, images: bool) -> Episode:
        actions = _matrix(table, layout.ACTION).astype(np.float32)
        rewarded = layout.REWARD in table.column_names
        rewards = _matrix(table, layout.REWARD)[:, 0] if rewarded else np.zeros(len(actions))
        states = velocities = desk = None
        if set(layout.VECTORS.values()) <= set(table.column_names):
            seen = split_flat(
                np.concatenate([_matrix(table, key) for key in layout.VECTORS.values()], axis=1), self.source
            )
            positions, desk = seen.positions, seen.desk
        if layout.STATE in table.column_names:
            states = _matrix(table, layout.STATE).astype(np.float64)
            positions, velocities = split_states(states)
        seed = row.get(layout.SEED)
        return Episode(
            name=f"episode {index}",
            actions=actions,
            rewards=rewards.astype(np.float32),
            positions=positions,
            velocities=velocities,
            desk=desk,
            states=states,
            images=self._images(row, table) if images else {},
            seed=None if seed is None else int(seed),
        )

    def _images(self, row: Mapping[str, Any], table: Any) -> dict[str, NDArray[np.uint8]]:
        """Return the images of our cameras."""
        result = {}
        for camera in CAMERAS:
            key = layout.IMAGES + camera
            kind = self._features.get(key, {}).get("dtype")
            if kind == "video":
                where = {name: int(row[f"videos/{key}/{name}"]) for name in ("chunk_index", "file_index")}
                path = self._folder / str(self._info["video_path"]).format(video_key=key, **where)
                start = float(row[f"videos/{key}/from_timestamp"])
                result[camera] = read_frames(path, start, len(table), float(self._info["fps"]))
            elif kind == "image":
                result[camera] = np.stack([_decode(cell["bytes"]) for cell in table[key].to_pylist()])
        return result

    def _frames(self, row: Mapping[str, Any]) -> Any:
        """Return the frames of an episode, in order."""
        where = {name: int(row[f"data/{name}"]) for name in ("chunk_index", "file_index")}
        path = self._folder / str(self._info["data_path"]).format(**where)
        index = int(row["episode_index"])
        table = parquet.read_table(path, filters=[("episode_index", "=", index)]).sort_by("frame_index")
        if len(table) != int(row["length"]):
            raise ValueError(f"{path.name} has {len(table)} frames of episode {index}, not {row['length']}")
        return table

    @cached_property
    def _info(self) -> dict[str, Any]:
        info: dict[str, Any] = json.loads((self._folder / layout.INFO_FILE).read_text(encoding="utf-8"))
        return info

    @cached_property
    def _episodes(self) -> list[dict[str, Any]]:
        """The rows of `meta/episodes`, statistics left out, by episode."""
        rows: list[dict[str, Any]] = []
        for path in sorted((self._folder / "meta" / "episodes").glob("*/*.parquet")):
            names = [name for name in parquet.read_schema(path).names if not name.startswith("stats/")]
            rows += parquet.read_table(path, columns=names).to_pylist()
        return sorted(rows, key=lambda row: int(row["episode_index"]))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what is raised on damaged files into one line."""
        try:
            yield
        except (OSError, LookupError, ValueError, TypeError, AttributeError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(f"{self.source} is damaged ({reason}): fetch or export the dataset again") from error

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be read again."""
        return {key: value for key, value in self.__dict__.items() if key not in ("_info", "_episodes")}


def _matrix(table: Any, name: str) -> NDArray[Any]:
    """Return a column of N numbers or lists of D numbers as (N, D)."""
    column = table[name].combine_chunks()
    if pa.types.is_fixed_size_list(column.type) or pa.types.is_list(column.type):
        return np.asarray(column.flatten()).reshape(len(column), -1)
    return np.asarray(column).reshape(len(column), 1)


def _decode(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def _source_env(args: Mapping[str, Any]) -> SourceEnv:
    env_id, kwargs, fingerprint = args["env_name"], args["env_kwargs"], args["render_fingerprint"]
    for name, d4rl_task in D4RL_TASKS.items():
        if d4rl_task.env_id == env_id:
            return SourceEnv("d4rl", name, env_id, fingerprint)
    names = [name for name, task in TASKS.items() if task.env_id == env_id]
    return SourceEnv(kwargs["protocol"], names[0], env_id, fingerprint)

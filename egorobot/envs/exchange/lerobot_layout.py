"""LeRobotDataset v3.0: where files are, and what they hold.

The format is Hugging Face's, https://huggingface.co/docs/lerobot/lerobot-dataset-v3. Frames
of all episodes stand one after another in Parquet files, images in MP4 files or as PNG in the
Parquet files, and `meta/episodes` tells which episode is where.
"""

from collections.abc import Mapping
from typing import Any

from egorobot.envs.exchange.recorded import Recorded
from egorobot.envs.protocols import CONTROL_RATE

VERSION = "v3.0"
ROBOT = "franka"

INFO_FILE = "meta/info.json"
STATS_FILE = "meta/stats.json"
TASKS_FILE = "meta/tasks.parquet"

_NUMBERED = "chunk-{chunk_index:03d}/file-{file_index:03d}"
EPISODES_PATH = "meta/episodes/" + _NUMBERED + ".parquet"
DATA_PATH = "data/" + _NUMBERED + ".parquet"
VIDEO_PATH = "videos/{video_key}/" + _NUMBERED + ".mp4"

# A file that has reached its size is not extended; a folder takes so many files.
CHUNK_SIZE = 1000  # files
DATA_FILE_SIZE = 100  # MB
VIDEO_FILE_SIZE = 200  # MB

ACTION = "action"
IMAGES = "observation.images."
# Keys of observations of ours, by the format's names for what they are.
VECTORS = {"proprio": "observation.state", "state": "observation.environment_state"}
REWARD, DONE = "next.reward", "next.done"
STATE = "egorobot.state"  # exact physics states, of no interest to a policy
# In the description of that feature: from what the environment is rebuilt. There it stays
# when LeRobot's own tools split, merge or thin out a dataset.
STATE_INFO = "info"
SEED = "egorobot.seed"  # in `meta/episodes`

JOINTS = (*(f"joint_{i}" for i in range(1, 8)), "finger_1", "finger_2")  # rad, m
_SCALARS = {
    "timestamp": "float32",
    "frame_index": "int64",
    "episode_index": "int64",
    "index": "int64",
    "task_index": "int64",
}


def data_features(demo: Recorded, env_args: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the columns of the Parquet files for demonstrations like this one, but for images.

    Args:
        demo: one of the demonstrations.
        env_args: of their file.
    """
    features = {ACTION: _vector("float32", demo.actions.shape[1], JOINTS)}
    for key, values in demo.vectors.items():
        if key in VECTORS:
            names = JOINTS if key == "proprio" else None
            features[VECTORS[key]] = _vector("float32", values.shape[1], names)
    features |= {REWARD: _vector("float32", 1), DONE: _vector("bool", 1)}
    features[STATE] = _vector("float64", demo.states.shape[1]) | {STATE_INFO: {"env_args": dict(env_args)}}
    return features | {name: _vector(dtype, 1) for name, dtype in _SCALARS.items()}


def _vector(dtype: str, size: int, names: tuple[str, ...] | None = None) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "names": None if names is None else list(names)}


def image_features(demo: Recorded, codec: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the cameras: as videos of a codec, or as images in the Parquet files where it is None."""
    features = {}
    for camera, images in demo.images.items():
        height, width = images.shape[1:3]
        feature: dict[str, Any] = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
        if codec is None:
            features[IMAGES + camera] = {"dtype": "image", **feature}
            continue
        told = {"video.height": height, "video.width": width, "video.channels": 3, "video.fps": CONTROL_RATE}
        told |= {f"video.{key}": value for key, value in codec.items()}
        features[IMAGES + camera] = {
            "dtype": "video", **feature, "info": told | {"video.is_depth_map": False, "has_audio": False},
        }  # fmt: skip
    return features


def dataset_info(features: Mapping[str, Any], num_episodes: int, num_frames: int, videos: bool) -> dict[str, Any]:
    """Return the content of `meta/info.json`."""
    return {
        "codebase_version": VERSION,
        "robot_type": ROBOT,
        "total_episodes": num_episodes,
        "total_frames": num_frames,
        "total_tasks": 1,
        "chunks_size": CHUNK_SIZE,
        "data_files_size_in_mb": DATA_FILE_SIZE,
        "video_files_size_in_mb": VIDEO_FILE_SIZE,
        "fps": CONTROL_RATE,
        "splits": {"train": f"0:{num_episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": dict(features),
    }

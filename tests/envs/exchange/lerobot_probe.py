"""Run by `test_lerobot_package.py` in lerobot's own environment.

python lerobot_probe.py load DATASET OUT.npz      what its loader makes of a dataset
python lerobot_probe.py record IN.npz DATASET     a dataset as it records one itself
"""

import sys

import numpy as np
import torch
from lerobot.datasets.lerobot_dataset import LeRobotDataset

KEY = "observation.images.left_cap2"


def load(root: str, out: str) -> None:
    # Its default decoder needs FFmpeg's libraries, which not every machine has.
    dataset = LeRobotDataset("egorobot/test", root=root, video_backend="pyav")
    columns: dict[str, list[np.ndarray]] = {}
    for index in range(len(dataset)):
        for key, value in dataset[index].items():
            columns.setdefault(key, []).append(np.asarray(value))
    windows = {KEY: [-0.08, 0.0], "action": [0.0, 0.08]}
    history = LeRobotDataset("egorobot/test", root=root, video_backend="pyav", delta_timestamps=windows)
    batch = next(iter(torch.utils.data.DataLoader(history, batch_size=4)))
    second = LeRobotDataset("egorobot/test", root=root, video_backend="pyav", episodes=[1])
    np.savez(
        out,
        **{key: np.stack(values) for key, values in columns.items()},
        window_images=batch[KEY].numpy(),
        window_actions=batch["action"].numpy(),
        second_actions=np.stack([second[index]["action"].numpy() for index in range(len(second))]),
        action_mean=dataset.meta.stats["action"]["mean"],
        fps=dataset.fps,
        num_episodes=dataset.num_episodes,
    )


def record(source: str, root: str) -> None:
    columns = dict(np.load(source))
    lengths, images = columns.pop("lengths"), columns.pop(KEY)
    features = {key: {"dtype": "float32", "shape": values.shape[1:], "names": None} for key, values in columns.items()}
    features[KEY] = {"dtype": "video", "shape": images.shape[1:], "names": ["height", "width", "channels"]}
    dataset = LeRobotDataset.create("egorobot/test", fps=12, features=features, root=root)
    ends = set(np.cumsum(lengths) - 1)
    for step, image in enumerate(images):
        dataset.add_frame({key: values[step] for key, values in columns.items()} | {KEY: image, "task": "open it"})
        if step in ends:
            dataset.save_episode()
    dataset.finalize()


{"load": load, "record": record}[sys.argv[1]](*sys.argv[2:])

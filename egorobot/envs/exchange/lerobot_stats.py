"""Statistics of features as LeRobot keeps them, of each episode and of all together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
IMAGE_SAMPLES = 32  # frames of an episode; its other frames look much like them

FeatureStats = dict[str, NDArray[Any]]


def vector_stats(values: NDArray[Any]) -> FeatureStats:
    """Return the statistics of a feature's values (N, D), each (D,), and their count, (1,)."""
    numbers = values.astype(np.float64)
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    return {
        "min": numbers.min(0),
        "max": numbers.max(0),
        "mean": numbers.mean(0),
        "std": numbers.std(0),
        "count": np.array([len(numbers)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def image_stats(images: NDArray[np.uint8]) -> FeatureStats:
    """Return the statistics of frames (N, H, W, 3), by channel, of values in [0, 1], each (3, 1, 1)."""
    rows = np.unique(np.linspace(0, len(images) - 1, IMAGE_SAMPLES).astype(np.int64))
    pixels = images[rows].reshape(-1, 3)
    stats = {name: (value / 255)[:, None, None] for name, value in vector_stats(pixels).items()}
    return stats | {"count": np.array([len(rows)])}


def combine(episodes: Sequence[Mapping[str, FeatureStats]]) -> dict[str, FeatureStats]:
    """Return the statistics of all episodes, by feature.

    As in LeRobot, quantiles are the mean of the episodes' own, weighted by their length.
    """
    return {key: _combine([episode[key] for episode in episodes]) for key in episodes[0]}


def _combine(parts: Sequence[FeatureStats]) -> FeatureStats:
    counts = np.array([part["count"][0] for part in parts])
    weights = counts / counts.sum()

    def average(values: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.tensordot(weights, np.stack(values), axes=1)

    mean = average([part["mean"] for part in parts])
    variance = average([part["std"] ** 2 + (part["mean"] - mean) ** 2 for part in parts])
    return {
        "min": np.min([part["min"] for part in parts], axis=0),
        "max": np.max([part["max"] for part in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(variance),
        "count": np.array([counts.sum()]),
        **{name: average([part[name] for part in parts]) for name in QUANTILES},
    }

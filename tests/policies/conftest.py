from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from egorobot.policies.training import TrainingResult, train_policy

PRESETS = Path(__file__).parents[2] / "egorobot" / "configs" / "policy"


@pytest.fixture(scope="session")
def preset() -> Callable[..., dict[str, Any]]:
    """A preset of `configs/policy` by name, cut down to a few steps."""

    def load(name: str, **changes: Any) -> dict[str, Any]:
        options = yaml.safe_load((PRESETS / f"{name}.yaml").read_text())
        return options | {"steps": 8, "batch_size": 16} | changes

    return load


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for embeddings that the tests of one process share."""
    return tmp_path_factory.mktemp("embeddings")


@pytest.fixture
def train(
    demonstrations: Path, embeddings: Path, preset: Callable[..., dict[str, Any]], tmp_path: Path
) -> Callable[..., TrainingResult]:
    """Train a preset for a few steps on three real demonstrations."""

    def run(policy: str = "bc_mlp", encoder: str = "state", seed: int = 0, name: str = "run", **kwargs: Any):
        options = preset(policy, **kwargs.pop("options", {}))
        return train_policy(
            demonstrations, encoder, options, 3, seed, tmp_path / name, embeddings, progress=False, **kwargs
        )

    return run

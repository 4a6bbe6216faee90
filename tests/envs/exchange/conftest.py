"""Fixtures of the tests of imports; what makes their datasets is in `datasets.py`."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from egorobot.envs.demonstrations import DemoInfo, read_info
from egorobot.envs.exchange.recorded import Recorded, recorded_demos


def load_datasets() -> ModuleType:
    """Return the module that makes datasets: tests are no package, so it is found by its path."""
    spec = importlib.util.spec_from_file_location("exchange_datasets", Path(__file__).with_name("datasets.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def datasets() -> ModuleType:
    """The functions that make datasets."""
    return load_datasets()


@pytest.fixture(scope="session")
def minari_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which Minari keeps its datasets while tests run."""
    folder = tmp_path_factory.mktemp("minari")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINARI_DATASETS_PATH", str(folder))
        yield folder


@pytest.fixture(scope="session")
def d4rl_file(datasets: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of FrankaKitchen-v1 in D4RL's format: the slide cabinet, then the microwave. Read only."""
    return datasets.write_d4rl_file(tmp_path_factory.mktemp("d4rl") / "sequence.hdf5", ["slide", "microwave"], 2)


@pytest.fixture(scope="session")
def info(demonstrations: Path) -> DemoInfo:
    """What the shared demonstrations are."""
    return read_info(demonstrations)


@pytest.fixture(scope="session")
def demos(info: DemoInfo) -> list[Recorded]:
    """The shared demonstrations, to be exported."""
    return list(recorded_demos(info, range(info.num_demos)))


@pytest.fixture(scope="session")
def seeds(info: DemoInfo) -> list[int]:
    """The reset seeds of the shared demonstrations."""
    return [seed for seed in info.seeds if seed is not None]


@pytest.fixture(scope="session")
def kitchen_file(datasets: ModuleType, seeds: list[int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shared demonstrations once more, in D4RL's format. Read only."""
    return datasets.write_kitchen_d4rl_file(tmp_path_factory.mktemp("d4rl") / "kitchen.hdf5", seeds)


@pytest.fixture(scope="session")
def kitchen_minari(datasets: ModuleType, seeds: list[int], minari_folder: Path) -> str:
    """The shared demonstrations once more, as a Minari dataset. Read only."""
    pytest.importorskip("jax", reason="Minari collects with jax: pip install 'minari[create]'")
    return datasets.write_kitchen_minari("kitchen/microwave/expert-v0", seeds)


@pytest.fixture(scope="session")
def franka_minari(datasets: ModuleType, minari_folder: Path) -> str:
    """Two episodes of FrankaKitchen-v1 as a Minari dataset: the microwave, then the slide cabinet. Read only."""
    pytest.importorskip("jax", reason="Minari collects with jax: pip install 'minari[create]'")
    return datasets.write_franka_minari("franka/microwave-slide-v0", ["microwave", "slide"], 2)

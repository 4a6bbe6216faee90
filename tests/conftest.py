"""What the tests of several rooms share."""

import os
from pathlib import Path

import pytest

# Before torch and numpy are imported: two test processes of one thread each do more on
# two cores than two of two. Nothing is ever fetched from a hub.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def clips() -> Path:
    """A folder of three real videos of hands at work, with `clips.csv`; not part of the repository."""
    folder = ROOT.parent / "shared" / "data" / "clips"
    if not folder.is_dir():
        pytest.skip("the real clips are not here (../shared/data/clips)")
    return folder


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations of `microwave` at 64 px, collected once for all test processes.

    Read only: a test that changes a file copies it first.
    """
    from egorobot.collect import collect

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # the one that all processes share; `collect` lets one at a time in
    path = folder / "demonstrations" / "microwave.hdf5"
    collect("microwave", num_demos=3, image_size=64, out=path, num_workers=1)
    return path

"""What the benchmark tells of captioning is of the work that it names."""

from pathlib import Path

import pytest

from egorobot.pretrain.hod.records import read_records
from egorobot.pretrain.hod.speed import WORKERS, measure_captioning


@pytest.mark.slow
def test_captioning_is_measured(tmp_path: Path) -> None:
    comparison, growth = measure_captioning(4, 2, "local", tmp_path)
    (_, together), (_, alone) = comparison.ours, comparison.usual
    assert comparison.unit == "clips" and together == pytest.approx(8 / growth.seconds[1]) and alone > 0
    assert growth.times == 2 and growth.seconds[0] > 0 and min(growth.peaks) > 1e8
    for clips, workers in ((4, WORKERS), (8, WORKERS), (8, 1)):
        files = (tmp_path / f"captions_local_{clips}_{workers}" / "records").glob("*.parquet")
        assert sum(len(list(read_records(file))) for file in files) == clips

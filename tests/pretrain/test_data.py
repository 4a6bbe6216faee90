"""What does not fit is told before clips are rendered, which takes long."""

from pathlib import Path

import pytest

from egorobot.cli import load_config
from egorobot.errors import UserError
from egorobot.pretrain.data import open_data
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.initial import initial_config
from egorobot.pretrain.options import options_from
from egorobot.pretrain.train import pretrain

SECOND = ["+corpus@mix.more=video", "mix.more.video_root=videos"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["corpus.num_clips=64"], "batch_size=64 takes 64 clips"),
        (["batch_size=66"], "batch_size=66"),
        (["corpus.weight=0"], "weight=0.0"),
        (["corpus.num_clips=8"], "cannot be split"),
        (["corpus.captions=missing.csv"], "missing.csv"),
        ([*SECOND, "mix.more.narrations_csv=missing.csv"], "missing.csv"),
        ([*SECOND, "mix.more.narrations_csv=5"], "no annotation file 5"),
        ([*SECOND, "mix.more.narrations_csv=missing.csv", "mix.more.chunk_seconds=null"], "chunk_seconds=None"),
    ],
)
def test_corpora_that_do_not_fit(overrides: list[str], message: str, tmp_path: Path) -> None:
    options, how = options_from(load_config("pretrain", [f"data_dir={tmp_path}", *overrides]))
    with pytest.raises(UserError) as caught:
        open_data(options, initial_config(options), how, Ranks())
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "clips").exists()


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    overrides = [f"data_dir={tmp_path / 'data'}", "init=open_clip:ViT-B-16/no_such_tag", "size=b"]
    options, how = options_from(load_config("pretrain", overrides))
    with pytest.raises(UserError, match="no_such_tag"):
        pretrain(tmp_path / "encoder", options, how, Ranks())
    assert not (tmp_path / "data").exists()

"""From the command's options to a trained encoder; `train_bc` calls it as well."""

from pathlib import Path

from omegaconf import DictConfig

from egorobot.pretrain.distributed import connect
from egorobot.pretrain.options import options_from
from egorobot.pretrain.train import pretrain


def run(config: DictConfig) -> Path:
    """Pre-train as `config` (of configs/pretrain.yaml) says, print the result, return the encoder folder.

    Under torchrun or accelerate launch every process calls this, and they train together.

    Raises:
        UserError: an option does not fit, or `out` holds something else.
    """
    with connect() as ranks:
        with ranks.together():
            options, how = options_from(config)
        result = pretrain(config.out, options, how, ranks)
        if ranks.first:
            print(result.table())
            print(f"encoder: {config.out}")
    return Path(config.out)

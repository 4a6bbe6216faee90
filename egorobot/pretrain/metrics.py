"""Where numbers of training go: TensorBoard always, Weights & Biases where it is asked for."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from egorobot.errors import UserError


class Metrics:
    """Numbers by name and step.

    Args:
        folder: of TensorBoard's files.
        first_step: numbers of this step and later ones, of a run that was killed, are dropped.
        wandb_project: project on Weights & Biases; None is none.
        options: of the run, which Weights & Biases shows beside it.
    """

    def __init__(self, folder: Path, first_step: int, wandb_project: str | None, options: Mapping[str, Any]) -> None:
        self._tensorboard = SummaryWriter(str(folder), purge_step=first_step)
        self._wandb: Any = None
        if wandb_project is not None:
            check_wandb(wandb_project)
            name = folder.resolve().parent.name
            self._wandb = importlib.import_module("wandb").init(project=wandb_project, name=name, config=dict(options))

    def write(self, values: Mapping[str, float], step: int) -> None:
        """Write `values` of `step`."""
        for name, value in values.items():
            self._tensorboard.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(dict(values), step=step)

    def close(self) -> None:
        """Write what is still in memory."""
        self._tensorboard.close()
        if self._wandb is not None:
            self._wandb.finish()


def check_wandb(project: str | None) -> None:
    """Check that metrics can go to `project`.

    Raises:
        UserError: Weights & Biases is not installed.
    """
    if project is not None and importlib.util.find_spec("wandb") is None:
        raise UserError(f"wandb_project={project}, but wandb is not installed: pip install wandb")

"""Where training stands, in one file that one process, DDP and FSDP2 write and read alike."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.optim import Optimizer

from egorobot.errors import UserError
from egorobot.files import atomic_path, temporary_pattern
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.parallel import full_weights

CHECKPOINT_FILE = "checkpoint.pt"
PREVIOUS_FILE = "checkpoint_previous.pt"  # should the last one not be readable
DDP_PREFIX = "module."  # what DDP adds to names


class Checkpoints:
    """The checkpoints of one training run: the last, and the one before it.

    Args:
        folder: where they are.
        options: digest of the options that decide the weights; a checkpoint of others is refused.
        ranks: the processes that train.
    """

    def __init__(self, folder: Path, options: str, ranks: Ranks) -> None:
        self.folder = folder
        self.options = options
        self.ranks = ranks

    def save(self, model: nn.Module, optimizer: Optimizer, step: int) -> None:
        """Write a checkpoint after `step` steps; every process takes part, the first one writes."""
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        state = {
            "options": self.options,
            "step": step,
            "model": full_weights(model),
            "optimizer": get_optimizer_state_dict(model, optimizer, options=whole),
        }
        if not self.ranks.first:
            return
        last = self.folder / CHECKPOINT_FILE
        with atomic_path(last) as temporary:
            torch.save(state, temporary)
            if last.exists():
                os.replace(last, self.folder / PREVIOUS_FILE)

    def load(self, model: nn.Module, optimizer: Optimizer) -> int:
        """Fill `model` and `optimizer` from the last checkpoint, and return the step to go on with.

        Returns:
            0, everything left as it is, where there is no checkpoint.

        Raises:
            UserError: no checkpoint can be read, or it was written with other options.
        """
        state: dict[str, Any] = {}
        with self.ranks.together():
            if self.ranks.first:
                self._remove_halves()
                state = self._read()
                _check_shapes(state.get("model"), model, self.folder)
        step = self.ranks.from_first(lambda: int(state.get("step", 0)))
        if step:
            # The first process alone reads the file: what it read is what all go on with.
            options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=self.ranks.size > 1)
            set_model_state_dict(model, state.get("model", {}), options=options)
            set_optimizer_state_dict(model, optimizer, state.get("optimizer", {}), options=options)
        return step

    def remove(self) -> None:
        """Remove all checkpoints."""
        self._remove_halves()
        for path in self._paths():
            path.unlink(missing_ok=True)

    def _remove_halves(self) -> None:
        """Remove what a process wrote that was killed at it."""
        for path in self.folder.glob(temporary_pattern(self.folder / CHECKPOINT_FILE)):
            path.unlink(missing_ok=True)

    def _paths(self) -> list[Path]:
        return [self.folder / CHECKPOINT_FILE, self.folder / PREVIOUS_FILE]

    def _read(self) -> dict[str, Any]:
        paths = [path for path in self._paths() if path.exists()]
        for path in paths:
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                options = state["options"]
            except (OSError, RuntimeError, EOFError, KeyError, ValueError, TypeError, pickle.UnpicklingError):
                continue  # damaged: go back to the one before it
            if options != self.options:
                raise UserError(f"{path} was written with other options: remove it, or choose another out=")
            return state
        if paths:
            raise UserError(f"{paths[0]} is damaged: remove the folder {self.folder}, or choose another out=")
        return {}


def _check_shapes(weights: Mapping[str, Tensor] | None, model: nn.Module, folder: Path) -> None:
    if weights is None:
        return
    expected = {name.removeprefix(DDP_PREFIX): tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != expected:
        raise UserError(
            f"{folder / CHECKPOINT_FILE} is of another model, written by another version perhaps: "
            "remove it, or choose another out="
        )

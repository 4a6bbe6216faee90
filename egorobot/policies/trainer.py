"""robomimic's behaviour cloning, one gradient step at a time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from robomimic.algo import PolicyAlgo
from robomimic.config.base_config import BaseConfig
from torch.optim.lr_scheduler import CosineAnnealingLR

from egorobot.policies.core import FrozenEncoderCore, Standardize, cores, to_embedding_axes
from egorobot.policies.observations import PROPRIO
from egorobot.policies.readout import future_targets
from egorobot.policies.robomimic_config import make_algo
from egorobot.policies.sampling import BatchOrder, windows
from egorobot.policies.training_data import TrainingData

STATISTICS_ROWS = 256  # rows embedded for mean and std where there is no cache of them all


class Trainer:
    """A policy in training.

    To be made and used within `torch_seed`: robomimic draws weights and dropout from
    torch's generator.

    Args:
        policy: a preset of `configs/policy`, as plain containers.
        config: the same as robomimic's config.
        shapes: `ObservationSpec.shapes()`.
        data: what it is trained on.
        seed: of the order of batches.
        device: where it computes.
    """

    def __init__(
        self,
        policy: Mapping[str, Any],
        config: BaseConfig,
        shapes: Mapping[str, Any],
        data: TrainingData,
        seed: int,
        device: torch.device,
    ) -> None:
        self.data = data
        self.algo: PolicyAlgo = make_algo(config, shapes, data.actions.shape[1], device)
        self._windows = windows(data.lengths, config.train.frame_stack, config.train.seq_length)
        self._order = BatchOrder(len(self._windows), policy["batch_size"], seed)
        self._fit_readouts()
        self._fit_statistics()
        self.algo.set_train()
        self.scheduler = self._make_scheduler(policy)

    def _make_scheduler(self, policy: Mapping[str, Any]) -> CosineAnnealingLR | None:
        if policy["schedule"] == "constant":
            return None
        return CosineAnnealingLR(self.algo.optimizers["policy"], T_max=policy["steps"])

    def _fit_readouts(self) -> None:
        """Fit every readout, and put in the embeddings' place what those of other demonstrations say of each."""
        tensors = dict(self.data.tensors)
        for key, core in cores(self.algo.nets):
            if not isinstance(core, FrozenEncoderCore) or core.readout is None:
                continue
            targets = future_targets(tensors[PROPRIO].numpy(), self.data.lengths)
            read = core.readout.fit(tensors[key].flatten(1).numpy(), targets, self.data.lengths)
            core.readout.to(self.algo.device)
            tensors[key] = torch.from_numpy(to_embedding_axes(read, len(core.input_shape)))
        self.data = replace(self.data, tensors=tensors)

    def _fit_statistics(self) -> None:
        """Give every standardisation the mean and std of what passes through it."""
        for key, core in cores(self.algo.nets):
            if not isinstance(core.norm, Standardize):
                continue
            if key in self.data.tensors:
                values = self.data.tensors[key].flatten(1)
            elif isinstance(core, FrozenEncoderCore):
                rows = np.unique(np.linspace(0, len(self.data.actions) - 1, STATISTICS_ROWS).astype(np.int64))
                core.eval()  # no augmentation
                values = core.embed(self.data.observations(rows)[key])
            core.norm.fit(values.to(core.norm.mean.device))

    def step(self, step: int) -> dict[str, Any]:
        """Take the gradient step with that number, from 0; return robomimic's `info`."""
        rows = self._windows[self._order.batch(step)]  # (B, W)
        batch = {"obs": self.data.observations(rows), "actions": self.data.actions[torch.from_numpy(rows)]}
        batch = self.algo.process_batch_for_training(batch)
        batch = self.algo.postprocess_batch_for_training(batch, obs_normalization_stats=None)
        info = self.algo.train_on_batch(batch, epoch=1)
        if self.scheduler is not None:
            self.scheduler.step()
        return info

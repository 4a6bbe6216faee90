"""The steps of pre-training, one process's part in them: gradients, checks, checkpoints, numbers."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from egorobot.errors import UserError
from egorobot.files import digest, write_json
from egorobot.pretrain.batches import Batch
from egorobot.pretrain.checkpoint import Checkpoints
from egorobot.pretrain.data import Data
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.loader import BatchLoader
from egorobot.pretrain.metrics import Metrics
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.objective import Objective
from egorobot.pretrain.optimization import learning_rate, make_optimizer, set_learning_rate
from egorobot.pretrain.options import PretrainOptions, RunOptions
from egorobot.pretrain.parallel import clip_gradients, full_weights, spread, transformer_blocks
from egorobot.pretrain.precision import PRECISIONS
from egorobot.pretrain.probing import MAX_CLIPS, Probes, probe, sample_clips
from egorobot.pretrain.quarantine import Quarantine

METRICS_FOLDER = "metrics"
QUARANTINE_FILE = "quarantine.jsonl"  # clips that cannot be read
BAD_BATCH_FILE = "bad_batch.json"  # the clips of a batch whose loss was not finite
SHOWN_CLIPS = 3  # of them in the message
MAX_NORM = 1.0  # of the gradient


class Trainer:
    """Trains a model on data, in one process or together with others.

    Args:
        model: at its start, in float32 on the CPU, the same in every process; it is taken over.
        data: the clips.
        out: folder of checkpoints and metrics.
        options: what is trained.
        how: how the work is done.
        ranks: the processes that train together.
    """

    def __init__(
        self, model: EgoVideo, data: Data, out: Path, options: PretrainOptions, how: RunOptions, ranks: Ranks
    ) -> None:
        self.data, self.out, self.options, self.how, self.ranks = data, out, options, how, ranks
        self.config = model.config
        weights_type, autocast = PRECISIONS[options.precision]
        model.to(ranks.device, weights_type).train()
        if how.grad_checkpointing:
            model.set_grad_checkpointing()
        if how.compile:
            for block in transformer_blocks(model):
                block.compile()
        with ranks.together():
            self.model = spread(model, ranks, how.distributed)
        self.optimizer = make_optimizer(self.model, options)
        side_by_side = ranks.size == 1 and ranks.device.type == "cpu" and not how.compile
        threads = torch.get_num_threads() if side_by_side else 1
        self.objective = Objective(ranks, how.micro_batch, autocast, options.group_weight, options.box_weight, threads)
        self.checkpoints = Checkpoints(out, digest(json.dumps(options.to_dict(), sort_keys=True)), ranks)
        # Of the first process only.
        self.quarantine: Quarantine | None = None
        self._metrics: Metrics | None = None
        with ranks.together():
            if ranks.first:
                self.quarantine = Quarantine(out / QUARANTINE_FILE, how.max_bad_share, data.num_clips)

    def train(self) -> None:
        """Do the steps that are still to do.

        Raises:
            UserError: the loss was not finite, clips cannot be read, or a checkpoint is of no use.
        """
        first, steps = self.checkpoints.load(self.model, self.optimizer), self.options.steps
        on_cpu = self.ranks.device.type == "cpu"
        loader = BatchLoader(self.data.batches, range(first, steps), self.how.loader_workers, give_way=on_cpu)
        if self.ranks.first:
            folder, record = self.out / METRICS_FOLDER, self.options.to_dict()
            self._metrics = Metrics(folder, first, self.how.wandb_project, record)
        hidden = not self.ranks.first
        with tqdm(
            total=steps, initial=first, desc="pre-training", unit="step", dynamic_ncols=True, disable=hidden
        ) as bar:
            batches = iter(loader)
            for step in range(first, steps):
                batch = self._next(batches)
                values = self._step(step, batch)
                values["clips_per_s"] = self.options.batch_size * loader.steps_per_second
                values["data_wait"] = loader.wait_share
                num_bad = self.quarantine.num_bad if self.quarantine is not None else 0
                values["bad_clips"] = num_bad
                self._write(values, step)
                bar.set_postfix_str(
                    f"loss {values['loss']:.3f}, {values['clips_per_s']:.0f} clips/s, "
                    f"{values['data_wait']:.0%} waiting for data" + f", {num_bad} bad clips" * (num_bad > 0)
                )
                bar.update()
                self._save_and_validate(step + 1)
        if self._metrics is not None:
            self._metrics.close()

    def plain_model(self) -> EgoVideo | None:
        """Return the model as it is now, whole, in float32 and ready to embed, in the first process; None elsewhere.

        Every process takes part.
        """
        weights = full_weights(self.model)
        if not self.ranks.first:
            return None
        model = EgoVideo(self.config)
        model.load_state_dict(weights)
        return model.to(self.ranks.device).eval()

    def validate(self, model: EgoVideo) -> Probes:
        """Return the scores of `model` on held-out clips, `MAX_CLIPS` at most; for the first process."""
        assert self.quarantine is not None
        clips = sample_clips(self.data.main, self.data.held_out, MAX_CLIPS)
        return probe(model, self.data.main, clips, self.options.seed, self.quarantine.read)

    def clean_up(self) -> None:
        """Remove what only a training that goes on needs."""
        self.checkpoints.remove()
        (self.out / BAD_BATCH_FILE).unlink(missing_ok=True)

    def _step(self, step: int, batch: Batch) -> dict[str, float]:
        """Change the weights by one step, and return the numbers of it."""
        rate = learning_rate(self.options, step)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad()
        with self.objective.step_threads(batch):
            loss = self.objective.backward(self.model, batch)
            norm = clip_gradients(self.model.parameters(), MAX_NORM)
            self._check_finite(loss, norm, step, batch)
            self.optimizer.step()
        return {"loss": loss.item(), "gradient_norm": norm.item(), "learning_rate": rate}

    def _check_finite(self, loss: Tensor, norm: Tensor, step: int, batch: Batch) -> None:
        """Stop all processes where the loss or its gradient, which all know, is not finite."""
        if math.isfinite(loss.item()) and math.isfinite(norm.item()):
            return
        clips = [clip for part in self.ranks.gather_objects(batch.clip_ids) for clip in part]
        path = self.out / BAD_BATCH_FILE
        shown = ", ".join(clips[:SHOWN_CLIPS])
        with self.ranks.together():
            if self.ranks.first:
                write_json(path, {"step": step, "loss": str(loss.item()), "clips": clips})
            raise UserError(
                f"the loss or its gradient is not finite at step {step} (clips {shown}, ...: all are in {path}): "
                "try a lower learning_rate in another out=; checkpoints from before are kept"
            )

    def _next(self, batches: Iterator[Batch]) -> Batch:
        """Return the next batch; the clips that could not be read, in any process, are given to the quarantine.

        Raises:
            UserError: a process could not make its batch, which stops all of them.
        """
        batch: Batch | UserError
        try:
            batch = next(batches)
        except UserError as error:
            batch = error
        num_bad = -1 if isinstance(batch, UserError) else len(batch.bad)
        count = self.ranks.gather(torch.tensor([num_bad], device=self.ranks.device))
        if (count < 0).any():
            with self.ranks.together():
                if isinstance(batch, UserError):
                    raise batch
        assert isinstance(batch, Batch)
        if count.any():
            self._note_bad(batch)
        return batch

    def _note_bad(self, batch: Batch) -> None:
        records = [record for part in self.ranks.gather_objects(batch.bad) for record in part]
        with self.ranks.together():
            if self.quarantine is not None:
                self.quarantine.record_all((record.clip_id, record.reason) for record in records)

    def _save_and_validate(self, done: int) -> None:
        last = done == self.options.steps
        if last or done % self.how.checkpoint_every == 0:
            self.checkpoints.save(self.model, self.optimizer, done)
        if self.how.validate_every is not None and not last and done % self.how.validate_every == 0:
            model = self.plain_model()
            with self.ranks.together():
                if model is not None:
                    rates = self.validate(model).rates()
                    self._write({f"valid/{name}": rate for name, rate in rates.items()}, done)

    def _write(self, values: dict[str, float], step: int) -> None:
        if self._metrics is not None:
            self._metrics.write(values, step)

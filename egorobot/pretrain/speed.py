"""How fast pre-training and its encoder are: parts of `python -m egorobot.bench`."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from egorobot.cli import load_config
from egorobot.figures import Comparison, Growth, Rate, Share, rate
from egorobot.memory import peak_memory
from egorobot.pretrain.batches import Batch, TrainingBatches
from egorobot.pretrain.data import open_data
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.initial import find_vocabulary, initial_config, initial_model
from egorobot.pretrain.loader import BatchLoader
from egorobot.pretrain.model import EgoVideo
from egorobot.pretrain.model.config import get_size
from egorobot.pretrain.objective import Objective
from egorobot.pretrain.optimization import make_optimizer
from egorobot.pretrain.options import PretrainOptions, RunOptions, options_from
from egorobot.pretrain.parallel import clip_gradients
from egorobot.pretrain.plain import PlainEgoVideo
from egorobot.pretrain.precision import PRECISIONS
from egorobot.pretrain.train import RECORD_FILE
from egorobot.pretrain.trainer import MAX_NORM

EMBED_BATCH = 32
MATRIX = 2048  # side of the matrices whose product's speed is taken for the peak
TURN = 2.0  # s, of what is compared by turns: shorter than it takes a machine to become faster or slower
ENDLESS = 10**6  # steps that nothing measured comes to
SAME_LOSS = {"float32": 1e-4, "bfloat16": 1e-2}  # how near two computations of one loss are, by precision
STEPS_PER_CLIP = 1 / 25  # of a pre-training whose growth is measured


def measure_embedding(seconds: float) -> list[Rate]:
    """Measure how many clips a second the nano size embeds, with both streams and with the low-rate one alone."""
    model = EgoVideo(get_size("nano", vocabulary=())).eval()
    config = model.config
    shape = (EMBED_BATCH, config.num_frames, config.image_size, config.image_size, 3)
    clips = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    rates = []
    for streams, words in (("both", "both streams"), ("slow", "low-rate stream alone")):
        model.embed_streams = streams
        batches = rate(lambda: model.embed(clips), seconds)
        rates.append(Rate(f"embedding, egovideo nano, {words}", "clips", EMBED_BATCH * batches))
    return rates


def compare_pretraining(num_clips: int, seconds: float, folder: Path) -> list[Comparison | Share]:
    """Compare training steps with the plain reading of EgoVideo's figure, on the same batches from the same weights.

    The plain reading computes in float32, ours in the precision that pre-training has on this machine. It keeps
    nothing, so clips are resized whenever they are read, and its loader has the priority that processes have.

    Args:
        num_clips: clips of simulated hands that are trained on.
        seconds: that each is measured for.
        folder: for the clips.

    Returns:
        The comparison; the share of the machine's speed in matrix products that training
        makes use of; and that of the time in which it waits for data.

    Raises:
        RuntimeError: the two do not have the same loss.
    """
    options, how = options_from(load_config("pretrain", [f"data_dir={folder}", f"corpus.num_clips={num_clips}"]))
    config = initial_config(options)
    data = open_data(options, config, how, Ranks())
    vocabulary = find_vocabulary(options, config, data.captions())

    def model() -> EgoVideo:
        return initial_model(options, replace(config, vocabulary=vocabulary)).train()

    precision = options.precision
    autocast = PRECISIONS[precision][1]
    ours = _Training(model(), options, how, data.batches, torch.get_num_threads(), autocast, give_way=True)
    plain = _Training(PlainEgoVideo(model()), options, how, _resized_anew(data.batches))
    with closing(ours), closing(plain):
        losses = ours.step(), plain.step()
        if abs(losses[0] - losses[1]) > SAME_LOSS[precision] * losses[1]:
            raise RuntimeError(f"two computations of one loss differ: {losses[0]} and {losses[1]}")
        ours.waited = ours.spent = 0.0  # without the start of the process that loads clips
        turns = max(2, round(seconds / TURN))
        rates = [[rate(training.step, seconds / turns) for training in (ours, plain)] for _ in range(turns)]
        speed, usual = (options.batch_size * sum(one) / turns for one in zip(*rates, strict=True))
        waiting = ours.waited / ours.spent
        flops = ours.count_flops() / options.batch_size
    peak = matrix_peak(seconds, autocast or torch.float32)
    whole = f"{peak / 1e9:.0f} GFLOP/s in {precision} matrix products"
    return [
        Comparison("pre-training, nano, same loss", "clips", (f"egorobot, {precision}", speed), ("plain", usual)),
        Share("arithmetic of pre-training", flops * speed / peak, whole),
        Share("waiting for data in pre-training", waiting, "its time"),
    ]


def _resized_anew(batches: TrainingBatches) -> TrainingBatches:
    """Return the same batches, made of clips that are not kept in the model's sizes."""
    corpora = [replace(source, keep_fitted=False) for source in batches.corpora]
    return TrainingBatches(corpora, batches.batch_size, batches.sizes, batches.seed)


class _Training:
    """Steps of a model on batches as training loads them; the batches of any two are the same.

    Attributes:
        spent: time of all steps, in s.
        waited: the part of it in which there was no batch yet.
    """

    def __init__(
        self,
        model: nn.Module,
        options: PretrainOptions,
        how: RunOptions,
        batches: TrainingBatches,
        threads: int = 1,
        autocast: torch.dtype | None = None,
        give_way: bool = False,
    ) -> None:
        self.model = model
        self.optimizer = make_optimizer(model, options)
        self.objective = Objective(Ranks(), None, autocast, options.group_weight, options.box_weight, threads)
        self.spent = self.waited = 0.0
        self.loader = BatchLoader(batches, range(ENDLESS), how.loader_workers, give_way)
        self._batches: Iterator[Batch] = iter(self.loader)

    def step(self) -> float:
        """Do a step, and return the loss before it."""
        start = time.perf_counter()
        batch = next(self._batches)
        self.waited += time.perf_counter() - start
        self.optimizer.zero_grad()
        with self.objective.step_threads(batch):
            loss = self.objective.backward(self.model, batch).item()
            clip_gradients(self.model.parameters(), MAX_NORM)
            self.optimizer.step()
        self.spent += time.perf_counter() - start
        return loss

    def count_flops(self) -> int:
        """Return the floating-point operations in the matrix products and convolutions of a step."""
        self.objective = replace(self.objective, threads=1)  # the counter sees its own thread only
        with FlopCounterMode(display=False) as counter:
            self.step()
        return counter.get_total_flops()

    def close(self) -> None:
        """End the processes that load clips."""
        del self._batches


def matrix_peak(seconds: float, dtype: torch.dtype = torch.float32) -> float:
    """Return the floating-point operations a second of products of large matrices of `dtype`."""
    generators = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    left, right = (torch.randn(MATRIX, MATRIX, generator=generator).to(dtype) for generator in generators)
    return 2 * MATRIX**3 * rate(lambda: left @ right, seconds)


def measure_growth(num_clips: int, times: int, folder: Path) -> Growth:
    """Measure pre-training on `num_clips` clips of simulated hands and on `times` as many, with steps in proportion.

    Rendering, training and the scores at the end count, Python's start does not.

    Args:
        num_clips: of the smaller corpus; 24 or more.
        times: how many times larger the other one is.
        folder: for clips and encoders.

    Raises:
        UserError: pre-training failed.
    """
    seconds, peaks = [], []
    for clips in (num_clips, times * num_clips):
        out = folder / f"encoder_{clips}"
        options = [f"corpus.num_clips={clips}", f"steps={round(clips * STEPS_PER_CLIP)}", f"out={out}"]
        # Data of its own: the smaller corpus is a part of the larger one.
        peaks.append(
            peak_memory([sys.executable, "-m", "egorobot", "pretrain", *options, f"data_dir={folder / str(clips)}"])
        )
        record = json.loads((out / RECORD_FILE).read_text(encoding="utf-8"))
        seconds.append(record["clips_s"] + record["train_s"])
    return Growth("pre-training, nano", times, (seconds[0], seconds[1]), (peaks[0], peaks[1]))

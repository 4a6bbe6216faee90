"""The contrastive loss over the batch of all processes, whatever fits into one's memory.

Gradients of the loss reach the encoders by way of the embeddings (GradCache, Gao et al.
2021): clips are encoded in micro-batches, embeddings of all processes are brought
together, the loss is taken over all of them once, and each process sends the gradients of
its own embeddings back through its encoders, one micro-batch at a time. In bfloat16 on a CPU
the encoders round a little otherwise where no gradients are asked for.

On a CPU a step of many small operations leaves several threads that share each of them
waiting for each other. There the batch is cut into parts that go through the encoders side
by side, one thread each, and meet at the loss.
"""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from threading import Barrier
from typing import Any

import torch
from torch import Tensor, nn

from egorobot.pretrain.batches import Batch
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import Encoded
from egorobot.pretrain.model.loss import contrastive_loss
from egorobot.pretrain.parallel import synchronised
from egorobot.torch_state import torch_threads

MIN_PART = 8  # clips that are worth a thread


@dataclass(frozen=True)
class Objective:
    """The loss, and how it is computed.

    Attributes:
        ranks: the processes that share the batch.
        micro_batch: clips that one process encodes at a time; None is its whole share.
        autocast: type that matrices are multiplied in; None is that of the weights.
        group_weight: of the loss inside groups, see `contrastive_loss`.
        box_weight: of the loss of boxes, on average over clips, see `box_losses`.
        threads: how many encode parts of the batch side by side, where there is no
            `micro_batch`; more than one only on a CPU, in one process.
    """

    ranks: Ranks
    micro_batch: int | None = None
    autocast: torch.dtype | None = None
    group_weight: float = 0.0
    box_weight: float = 0.0
    threads: int = 1

    def backward(self, model: nn.Module, batch: Batch) -> Tensor:
        """Add the gradients of the loss to those of `model`'s parameters, and return the loss, a scalar.

        Args:
            model: its forward takes low-rate frames, high-rate frames, captions and boxes,
                and returns what `EgoVideo.forward` does.
            batch: this process's share of the batch; every process has as many clips.

        Returns:
            The loss over the batch of all processes, which is the same in each of them.
        """
        batch = batch.to(self.ranks.device)
        if self._side_by_side(batch) > 1:
            return self._backward_side_by_side(model, batch)
        parts = list(batch.split(self.micro_batch or len(batch)))
        if len(parts) == 1:
            with synchronised(model, last=True):
                encoded = self._encode(model, batch)
                loss, gradients = self._loss(encoded, batch)
                torch.autograd.backward(*_with_graph(encoded, gradients))
            return loss
        with torch.no_grad():
            whole = _joined([self._encode(model, part) for part in parts])
        loss, gradients = self._loss(whole, batch)
        shares = _split(gradients, len(parts[0]))
        for i, (part, share) in enumerate(zip(parts, shares, strict=True)):
            with synchronised(model, last=i == len(parts) - 1):
                torch.autograd.backward(*_with_graph(self._encode(model, part), share))
        return loss

    def step_threads(self, batch: Batch) -> AbstractContextManager[None]:
        """Return what a step on `batch` is done in: torch has one thread where parts of the batch have one each.

        To wake its others for the little that is left, gradients to be added and weights to
        be changed, takes longer than they save (as measured at size nano).
        """
        return torch_threads(1) if self._side_by_side(batch) > 1 else nullcontext()

    def _side_by_side(self, batch: Batch) -> int:
        """Return how many threads encode parts of `batch`, each its own."""
        return 1 if self.micro_batch is not None else min(self.threads, len(batch) // MIN_PART)

    def _backward_side_by_side(self, model: nn.Module, batch: Batch) -> Tensor:
        parts = list(batch.split(-(-len(batch) // self._side_by_side(batch))))
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        jobs: list[Future[Any]] = []
        with self.step_threads(batch), _ends_of_graph(parameters), _ended(jobs):
            all_encoded = Barrier(len(parts))
            try:
                for part in parts:
                    jobs.append(self._pool.submit(self._encode, model, part, all_encoded))
                encoded = [job.result() for job in jobs]
            except BaseException:
                all_encoded.abort()  # Ctrl-C may come when some threads wait and others have not begun
                raise
            loss, gradients = self._loss(_joined(encoded), batch)

            def by_parameters(own: Encoded, share: Encoded) -> tuple[Tensor | None, ...]:
                outputs, by_outputs = _with_graph(own, share)
                return torch.autograd.grad(outputs, parameters, by_outputs, allow_unused=True)

            for own, share in zip(encoded, _split(gradients, len(parts[0])), strict=True):
                jobs.append(self._pool.submit(by_parameters, own, share))
            found = [job.result() for job in jobs[len(parts) :]]
        # Added in one order, whichever thread was first.
        for parameter, *by_part in zip(parameters, *found, strict=True):
            for gradient in by_part:
                if gradient is not None:
                    gradient = gradient.contiguous()  # fused AdamW takes it to lie in memory as the weights do
                    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient
        return loss

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        """The threads that encode parts, kept from step to step.

        New ones would make all of their memory new, page by page: 6 to 9 % of a step at size nano.
        """
        return ThreadPoolExecutor(self.threads)

    def _encode(self, model: nn.Module, batch: Batch, all_encoded: Barrier | None = None) -> Encoded:
        """Return what `model` makes of `batch`, when threads that encode other parts have come to `all_encoded` too.

        They share weights that autocast has rounded, and the first to leave it makes all forget
        them: which gradients are added as bfloat16, and which as float32, would be chance.
        """
        with torch.autocast(self.ranks.device.type, self.autocast, enabled=self.autocast is not None):
            try:
                encoded: Encoded = model(batch.frames_slow, batch.frames_fast, batch.captions, batch.boxes_slow)
            finally:
                if all_encoded is not None:
                    all_encoded.wait()
        if self.autocast is None:
            return encoded
        return encoded._replace(video=encoded.video.float(), text=encoded.text.float(), boxes=encoded.boxes.float())

    def _loss(self, encoded: Encoded, batch: Batch) -> tuple[Tensor, Encoded]:
        """Return the loss over all processes, and its gradients by this one's clips and by the scale.

        Those by its clips are larger by the number of processes, by which the processes'
        gradients will be averaged; that by the scale is whole in each of them.
        """
        ranks = self.ranks
        video, text = (ranks.gather(tensor.detach()).requires_grad_() for tensor in (encoded.video, encoded.text))
        scale = encoded.scale.detach().requires_grad_()
        boxes = ranks.gather(encoded.boxes.detach())
        keys = ranks.gather(caption_keys(batch.captions).to(ranks.device))
        groups = ranks.gather(batch.groups.to(ranks.device))
        captions = [str(key) for key in keys.tolist()]
        loss = contrastive_loss(video, text, scale, captions, groups, self.group_weight)
        gradients = torch.autograd.grad(loss, (video, text, scale))
        own = slice(ranks.rank * len(batch), (ranks.rank + 1) * len(batch))
        by_boxes = torch.full_like(encoded.boxes, self.box_weight / len(boxes) * ranks.size)
        shares = Encoded(gradients[0][own] * ranks.size, gradients[1][own] * ranks.size, gradients[2], by_boxes)
        return loss.detach() + self.box_weight * boxes.mean(), shares


@contextmanager
def _ended(jobs: Sequence[Future[Any]]) -> Iterator[None]:
    """Have `jobs` end within, after an error too: they use what is there within."""
    try:
        yield
    finally:
        wait(jobs)


@contextmanager
def _ends_of_graph(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Have autograd's nodes of `parameters` stay while threads use these.

    A thread that makes such a node holds a lock of the parameter's and waits for Python's.
    Another that holds Python's, to index the parameter, would wait for the first for ever
    (PyTorch 2.14).
    """
    views = [parameter.view_as(parameter) for parameter in parameters]
    yield
    del views


def _joined(parts: Sequence[Encoded]) -> Encoded:
    """Return the parts of a batch as one."""
    videos, texts, scales, boxes = zip(*parts, strict=True)
    return Encoded(torch.cat(videos), torch.cat(texts), scales[0], torch.cat(boxes))


def _split(gradients: Encoded, size: int) -> list[Encoded]:
    """Return the gradients of parts of `size` clips; that by the scale, which all have, goes to the last."""
    parts = zip(*(tensor.split(size) for tensor in (gradients.video, gradients.text, gradients.boxes)), strict=True)
    shares = [Encoded(video, text, torch.zeros_like(gradients.scale), boxes) for video, text, boxes in parts]
    return [*shares[:-1], shares[-1]._replace(scale=gradients.scale)]


def _with_graph(encoded: Encoded, gradients: Encoded) -> tuple[list[Tensor], list[Tensor]]:
    """Return those of `encoded` that depend on parameters, and the `gradients` by them."""
    pairs = [(own, share) for own, share in zip(encoded, gradients, strict=True) if own.requires_grad]
    return [own for own, _ in pairs], [share for _, share in pairs]


def caption_keys(captions: Sequence[str]) -> Tensor:
    """Return a number for each caption, int64 (B,), the same for the same caption everywhere."""
    digests = [hashlib.blake2b(caption.encode(), digest_size=8).digest() for caption in captions]
    return torch.tensor([int.from_bytes(digest, "little", signed=True) for digest in digests])

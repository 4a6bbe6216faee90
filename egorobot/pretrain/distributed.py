"""The processes that train together: one alone, or several under torchrun or accelerate launch."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from egorobot.errors import UserError

PATIENCE = timedelta(days=1)  # for another process that renders clips, evaluates, or trains into the same folder

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """One of the processes that train together; alone unless told otherwise.

    Attributes:
        rank: number of this process.
        size: how many there are.
        local_rank: number of this process on its machine.
        device: where it computes.
        control: the group that passes messages, apart from tensors of training; None when alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    control: Any = None

    @property
    def first(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def gather(self, tensor: Tensor) -> Tensor:
        """Return the `tensor` (B, ...) of every process, which is of one size, one after the other."""
        if self.size == 1:
            return tensor
        gathered = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(gathered, tensor.contiguous())
        return torch.cat(gathered)

    def gather_objects(self, value: T) -> list[T]:
        """Return the `value` of every process, in order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self.control)
        return values

    def from_first(self, make: Callable[[], T]) -> T:
        """Return what `make` returns in the first process; a `UserError` there ends all of them.

        Raises:
            UserError: in the first process, as `make` raised it.
        """
        value: list[Any] = [None]
        with self.together():
            if self.first:
                value = [make()]
        if self.size > 1:
            dist.broadcast_object_list(value, src=0, group=self.control)
        return value[0]

    def wait(self) -> None:
        """Return when every process has come here."""
        if self.size > 1:
            dist.barrier(group=self.control)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let all processes out of the block, or none, so that an error is told once.

        The block must not wait for another process.

        Raises:
            UserError: in the first process that has one.
            SystemExit: in the others.
        """
        error = None
        try:
            yield
        except UserError as caught:
            error = caught
        failed = self.gather_objects(error is not None)
        if error is not None and failed.index(True) == self.rank:
            raise error
        if True in failed:
            # With any other status the launcher would take this process for the cause,
            # and stop the one that is about to tell it.
            sys.exit(0)

    def in_turns(self, action: Callable[[], None]) -> None:
        """Do `action` in the first process, then in one of each other machine, then in the rest.

        For work whose result is found on disk by those who come later.
        """
        turn = 0 if self.first else 1 if self.local_rank == 0 else 2
        for now in range(3 if self.size > 1 else 1):
            with self.together():
                if turn == now:
                    action()


@contextmanager
def connect() -> Iterator[Ranks]:
    """Join the processes that the environment names (RANK, WORLD_SIZE, LOCAL_RANK), for the length of the block.

    Raises:
        UserError: the environment is incomplete, or the others do not answer.
    """
    try:
        rank, size, local_rank = (int(os.environ.get(n, d)) for n, d in _ENVIRONMENT.items())
    except ValueError as error:
        raise UserError(f"RANK, WORLD_SIZE or LOCAL_RANK is not a number ({error}): start with torchrun") from error
    use_gpu = torch.cuda.is_available()
    if use_gpu:
        if local_rank >= torch.cuda.device_count():
            raise UserError(f"LOCAL_RANK={local_rank}, but {torch.cuda.device_count()} GPUs: start fewer processes")
        torch.cuda.set_device(local_rank)
    device = torch.device("cuda", local_rank) if use_gpu else torch.device("cpu")
    if size == 1:
        yield Ranks(device=device)
        return
    try:
        dist.init_process_group("nccl" if use_gpu else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"WORLD_SIZE={size}, but the others cannot be met ({reason}): start with torchrun") from error
    try:
        yield Ranks(rank, size, local_rank, device, dist.new_group(backend="gloo", timeout=PATIENCE))
    except SystemExit:  # all end `together`; Python that exits with the group's threads alive aborts now and then
        dist.destroy_process_group()
        raise
    # Not after an error: the others may be waiting for tensors that will not come.
    dist.destroy_process_group()


_ENVIRONMENT = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}

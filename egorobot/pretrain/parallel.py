"""A model spread over processes: copies of it (DDP) or shards of it (FSDP2), behind one set of functions."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from egorobot.errors import UserError
from egorobot.pretrain.distributed import Ranks
from egorobot.pretrain.model import EgoVideo


def transformer_blocks(model: EgoVideo) -> list[nn.Module]:
    """Return the blocks of both towers, those of the text tower called once for each of its parts."""
    return [*model.vision.blocks, *model.text.transformer.transformer.resblocks]


def spread(model: EgoVideo, ranks: Ranks, kind: str) -> nn.Module:
    """Return `model` ready to train in the processes of `ranks`; alone, that is the model itself.

    Args:
        model: the same in every process, on its device.
        ranks: the processes.
        kind: one of `egorobot.pretrain.options.DISTRIBUTED`.

    Raises:
        UserError: this PyTorch is too old for it.
    """
    if ranks.size == 1:
        return model
    if kind == "fsdp" and ranks.device.type == "cpu" and not hasattr(FSDPModule, "set_force_sum_reduction_for_comms"):
        raise UserError(f"distributed=fsdp on CPUs needs a newer PyTorch than {torch.__version__}: distributed=ddp")
    if kind == "ddp":
        return DistributedDataParallel(model, broadcast_buffers=False)
    mesh = init_device_mesh(ranks.device.type, (ranks.size,))
    for module in (*transformer_blocks(model), model):
        shard: Any = fully_shard(module, mesh=mesh)
        if ranks.device.type == "cpu":
            shard.set_force_sum_reduction_for_comms(True)  # gloo has no averages
    return model


@contextmanager
def synchronised(model: nn.Module, last: bool) -> Iterator[None]:
    """Average gradients over processes at the end of the forward and backward pass within, if it is the `last`."""
    if isinstance(model, DistributedDataParallel):
        if last:
            yield
        else:
            with model.no_sync():
                yield
        return
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(last)
    yield


def clip_gradients(parameters: Iterable[nn.Parameter], limit: float) -> Tensor:
    """Scale gradients down to the norm `limit` where they are larger, and return the norm that they had, a scalar.

    The norm is that of the whole gradient, however it is spread.
    """
    parameters = [parameter for parameter in parameters if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    whole = norm.full_tensor() if isinstance(norm, DTensor) else norm
    nn.utils.clip_grads_with_norm_(parameters, limit, whole)
    return whole


def full_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the whole `state_dict` on the CPU in the first process, an empty one in the others."""
    return get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))  # type: ignore[return-value]

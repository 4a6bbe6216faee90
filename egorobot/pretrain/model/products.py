"""Where products are trained in bfloat16 on a CPU: some of PyTorch's ways are slow there, others are taken."""

import torch
from torch import Tensor


def trained_in_bfloat16(x: Tensor) -> bool:
    """Return whether products of `x` are those of bfloat16 on a CPU, and gradients by it will be asked for."""
    if x.device.type != "cpu" or x.dtype == torch.float64 or not (x.requires_grad and torch.is_grad_enabled()):
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    return dtype == torch.bfloat16


def added(x: Tensor, change: Tensor) -> Tensor:
    """Return `x + change` in the type of `x`, where `change` is perhaps a product in another one.

    PyTorch adds numbers of two types half as fast on a CPU.
    """
    return x + change if change.dtype == x.dtype else change.to(x.dtype).add_(x)

"""The number formats of pre-training, and which of them suits a machine."""

from collections.abc import Mapping
from typing import Any

import torch

# Type of the weights, and of matrix products where that is another.
PRECISIONS: dict[str, tuple[torch.dtype, torch.dtype | None]] = {
    "float32": (torch.float32, None),
    "bfloat16": (torch.float32, torch.bfloat16),
    "float64": (torch.float64, None),
}
BFLOAT16_UNITS = ("avx512_bf16", "amx_bf16")  # instructions of CPUs that multiply bfloat16


def native_precision() -> str:
    """Return "bfloat16" where this machine has instructions that multiply it, else "float32".

    Versions of PyTorch that do not tell a CPU's instructions count as without.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        instructions: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        native = any(instructions.get(name, False) for name in BFLOAT16_UNITS)
    return "bfloat16" if native else "float32"

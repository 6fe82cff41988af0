"""Which number format the matrix products use, chosen by measuring this machine."""

import time
from typing import Literal

import torch
from torch import Tensor

PrecisionName = Literal["auto", "bfloat16", "float32"]

_WORTH_IT = 1.3  # bfloat16 is chosen where it multiplies at least this much faster than float32


def choose_precision(name: PrecisionName, device: torch.device) -> torch.dtype:
    """The dtype of the weights in matrix products. "auto" measures; the float32 masters stay in the optimiser."""
    if name == "float32":
        return torch.float32
    if name == "bfloat16":
        return torch.bfloat16
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.float32
    faster = matmul_peak(torch.bfloat16, device) / matmul_peak(torch.float32, device)
    return torch.bfloat16 if faster >= _WORTH_IT else torch.float32


def matmul_peak(dtype: torch.dtype, device: torch.device, size: int = 1024, repeats: int = 5) -> float:
    """FLOP/s of the fastest of `repeats` products of two square matrices: what this machine can do right now.

    size  1,024 keeps a CPU busy for some milliseconds; a GPU gets at least 8,192
    """
    if device.type == "cuda":
        size = max(size, 8192)
    left, right = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    left @ right  # first call: packing, kernel choice
    best = min(_seconds_of_product(left, right) for _ in range(repeats))
    return 2.0 * size**3 / best


def _seconds_of_product(left: Tensor, right: Tensor) -> float:
    if left.is_cuda:
        torch.cuda.synchronize()
    started = time.perf_counter()
    left @ right
    if left.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - started

"""Dropout (Srivastava et al. 2014; BERT A.2: 0.1 on all layers), made cheap where torch's own is slow.

On a CPU, drawing a Bernoulli number for each element costs 6 ns and more: a sixth of a training step of a small model.
Here one draw of 64 random bits serves four elements, each of which compares its own 16 bits with a threshold.

The bits come from a generator seeded by torch's global one, so dropout is a function of `torch.manual_seed`.
"""

import numpy as np
import torch
from torch import Tensor, nn

_LEVELS = 2**16  # a rate is kept to the nearest of these: 0.1 becomes 0.10001


def dropout(states: Tensor, rate: float) -> Tensor:
    """Zero each element with probability `rate` and divide the others by `1 - rate`. Any shape; 0 does nothing."""
    if rate == 0.0:
        return states
    if states.device.type != "cpu":
        return nn.functional.dropout(states, rate)
    return (states * keep_mask(states, rate)).mul_(1.0 / (1.0 - rate))


def dropout_then_add(states: Tensor, residual: Tensor, rate: float) -> Tensor:
    """`residual + dropout(states)`, a pass shorter: the scale goes into the addition. Equal shapes."""
    if rate == 0.0 or states.device.type != "cpu":
        return residual + dropout(states, rate)
    return torch.add(residual, states * keep_mask(states, rate), alpha=1.0 / (1.0 - rate))


def keep_mask(states: Tensor, rate: float) -> Tensor:
    """1 where an element is kept, 0 where it is dropped; shape, dtype and device of `states`."""
    keep = torch.empty_like(states, requires_grad=False, memory_format=torch.contiguous_format)
    if states.device.type != "cpu":
        return keep.bernoulli_(1.0 - rate)
    seed = int(torch.randint(2**62, ()))
    words = np.random.SFC64(seed).random_raw((states.numel() + 3) // 4)
    bits = torch.from_numpy(words.view(np.int16)[: states.numel()]).view(states.shape)
    return torch.ge(bits, round(rate * _LEVELS) - _LEVELS // 2, out=keep)

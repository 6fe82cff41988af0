"""A machine whose memory is too small for a step says so, and what to do."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bertsmith.core.errors import OutOfMemory

_CPU_SAYS = "DefaultCPUAllocator"  # in an error that has no type of its own


@contextmanager
def memory_for(num_sequences: int, num_tokens: int) -> Iterator[None]:
    """Around a forward and backward pass over so many sequences. Raises OutOfMemory in the place of torch's error."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or _CPU_SAYS in str(error)):
            raise
        raise OutOfMemory(
            f"The memory is too small for a forward and backward pass over {num_sequences} sequences at a time, of "
            f"{num_tokens:,} tokens together ({str(error).splitlines()[0]}). Start with a smaller --micro-batch-size, "
            f"which leaves the batch as it is; go on with --activation-checkpointing, which is slower and leaves all "
            f"numbers as they are (Transformers only); or take shorter sequences."
        ) from None

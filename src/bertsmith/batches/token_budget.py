"""Batches of as many items as a number of tokens allows: many short texts or a few long ones cost the same."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

BATCH_TOKENS = 4096  # of what does not train: the states of many more leave the cache of a CPU

Item = TypeVar("Item")


def within_tokens(items: Iterable[Item], num_tokens: Callable[[Item], int], batch_tokens: int) -> Iterator[list[Item]]:
    """Items that follow each other, `batch_tokens` together at most; one that is longer is a batch of its own."""
    batch: list[Item] = []
    tokens = 0
    for item in items:
        count = num_tokens(item)
        if batch and tokens + count > batch_tokens:
            yield batch
            batch, tokens = [], 0
        batch.append(item)
        tokens += count
    if batch:
        yield batch

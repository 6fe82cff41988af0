"""Gradients added up over several processes, while the backward pass still computes others (as in Li et al. 2020).

A backward pass reaches the last layer first. So the buffers of gradients are cut into buckets from their ends; the sum
of a bucket is asked for as soon as all its gradients are there, in an order that is the same in all processes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from bertsmith.training.flat_weights import FlatWeights
from bertsmith.training.processes import Processes

_BUCKET_SIZE = 25 * 2**20 // 4  # numbers; 25 MiB, as torch's own


@dataclass(frozen=True, eq=False)
class Bucket:
    """Neighbours in a buffer whose gradients are added up together.

    weights  the buffer
    places   of its parameters in the buffer
    numbers  [n]  its part of the buffer's gradient
    """

    weights: FlatWeights
    places: range
    numbers: Tensor


def buckets_of(buffers: Sequence[FlatWeights], size: int = _BUCKET_SIZE) -> list[Bucket]:
    """All gradients in buckets, those first that are there first.

    size  numbers; a bucket that has so many is closed
    """
    buckets: list[Bucket] = []
    for weights in buffers:
        start = end = len(weights.gradient)
        stop = len(weights.parameters)
        for place in reversed(range(stop)):
            start -= weights.parameters[place].numel()
            if end - start >= size or place == 0:
                buckets.append(Bucket(weights, range(place, stop), weights.gradient[start:end]))
                stop, end = place, start
    return buckets


@contextmanager
def added_up_meanwhile(buckets: Sequence[Bucket], processes: Processes, *, first: bool) -> Iterator[None]:
    """Around the last backward pass of a step: afterwards the buffers hold the sums over all processes.

    first  whether this step had no backward pass before
    """
    missing = [set(bucket.places) for bucket in buckets]
    sums: list[Callable[[], None]] = []  # each waits for the sum of a bucket that was asked for

    def take(number: int, place: int) -> None:
        buckets[number].weights.add_gradient(place, first=first)
        missing[number].remove(place)
        while len(sums) < len(buckets) and not missing[len(sums)]:  # in order: all processes have to ask alike
            sums.append(processes.begin_to_add_up(buckets[len(sums)].numbers))

    handles = [
        bucket.weights.parameters[place].register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            lambda _, number=number, place=place: take(number, place)
        )
        for number, bucket in enumerate(buckets)
        for place in bucket.places
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    for number, bucket in enumerate(buckets):
        for place in bucket.places:
            if place in missing[number]:  # the loss did not depend on it
                take(number, place)
    for wait in sums:
        wait()

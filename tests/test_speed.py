"""Speed is guarded as a ratio against transformers in one run, with a wide margin; `make bench` measures it."""

import statistics
import time

import torch

import pretraining_step
from bertsmith.training.precision import choose_precision


def seconds(step, batch):
    started = time.perf_counter()
    step(batch)
    return time.perf_counter() - started


def test_a_pretraining_step_of_a_tiny_network_is_three_times_as_fast_as_that_of_transformers():
    """Seven times are measured (docs/benchmarks.md). Both sides in turn on the same batches, after one to warm up."""
    ours = pretraining_step.our_step("tiny", choose_precision("auto", torch.device("cpu")))
    theirs = pretraining_step.their_step("tiny", autocast=False)
    batches = [pretraining_step.make_batch(index) for index in range(5)]
    ratios = [seconds(theirs, batch) / seconds(ours, batch) for batch in batches]
    assert statistics.median(ratios[1:]) > 3

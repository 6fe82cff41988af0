"""Where the time of bertsmith's pre-training step goes, by kind of work.

    python benchmarks/step_profile.py [--size mini] [--json FILE]

The batches and the step are those of benchmarks/pretraining_step.py, in bfloat16. torch's profiler measures each
operation's own time, without what it calls; "Python and torch between operations" is what is left of the clock. Each
step is profiled by itself and the median of a kind counts: what the profiler notes down shifts the step's blocks of
memory, and in some steps they stand on new pages, which the kernel must clear.

Products of such small matrices do not reach the speed of one large product, the peak. What share of the peak a step
would come to if all else took no time is the bound of whatever could be gained around them.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from bertsmith.core.process_environment import start_tuned
from bertsmith.model.configuration import BertConfig
from bertsmith.training.flops import flops_per_token
from bertsmith.training.precision import matmul_peak
from pretraining_step import BATCH, VOCABULARY, make_batch, our_step

KINDS = {
    "products of matrices": ("mm", "addmm", "bmm", "baddbmm"),
    "copies, conversions and gathers": (
        *("copy_", "index_select", "index", "gather", "embedding", "cat", "index_copy_", "scatter_add_"),
        *("embedding_dense_backward", "fill_", "zero_", "index_fill_", "constant_pad_nd", "masked_fill_"),
    ),
    "softmax and the loss": ("_softmax", "_softmax_backward_data", "exp_", "sub_", "amax", "log", "eq", "reciprocal_"),
    "LayerNorm and GELU": ("native_layer_norm", "native_layer_norm_backward", "gelu", "gelu_backward"),
    "sums, residuals and dropout": ("add", "add_", "mul", "mul_", "sum", "ge", "div_"),
    "optimiser": ("_fused_adamw_", "linalg_vector_norm"),
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
OTHER, BETWEEN = "other operations", "Python and torch between operations"


def measure(size: str, num_steps: int, warm_up: int) -> dict[str, Any]:
    """Seconds of each kind of work in a step, of the whole step without the profiler, and the work in it.

    seconds       of each kind
    step_seconds  of the whole step, without the profiler
    flops         of a step's real tokens (`training.flops`)
    peak_flops    a second, of one large product
    """
    step = our_step(size, torch.bfloat16)
    batches = [make_batch(index) for index in range(warm_up + num_steps)]
    for batch in batches:
        step(batch)
    started = time.perf_counter()
    for batch in batches[warm_up:]:
        step(batch)
    clock = (time.perf_counter() - started) / num_steps
    profiles = [seconds_by_kind(partial(step, batch)) for batch in batches[warm_up:]]
    config = BertConfig.of_size(size, vocab_size=VOCABULARY)
    work = [
        one.num_tokens * flops_per_token(config, one.num_tokens / BATCH, len(one.masked_labels) / one.num_tokens)
        for one in batches[warm_up:]
    ]
    peak = statistics.median(matmul_peak(torch.bfloat16, torch.device("cpu")) for _ in range(9))
    return {"seconds": medians(profiles), "step_seconds": clock, "flops": statistics.fmean(work), "peak_flops": peak}


def seconds_by_kind(step: Callable[[], object]) -> dict[str, float]:
    """Seconds of each kind of work in one step."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    seconds: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        name = event.key.removeprefix("aten::")
        is_operation = event.key.startswith("aten::") or name in KIND_OF
        kind = KIND_OF.get(name, OTHER) if is_operation else BETWEEN
        seconds[kind] += event.self_cpu_time_total / 1e6
    return dict(seconds)


def medians(profiles: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each kind of work over some steps."""
    kinds = {kind for found in profiles for kind in found}
    return {kind: statistics.median(found.get(kind, 0.0) for found in profiles) for kind in kinds}


def print_profile(title: str, found: Mapping[str, Any]) -> None:
    """Print the kinds of work of a step, the longest first, and the step's share of the peak."""
    seconds, achievable = found["seconds"], found["flops"] / found["peak_flops"]
    total = sum(seconds.values())
    print(f"{title}: {1000 * found['step_seconds']:.0f} ms a step, {1000 * total:.0f} ms under the profiler")
    for kind, each in sorted(seconds.items(), key=lambda item: -item[1]):
        print(f"{kind:40}{1000 * each:8.1f} ms {each / total:6.0%}")
    print(
        f"of the peak {achievable / total:.0%}; the products alone {achievable / seconds['products of matrices']:.0%}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="mini")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument(
        "--warm-up", type=int, default=30, help="steps in which oneDNN compiles products for the batches' shapes"
    )
    given = parser.parse_args()
    found = measure(given.size, given.steps, given.warm_up)
    print_profile(given.size, found)
    if given.json is not None:
        content = {"size": given.size, **found}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start_tuned()
    main()

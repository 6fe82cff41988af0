"""Where the time of bertsmith's pre-training step goes, by kind of work.

    python benchmarks/step_profile.py [--size mini] [--json FILE]

The batches and the step are those of benchmarks/pretraining_step.py, in bfloat16. torch's profiler measures each
operation's own time, without what it calls; "Python and torch between operations" is what is left of the clock.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from bertsmith.core.process_environment import start_tuned
from pretraining_step import make_batch, our_step

STEPS, WARM_UP = 10, 10

KINDS = {
    "products of matrices": ("mm", "addmm", "bmm", "baddbmm"),
    "copies, conversions and gathers": (
        *("copy_", "index_select", "index", "gather", "embedding", "cat", "index_copy_", "scatter_add_"),
        *("embedding_dense_backward", "fill_", "zero_", "index_fill_", "constant_pad_nd", "masked_fill_"),
    ),
    "softmax and the loss": ("_softmax", "_softmax_backward_data", "exp_", "sub_", "amax", "log", "eq", "reciprocal_"),
    "LayerNorm and GELU": ("native_layer_norm", "native_layer_norm_backward", "gelu", "gelu_backward"),
    "sums, residuals and dropout": ("add", "add_", "mul", "mul_", "sum", "ge", "div_"),
    "optimiser": ("_fused_adamw_", "linalg_vector_norm", "Optimizer.step#AdamW.step"),
}
KIND_OF = {name: kind for kind, names in KINDS.items() for name in names}
OTHER, BETWEEN = "other operations", "Python and torch between operations"


def measure(size: str) -> dict[str, float]:
    """Seconds of each kind of work in a step, and of the whole step without the profiler (`step`)."""
    step = our_step(size, torch.bfloat16)
    batches = [make_batch(index) for index in range(WARM_UP + STEPS)]
    for batch in batches:
        step(batch)
    started = time.perf_counter()
    for batch in batches[WARM_UP:]:
        step(batch)
    clock = (time.perf_counter() - started) / STEPS
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for batch in batches[WARM_UP:]:
            step(batch)
    seconds: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        name = event.key.removeprefix("aten::")
        is_operation = event.key.startswith("aten::") or name in KIND_OF
        kind = KIND_OF.get(name, OTHER) if is_operation else BETWEEN
        seconds[kind] += event.self_cpu_time_total / 1e6 / STEPS
    return dict(seconds) | {"step": clock}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="mini")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.size)
    total = sum(seconds for kind, seconds in found.items() if kind != "step")
    print(f"{given.size}: {1000 * found['step']:.0f} ms a step, {1000 * total:.0f} ms under the profiler")
    for kind, seconds in sorted(found.items(), key=lambda item: -item[1]):
        if kind != "step":
            print(f"{kind:40}{1000 * seconds:8.1f} ms {seconds / total:6.0%}")
    if given.json is not None:
        content = {"size": given.size, "seconds": found}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start_tuned()
    main()

"""Pre-training steps on one GPU: bertsmith against transformers with fused attention, both plain and compiled.

    python benchmarks/gpu.py [--sizes base large] [--lengths 128 512] [--rounds 10] [--json FILE]

A batch has 32,768 places (`--places`): 256 sequences of up to 128 tokens, or 64 of up to 512, of the ragged lengths and
with the labels of benchmarks/pretraining_step.py. All sides do the same work on the same batches, in bfloat16, dropout
0.1, in turns; a batch is on the GPU before the clock starts. transformers gets it padded to the full length, so that it
is compiled once, with its attention by `scaled_dot_product_attention` and fused AdamW. No row is begun after --minutes.
With --device cpu the same code runs, to see that it does.
"""

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BertConfig as TheirConfig
from transformers import BertForPreTraining as TheirModel

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.core.process_environment import start_tuned
from bertsmith.model.configuration import BertConfig
from bertsmith.training.flops import flops_per_token
from bertsmith.training.precision import matmul_peak
from pretraining_step import VOCABULARY, make_batch, our_step, pad

WARM_UP = 5


@dataclass(frozen=True)
class Side:
    """One of those who are compared: what it makes of a batch before the clock starts, and its step."""

    prepare: Callable[[PretrainingBatch], Any]
    step: Callable[[Any], None]


def ours(size: str, device: str, *, compiled: bool) -> Side:
    """bertsmith, flat."""
    return Side(lambda batch: batch.to(device), our_step(size, torch.bfloat16, device, compiled=compiled))


def theirs(size: str, length: int, device: str, *, compiled: bool) -> Side:
    """transformers, padded, in bfloat16 autocast."""
    config = TheirConfig(**BertConfig.of_size(size, vocab_size=VOCABULARY).to_hugging_face())
    config._attn_implementation = "sdpa"
    model = TheirModel(config).to(device).train()
    forward = torch.compile(model) if compiled else model
    decay = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    rest = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=1e-4, fused=True)

    def step(padded: dict[str, Tensor]) -> None:
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            loss = forward(**padded).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()

    return Side(lambda batch: {name: values.to(device) for name, values in pad(batch, length).items()}, step)


def seconds_of(side: Side, batch: PretrainingBatch, device: str) -> float:
    """Of one step, with all that it asked of the GPU done."""
    prepared = side.prepare(batch)
    _finish(device)
    started = time.perf_counter()
    side.step(prepared)
    _finish(device)
    return time.perf_counter() - started


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _gigabytes(sides: dict[str, Side], name: str, batch: PretrainingBatch, device: str) -> float | None:
    """Memory that a side takes at the height of a step, weights, gradients and optimiser included; None on a CPU.

    The side is taken out of `sides`: what is in use without it is not its own.
    """
    if device != "cuda":
        return None
    side = sides.pop(name)
    prepared = side.prepare(batch)
    torch.cuda.reset_peak_memory_stats()
    side.step(prepared)
    height = torch.cuda.max_memory_allocated()
    del side, prepared
    gc.collect()
    return (height - torch.cuda.memory_allocated()) / 1e9


def _in_turns(
    sides: dict[str, Side], batches: list[PretrainingBatch], device: str
) -> tuple[dict[str, list[float]], float]:
    """Tokens a second of each side in each round after the warm-up, and the median peak of a product beside them."""
    speeds: dict[str, list[float]] = {name: [] for name in sides}
    peaks = []
    for place, batch in enumerate(batches):
        peaks.append(matmul_peak(torch.bfloat16, torch.device(device)))
        for name, side in sides.items():
            taken = seconds_of(side, batch, device)
            if place >= WARM_UP:
                speeds[name].append(batch.num_tokens / taken)
    return speeds, statistics.median(peaks)


def measure(size: str, length: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Medians of all sides for one size and length, and what one round was of the next."""
    device = arguments.device
    sides = {
        "bertsmith": ours(size, device, compiled=False),
        "bertsmith compiled": ours(size, device, compiled=True),
        "transformers": theirs(size, length, device, compiled=False),
        "transformers compiled": theirs(size, length, device, compiled=True),
    }
    count = WARM_UP + arguments.rounds
    batches = [make_batch(index, arguments.places // length, length) for index in range(count)]
    speeds, peak = _in_turns(sides, batches, device)
    config = BertConfig.of_size(size, vocab_size=VOCABULARY)
    last = batches[-1]
    work = flops_per_token(config, last.num_tokens / last.num_sequences, len(last.masked_labels) / last.num_tokens)
    results = {}
    for name, values in speeds.items():
        ratios = [mine / other for mine, other in zip(speeds["bertsmith"], values, strict=True)]
        results[name] = {
            "tokens_per_second": statistics.median(values),
            "share_of_peak": statistics.median(values) * work / peak,
            "gigabytes": _gigabytes(sides, name, last, device),
            "ratio": statistics.median(ratios),
            "ratios": ratios,
        }
    return {"size": size, "length": length, "peak_flops": peak, "results": results}


def report(row: dict[str, Any]) -> None:
    """Print a row's sides."""
    print(f"{row['size']}, {row['length']} tokens; bf16 GEMM peak {row['peak_flops'] / 1e12:.0f} TFLOP/s")
    for name, side in row["results"].items():
        memory = "" if side["gigabytes"] is None else f"{side['gigabytes']:8.1f} GB"
        print(
            f"  {name:24}{side['tokens_per_second']:12,.0f} tokens/s{side['share_of_peak']:8.1%} of peak"
            f"{side['ratio']:8.2f} x slower than bertsmith{memory}",
            flush=True,
        )


def main() -> None:
    """Measure row by row; what is measured is on file even if the next row fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=["base", "large"])
    parser.add_argument("--lengths", nargs="+", type=int, default=[128, 512])
    parser.add_argument("--places", type=int, default=32_768, help="sequences times length of a batch")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no row after so many")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_float32_matmul_precision("high")
    started, rows = time.monotonic(), []
    for size in arguments.sizes:
        for length in arguments.lengths:
            if time.monotonic() - started > arguments.minutes * 60:
                print(f"{size}, {length} tokens: not begun, the time is over")
                continue
            rows.append(measure(size, length, arguments))
            report(rows[-1])
            if arguments.json is not None:
                arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    start_tuned()
    main()

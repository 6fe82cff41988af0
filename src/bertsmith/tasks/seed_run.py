"""One fine-tuning run: a model, a seed, some epochs, and what came out after each."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bertsmith.core.console import progress_line
from bertsmith.core.randomness import derive_seed
from bertsmith.model.bert_for_tasks import TaskNetwork
from bertsmith.tasks.collapse import CollapseWatch, LossComparison
from bertsmith.tasks.encoded import EncodedExamples, TaskBatches, TaskCursor
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.task import Examples, Task
from bertsmith.tasks.task_model import network_outputs
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

_LOG_STEPS = 10  # optimiser steps between lines of metrics.jsonl
_SCORING_BATCH = 32


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: mean training loss, the dev scores after it (part -> metric -> value)."""

    epoch: int
    train_loss: float
    dev: Mapping[str, Mapping[str, float]]
    collapse: str | None  # the sign of collapse after this epoch, in words


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave. The scores of a run are those after its last epoch (BERT A.3), whatever came before."""

    seed: int
    epochs: tuple[EpochResult, ...]
    first_sign_of_collapse: int | None  # the optimiser step at which it was first seen; None if never
    seconds: float

    @property
    def dev(self) -> Mapping[str, Mapping[str, float]]:
        """Dev scores after the last epoch."""
        return self.epochs[-1].dev

    @property
    def collapse(self) -> str | None:
        """Why the run counts as collapsed at its end, or None."""
        return self.epochs[-1].collapse


@dataclass(frozen=True)
class SeedSettings:
    """What all seeds of a fine-tuning share."""

    task: Task[Any, Any]
    optimiser: OptimiserSettings
    loss: LossSettings
    epochs: int
    batch_size: int
    micro_batch_size: int
    device: torch.device
    precision: torch.dtype


@dataclass(frozen=True)
class EncodedPart:
    """A part of the data, as it is scored and as it is read."""

    examples: Examples[Any]
    encoded: EncodedExamples


Record = Callable[[Mapping[str, object]], None]


def run_seed(
    settings: SeedSettings,
    model: TaskNetwork,
    train: EncodedExamples,
    dev: Mapping[str, EncodedPart],
    seed: int,
    record: Record,
) -> tuple[SeedResult, Mapping[str, Tensor]]:
    """Fine-tune `model` (initialised, in float32) for some epochs; dev is scored after each.

    record   takes a line of metrics.jsonl
    returns  the result, and the float32 weights after the last epoch (views: copy what must last)
    """
    optimiser = Optimiser(model.to(settings.device), settings.optimiser, settings.precision)
    batches = TaskBatches(train, settings.batch_size, derive_seed(seed, "fine-tuning order"))
    watch = CollapseWatch(seed)
    total_steps = settings.epochs * batches.batches_per_epoch
    steps = training_steps(
        settings.task.objective(model, train, settings.loss),
        batches,
        optimiser,
        duration=Duration(steps=total_steps),
        start=Position(TaskCursor()),
        seed=seed,
        device=settings.device,
        micro_batch_size=settings.micro_batch_size,
    )
    started = time.monotonic()
    epochs: list[EpochResult] = []
    losses = LossComparison()  # of this epoch
    with progress_line(f"seed {seed}", total=total_steps) as line:
        for step in steps:
            done = step.position.steps_done
            compared = step.loss, step.metrics["blind_loss"], step.num_sequences
            losses.add(*compared)
            watch.after_step(done, step.progress, *compared)
            line.update(done, f"loss {step.loss:.3f}  {step.num_tokens / step.seconds:,.0f} tok/s")
            if done % _LOG_STEPS == 0:
                record({"seed": seed, "step": done, "train": step.record()})
            if done % batches.batches_per_epoch == 0:
                epochs.append(_close_epoch(settings.task, model, dev, len(epochs) + 1, losses))
                losses = LossComparison()
                record({"seed": seed, "step": done, "epoch": epochs[-1].epoch, "dev": epochs[-1].dev})
                if epochs[-1].collapse is not None:
                    watch.note(done, epochs[-1].collapse)
    return SeedResult(seed, tuple(epochs), watch.first_sign, time.monotonic() - started), optimiser.float32_weights()


def _close_epoch(
    task: Task[Any, Any],
    model: TaskNetwork,
    dev: Mapping[str, EncodedPart],
    epoch: int,
    losses: LossComparison,
) -> EpochResult:
    """Score dev and look for signs of collapse."""
    scores: dict[str, Mapping[str, float]] = {}
    collapse = None
    for name, part in dev.items():
        outputs = network_outputs(model, part.encoded, _SCORING_BATCH)
        predictions = task.predictions(outputs, part.encoded, part.examples.rows)
        scores[name] = task.score(predictions, part.examples.rows)
        blindness = task.blindness(predictions, part.examples.rows)
        if blindness.no_better:
            collapse = losses.sign()
        if blindness.constant_answer is not None:
            collapse = f"all {len(predictions):,} {name} predictions are {blindness.constant_answer}"
    return EpochResult(epoch, losses.mean, scores, collapse)

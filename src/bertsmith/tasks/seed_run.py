"""One fine-tuning run: a model, a seed, some epochs, and what came out after each."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from bertsmith.batches.token_budget import BATCH_TOKENS
from bertsmith.core.console import progress_line
from bertsmith.core.randomness import derive_seed
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.collapse import CollapseWatch, LossComparison
from bertsmith.tasks.encoded import EncodedExamples, TaskBatches, TaskCursor
from bertsmith.tasks.layer_settings import LayerSettings
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.task import Examples, Task
from bertsmith.tasks.task_model import network_outputs
from bertsmith.tasks.used_pieces import UsedPieces
from bertsmith.training.loop import Position, training_steps
from bertsmith.training.machine import TrainingMachineSettings
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.schedule import Duration

_LOG_STEPS = 10  # optimiser steps between lines of metrics.jsonl


@dataclass(frozen=True)
class EpochResult:
    """What one epoch gave: mean training loss, the dev scores after it (part -> metric -> value)."""

    epoch: int
    train_loss: float
    dev: Mapping[str, Mapping[str, float]]
    collapse: str | None  # the sign of collapse after this epoch, in words


@dataclass(frozen=True)
class SeedResult:
    """What one seed gave.

    The scores of a run are those after its last epoch (BERT A.3), whatever came before; with early stopping, those of
    the epoch that was best on dev.
    """

    seed: int
    epochs: tuple[EpochResult, ...]
    kept_epoch: int  # the number of the epoch whose weights and scores are the run's
    first_sign_of_collapse: int | None  # the optimiser step at which it was first seen; None if never
    seconds: float
    restarted_from: tuple[int, ...] = ()  # seeds of runs that collapsed before it in its place

    @property
    def kept(self) -> EpochResult:
        """The epoch whose weights and scores are the run's."""
        return self.epochs[self.kept_epoch - 1]

    @property
    def dev(self) -> Mapping[str, Mapping[str, float]]:
        """Dev scores."""
        return self.kept.dev

    @property
    def collapse(self) -> str | None:
        """Why the run counts as collapsed, or None."""
        return self.kept.collapse


@dataclass(frozen=True)
class SeedSettings:
    """What all seeds of a fine-tuning share.

    patience  epochs without a better dev score after which a run stops early; None: all epochs are run
    """

    task: Task[Any, Any]
    optimiser: OptimiserSettings
    loss: LossSettings
    layers: LayerSettings
    epochs: int
    batch_size: int
    micro_batch_size: int
    patience: int | None
    machine: TrainingMachineSettings
    device: torch.device
    precision: torch.dtype


@dataclass(frozen=True)
class EncodedPart:
    """A part of the data, as it is scored and as it is read."""

    examples: Examples[Any]
    encoded: EncodedExamples


@dataclass(frozen=True)
class RunState:
    """What a run knows between two epochs. With the network that it began with and its tensors it goes on to the bit.

    epochs     those that are over
    remaining  as `UsedPieces` has it
    """

    epochs: tuple[EpochResult, ...]
    watch: CollapseWatch
    remaining: tuple[float, ...]
    seconds: float


Tensors = Mapping[str, Tensor]  # "weights.NAME", "means.KIND.NAME", "best.NAME"
Record = Callable[[Mapping[str, object]], None]
Keep = Callable[[RunState, Tensors], None]


def run_seed(
    settings: SeedSettings,
    model: TaskNetwork,
    train: EncodedExamples,
    dev: Mapping[str, EncodedPart],
    seed: int,
    record: Record,
    *,
    before: tuple[RunState, Tensors] | None = None,
    keep: Keep | None = None,
) -> tuple[SeedResult, Mapping[str, Tensor]]:
    """Fine-tune `model` (initialised, in float32) for some epochs; dev is scored after each.

    record   takes a line of metrics.jsonl
    before   what the same run gave to `keep` before it was killed: it goes on after that epoch
    keep     takes, after each epoch but the last, what it takes to go on (views: copy what must last)
    returns  the result, and the float32 weights of the epoch that is kept (views: copy what must last)
    """
    settings.layers.freeze(model)
    settings.machine.adapt(model)
    frozen = {  # as they are before any rounding
        name: weight.detach().clone() for name, weight in model.named_parameters() if not weight.requires_grad
    }
    rate_factor = settings.layers.rate_factor(model.config.num_hidden_layers)
    vocabulary = UsedPieces(model.to(settings.device), train, settings.loss)
    state, tensors = before or (RunState((), CollapseWatch(seed), vocabulary.remaining, 0.0), {})
    model.load_state_dict(_named(tensors, "weights"), strict=False)  # those that are not trained are as they were
    vocabulary.go_on_from(state.remaining)
    optimiser = Optimiser(model, settings.optimiser, settings.precision, rate_factor)
    batches = TaskBatches(vocabulary.train, settings.batch_size, derive_seed(seed, "fine-tuning order"))
    epochs, watch, best = list(state.epochs), state.watch, _BestEpoch(settings.patience)
    for epoch in epochs:  # those before the kill, if there are any
        best.after_epoch(epoch, primary_score(epoch.dev, settings.task), lambda: _named(tensors, "best"))
    steps_done = len(epochs) * batches.batches_per_epoch
    optimiser.load_state(_named(tensors, "means"), steps_done)
    total_steps = settings.epochs * batches.batches_per_epoch
    steps = training_steps(
        settings.task.objective(model, vocabulary.train, settings.loss),
        batches,
        optimiser,
        duration=Duration(steps=total_steps),
        start=Position(TaskCursor(len(epochs)), steps_done, state.seconds),
        seed=seed,
        device=settings.device,
        micro_batch_size=settings.micro_batch_size,
    )
    started = time.monotonic() - state.seconds

    def weights_now() -> Mapping[str, Tensor]:
        return vocabulary.all_weights(optimiser.float32_weights())

    losses = LossComparison()  # of this epoch
    with progress_line(f"seed {seed}", total=total_steps) as line:
        for step in steps:
            done = step.position.steps_done
            vocabulary.after_step(step.learning_rate * settings.optimiser.weight_decay, rate_factor)
            compared = step.loss, step.metrics["blind_loss"], step.num_sequences
            losses.add(*compared)
            watch.after_step(done, step.progress, *compared)
            line.update(done, f"loss {step.loss:.3f}  {step.num_tokens / step.seconds:,.0f} tok/s")
            if done % _LOG_STEPS == 0:
                record({"seed": seed, "step": done, "train": step.record()})
            if done % batches.batches_per_epoch == 0:
                with vocabulary.all_pieces(optimiser.float32_weights()):
                    epochs.append(_close_epoch(settings.task, model, dev, len(epochs) + 1, losses))
                losses = LossComparison()
                record({"seed": seed, "step": done, "epoch": epochs[-1].epoch, "dev": epochs[-1].dev})
                if epochs[-1].collapse is not None:
                    watch.note(done, epochs[-1].collapse)
                best.after_epoch(epochs[-1], primary_score(epochs[-1].dev, settings.task), weights_now)
                if best.is_out_of_patience:
                    break
                if keep is not None and done < total_steps:
                    state = RunState(tuple(epochs), watch, vocabulary.remaining, time.monotonic() - started)
                    weights = optimiser.float32_weights()
                    keep(state, _grouped(weights=weights, means=optimiser.state(), best=best.weights))
    vocabulary.widen(optimiser.float32_weights())
    kept, kept_weights = best.kept, best.weights
    if settings.patience is None:
        kept, kept_weights = len(epochs), weights_now()
    seconds = time.monotonic() - started
    return SeedResult(seed, tuple(epochs), kept, watch.first_sign, seconds), {**frozen, **kept_weights}


def predict_part(network: TaskNetwork, task: Task[Any, Any], part: EncodedPart) -> list[Any]:
    """A prediction for each example of a part."""
    outputs = network_outputs(network, part.encoded, BATCH_TOKENS)
    return task.predictions(outputs, part.encoded, part.examples.rows)


def primary_score(dev: Mapping[str, Mapping[str, float]], task: Task[Any, Any]) -> float:
    """The primary metric on the first dev part."""
    return next(iter(dev.values()))[task.metrics[0]]


def _grouped(**groups: Mapping[str, Tensor]) -> Tensors:
    """Groups of tensors, each as "GROUP.NAME"."""
    return {f"{group}.{name}": tensor for group, its_own in groups.items() for name, tensor in its_own.items()}


def _named(tensors: Tensors, group: str) -> dict[str, Tensor]:
    """One group of them under their own names."""
    start = f"{group}."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


class _BestEpoch:
    """The epoch with the best dev score so far, its weights, and whether it is time to stop. Of equals the first."""

    def __init__(self, patience: int | None):
        self.kept = 0
        self.weights: Mapping[str, Tensor] = {}
        self.is_out_of_patience = False
        self._patience = patience
        self._score = -math.inf

    def after_epoch(self, epoch: EpochResult, score: float, weights: Callable[[], Mapping[str, Tensor]]) -> None:
        """Take in an epoch that has just ended. Without patience nothing is kept and nothing is stopped."""
        if self._patience is None:
            return
        if score > self._score:
            self.kept, self._score = epoch.epoch, score
            self.weights = {name: weight.clone() for name, weight in weights().items()}
        self.is_out_of_patience = epoch.epoch - self.kept >= self._patience


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
        predictions = predict_part(model, task, part)
        scores[name] = task.score(predictions, part.examples.rows)
        blindness = task.blindness(predictions, part.examples.rows)
        if blindness.no_better:
            collapse = losses.sign()
        if blindness.constant_answer is not None:
            collapse = f"all {len(predictions):,} {name} predictions are {blindness.constant_answer}"
    return EpochResult(epoch, losses.mean, scores, collapse)

"""One training step from batch to update, and the generator that repeats it.

The same loop serves pre-training and every fine-tuning task. It knows nothing of tasks, files or screens: it yields a
`Step`, and whoever asked for steps records, evaluates, saves and stops, in plain code between two steps.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from bertsmith.batches.batch_parts import BatchCounts, Counted, Share
from bertsmith.core.errors import NonFiniteLoss
from bertsmith.core.randomness import derive_seed
from bertsmith.training.memory import memory_for
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.prefetch import Prefetch
from bertsmith.training.processes import ALONE, Processes
from bertsmith.training.schedule import Duration, warm_up_then_linear_decay

_LOSS = "loss"


class Batch(Counted, Protocol):
    """What the loop asks of a batch."""

    def slice(self, start: int, stop: int) -> Self:
        """The sequences start:stop with their labels, as a batch."""

    def to(self, device: torch.device) -> Self:
        """The same batch on a device."""


BatchType = TypeVar("BatchType", bound=Batch)
BatchMade_co = TypeVar("BatchMade_co", bound=Batch, covariant=True)
BatchUsed_contra = TypeVar("BatchUsed_contra", bound=Batch, contravariant=True)
CursorType = TypeVar("CursorType")


class Batches(Protocol[BatchMade_co, CursorType]):
    """Batches as a function: a cursor names a batch, and the same cursor always names the same one."""

    def batch(self, cursor: CursorType, share: Share = ...) -> tuple[BatchMade_co, CursorType]:
        """The batch at `cursor`, or the share of it that is asked for, and the cursor of the next."""


class Objective(Protocol[BatchUsed_contra]):
    """What is learned. Losses and metrics are contributions: over the micro-batches they add up to the batch's mean."""

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""

    def __call__(self, micro_batch: BatchUsed_contra, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss (a scalar to call `backward` on) and metrics (scalars) of a part of a batch."""


@dataclass(frozen=True)
class Position(Generic[CursorType]):
    """Where training stands; with the weights and the optimiser's state, all that is needed to go on."""

    cursor: CursorType  # of the next batch
    steps_done: int = 0
    elapsed_seconds: float = 0.0  # on the clock, over all sessions of the run


@dataclass(frozen=True)
class Step(Generic[CursorType]):
    """What one optimiser step did."""

    position: Position[CursorType]  # after the step
    progress_before: float  # share of the training done before the step, 0 to 1; sets the learning rate
    progress: float  # after the step
    loss: float
    metrics: Mapping[str, float]
    learning_rate: float
    gradient_norm: float  # before clipping
    num_tokens: int
    num_sequences: int
    seconds: float
    waited: float  # seconds of them, until the batch was there

    def record(self) -> dict[str, float]:
        """What a line of metrics.jsonl says of the step."""
        return dict(self.metrics) | {
            "loss": self.loss,
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm,
            "tokens": self.num_tokens,
            "seconds": self.seconds,
            "waited": self.waited,
            "elapsed_seconds": self.position.elapsed_seconds,
        }


def training_steps(
    objective: Objective[BatchType],
    batches: Batches[BatchType, CursorType],
    optimiser: Optimiser,
    *,
    duration: Duration,
    start: Position[CursorType],
    seed: int,
    device: torch.device,
    micro_batch_size: int,
    until: float = 1.0,
    stop: Callable[[], bool] = lambda: False,
    processes: Processes = ALONE,
) -> Iterator[Step[CursorType]]:
    """Train from `start` until `until` of `duration` is done, yielding after each optimiser step.

    seed              of dropout: the masks of a micro-batch are a function of (seed, step, its first sequence)
    micro_batch_size  sequences of one forward and backward pass; gradients are added up over the whole batch
    stop              asked between micro-batches; if true the unfinished step is dropped and the generator ends, in all
                      processes
    processes         those that train together; each has a share of every batch
    raises            NonFiniteLoss before an update that would spoil the weights, OutOfMemory, ValueError for empty
                      micro-batches
    """
    if micro_batch_size < 1:
        raise ValueError(f"a micro-batch needs at least one sequence, not {micro_batch_size}")
    position = start
    session_started = time.monotonic()
    with Prefetch(partial(batches.batch, share=processes.share), start.cursor) as prefetched:
        while (progress := duration.progress(position.steps_done, position.elapsed_seconds)) < until:
            step_started = time.monotonic()
            share, next_cursor = prefetched.next()
            waited = time.monotonic() - step_started
            whole = BatchCounts.of_parts(share, processes.sums)
            learning_rate = optimiser.settings.learning_rate * warm_up_then_linear_decay(
                progress, optimiser.settings.warmup_share
            )
            outcome = _accumulate(
                objective, share, whole, optimiser, position.steps_done, seed, micro_batch_size, device, stop, processes
            )
            if outcome is None:
                return
            loss, metrics = _added_up(*outcome, processes)
            gradient_norm = optimiser.gradient_norm()
            _require_finite(loss, gradient_norm, position, learning_rate)
            optimiser.step(learning_rate, gradient_norm)
            now = time.monotonic()
            elapsed = processes.of_first(start.elapsed_seconds + now - session_started)
            position = Position(next_cursor, position.steps_done + 1, elapsed)
            yield Step(
                position=position,
                progress_before=progress,
                progress=duration.progress(position.steps_done, position.elapsed_seconds),
                loss=loss,
                metrics=metrics,
                learning_rate=learning_rate,
                gradient_norm=gradient_norm,
                num_tokens=whole.num_tokens,
                num_sequences=whole.num_sequences,
                seconds=now - step_started,
                waited=waited,
            )


def _accumulate(
    objective: Objective[BatchType],
    share: BatchType,
    whole: BatchCounts,
    optimiser: Optimiser,
    steps_done: int,
    seed: int,
    micro_batch_size: int,
    device: torch.device,
    stop: Callable[[], bool],
    processes: Processes,
) -> tuple[float, dict[str, float]] | None:
    """Forward and backward over this process's share of a batch; afterwards the gradients are those of all processes.

    What a step tells stays on the device until it is over.

    returns  the share's part of loss and metrics, or None in all processes if one of them is told to stop
    """
    objective.model.train()
    optimiser.zero_gradients()
    first_sequence = processes.share(whole.num_sequences).start  # of the whole batch's
    told: list[dict[str, Tensor]] = []  # of each micro-batch
    starts = range(0, share.num_sequences, micro_batch_size)
    for start in starts:
        is_last = start == starts[-1]
        is_told = stop()
        if (is_last or is_told) and processes.any(is_told):  # each process asks once a step: all end together or none
            return None
        micro_batch = share.slice(start, min(start + micro_batch_size, share.num_sequences)).to(device)
        torch.manual_seed(derive_seed(seed, "dropout", steps_done, first_sequence + start))
        with memory_for(micro_batch.num_sequences, micro_batch.num_tokens):
            loss, metrics = objective(micro_batch, whole)
            optimiser.backward(loss, processes if is_last else ALONE)
        told.append({_LOSS: loss.detach(), **metrics})
    totals = {name: sum(each[name].item() for each in told) for name in told[0]}
    return totals.pop(_LOSS), totals


def _added_up(loss: float, metrics: dict[str, float], processes: Processes) -> tuple[float, dict[str, float]]:
    """Loss and metrics of the whole batch."""
    total_loss, *values = processes.sums([loss, *metrics.values()])
    return total_loss, dict(zip(metrics, values, strict=True))


def _require_finite(loss: float, gradient_norm: float, position: Position[CursorType], learning_rate: float) -> None:
    if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
        raise NonFiniteLoss(
            f"Step {position.steps_done + 1} gave a loss of {loss} with a gradient norm of {gradient_norm} at learning "
            f"rate {learning_rate:.3g}, batch {position.cursor}. The weights were not changed. Start a run with "
            f"a lower --learning-rate or with --precision float32, and --init CHECKPOINT to begin with the last good "
            f"weights."
        )

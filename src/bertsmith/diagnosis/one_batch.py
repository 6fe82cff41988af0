"""One small batch learnt by heart: whatever can learn at all can do that, so if it fails, something is broken.

A few sequences with fixed masks, no dropout, a copy of the weights in memory, a fresh optimiser. The masked-LM loss has
to fall below half a nat, far below what any text leaves to guess: only knowing the batch gets there.
"""

import copy
import math
from dataclasses import dataclass

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.diagnosis.finding import Finding, Level
from bertsmith.model.bert import BertForPreTraining
from bertsmith.training.optimiser import Optimiser, OptimiserSettings
from bertsmith.training.pretraining_objective import PretrainingObjective

BOUND = 0.5  # nats
SEQUENCES = 4
MOST_STEPS = 200
_SETTINGS = OptimiserSettings(learning_rate=1e-3, weight_decay=0.0, beta2=0.98, bias_correction=True)


@dataclass(frozen=True)
class OneBatch:
    """How far the masked-LM loss of the batch came down, in nats."""

    labels: int
    first_loss: float
    last_loss: float
    steps: int


def learn_one_batch(model: BertForPreTraining, batch: PretrainingBatch) -> OneBatch:
    """Train a copy of `model` on one batch until its loss is below the bound, or for the most steps allowed."""
    learner = copy.deepcopy(model).eval()
    objective = PretrainingObjective(learner)
    weight = next(learner.parameters())
    optimiser = Optimiser(learner, _SETTINGS, weight.dtype)
    batch = batch.to(weight.device)
    losses: list[float] = []
    for _ in range(MOST_STEPS):
        optimiser.zero_gradients()
        loss, metrics = objective(batch, batch)
        losses.append(metrics["token_loss"].item())
        if losses[-1] < BOUND or not math.isfinite(losses[-1]):
            break
        optimiser.backward(loss)
        optimiser.step(_SETTINGS.learning_rate, optimiser.gradient_norm())
    return OneBatch(len(batch.masked_labels), losses[0], losses[-1], len(losses) - 1)


def one_batch_finding(result: OneBatch) -> Finding:
    """Whether the network and the optimiser work at all."""
    about = "one batch by heart"
    measured = (
        f"{SEQUENCES} sequences with {result.labels} hidden words: loss {result.first_loss:.2f} to "
        f"{result.last_loss:.2f} in {result.steps} steps; it has to fall below {BOUND:g}."
    )
    values: dict[str, float | None] = {"steps": result.steps, "labels": result.labels}
    for name, loss in (("first_loss", result.first_loss), ("last_loss", result.last_loss)):
        values[name] = loss if math.isfinite(loss) else None
    if result.last_loss < BOUND:
        meaning = "Network, labels and optimiser work together: what keeps the loss up is not a broken part."
        return Finding(about, Level.GOOD, measured, meaning, values=values)
    return Finding(
        about,
        Level.WARNING,
        measured,
        "The network cannot even learn a handful of sequences by heart, so it cannot learn a language.",
        cause="Weights that a far too high learning rate has driven out of reach, labels that do not belong to the "
        "text, or a defect.",
        remedy="Start again with a tenth of the --learning-rate; if the new run's first checkpoint fails here, too, "
        "please report it.",
        values=values,
    )

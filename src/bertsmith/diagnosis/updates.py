"""How long the steps are: the size of an update beside the size of the weights that it changes.

A few real optimiser steps at the peak rate, on a copy in memory of the newest checkpoint with its running means and on
the batches that come next; the run is not touched. For each kind of matrix: the Euclidean norm of the change over the
norm of the weights. Some 1e-3 is an old rule of thumb (Stanford's course CS231n, "Ratio of weights:updates"); 1e-4 to
1e-2 counts as usual here, and it is no more than a rule of thumb: Adam moves a weight by a part of the rate whatever
its gradient, so rates of 1e-4 to 1e-3 on weights of size 0.02 to 0.1 come out inside, and both minis of the first run
at 4e-3. Far above, a step rewrites what it should correct; far below, thousands of steps cannot move the weights from
where they began.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.core.randomness import derive_seed
from bertsmith.diagnosis.finding import Finding, Level, Rows
from bertsmith.model.bert import BertForPreTraining
from bertsmith.training.optimiser import Optimiser
from bertsmith.training.pretraining_objective import PretrainingObjective

SMALLEST, LARGEST = 1e-4, 1e-2
FAR_TOO_LARGE = 3e-2
RUNAWAY = 20.0  # times the size of initial weights; the minis of the first run had grown to 2.1 and 2.5 times
FEWEST_STEPS = 100  # of the run: before, Adam's running means are those of its first steps, which say nothing
_ENCODER = ("queries, keys, values", "attention outputs", "feed-forward")
_KINDS = {  # part of a parameter's name -> kind
    "embeddings.tokens": "token embeddings",
    "embeddings.positions": "position embeddings",
    "embeddings.segments": "segment embeddings",
    "attention.qkv": "queries, keys, values",
    "attention.output": "attention outputs",
    "feed_forward": "feed-forward",
}
_OTHER = "heads of both tasks"


@dataclass(frozen=True)
class UpdateSizes:
    """Size of an update as a share of the weights' size."""

    kinds: Mapping[str, float]  # kind of matrix -> share
    encoder: float  # of all matrices of the layers together
    growth: float  # size of those matrices, in sizes of normal initial weights
    learning_rate: float


def measure_updates(
    model: BertForPreTraining, optimiser: Optimiser, batches: Sequence[PretrainingBatch], seed: int
) -> UpdateSizes:
    """Take a step at the peak rate for each batch and measure it. `model` and `optimiser` are changed."""
    objective = PretrainingObjective(model)
    device = next(model.parameters()).device
    changed: dict[str, float] = defaultdict(float)  # kind -> sum of squares over all steps
    sizes: dict[str, float] = defaultdict(float)
    rate = optimiser.settings.learning_rate
    model.train()
    for number, batch in enumerate(batches):
        before = {name: weight.clone() for name, weight in optimiser.float32_weights().items() if weight.dim() >= 2}
        optimiser.zero_gradients()
        torch.manual_seed(derive_seed(seed, "doctor/dropout", number))
        on_device = batch.to(device)
        loss, _ = objective(on_device, on_device)
        optimiser.backward(loss)
        optimiser.step(rate, optimiser.gradient_norm())
        after = optimiser.float32_weights()
        for name, weight in before.items():
            changed[kind_of(name)] += float((after[name] - weight).square().sum())
            sizes[kind_of(name)] += float(weight.square().sum())
    ratios = {kind: (changed[kind] / sizes[kind]) ** 0.5 for kind in sorted(sizes)}
    encoder = (sum(changed[kind] for kind in _ENCODER) / sum(sizes[kind] for kind in _ENCODER)) ** 0.5
    weights = [weight for name, weight in optimiser.float32_weights().items() if kind_of(name) in _ENCODER]
    matrices = [weight for weight in weights if weight.dim() >= 2]
    mean_square = sum(float(weight.square().sum()) for weight in matrices) / sum(map(torch.numel, matrices))
    return UpdateSizes(ratios, encoder, mean_square**0.5 / model.config.initializer_range, rate)


def kind_of(name: str) -> str:
    """What a matrix is for, by its name."""
    return next((kind for part, kind in _KINDS.items() if part in name), _OTHER)


def update_finding(sizes: UpdateSizes, steps: int) -> Finding:
    """Whether the peak learning rate moves the weights of the layers as much as is usual."""
    about = "size of the updates"
    measured = (
        f"A step at the peak rate {sizes.learning_rate:g} changes the matrices of the layers by {sizes.encoder:.1e} of "
        f"their size (mean of {steps} real steps; {SMALLEST:.0e} to {LARGEST:.0e} is usual, a rule of thumb). They are "
        f"{sizes.growth:.1f} times as large as normal initial weights."
    )
    rows = Rows(("matrices", "change in a step"), tuple((kind, f"{share:.1e}") for kind, share in sizes.kinds.items()))
    values = {"encoder": sizes.encoder, "growth": sizes.growth, "learning_rate": sizes.learning_rate} | dict(
        sizes.kinds
    )
    if sizes.growth > RUNAWAY:
        return Finding(
            about,
            Level.WARNING,
            measured,
            "The weights have run away: they grew until the steps looked short beside them.",
            cause="A learning rate that is far too high.",
            remedy=f"Start again with --learning-rate {sizes.learning_rate / sizes.growth:.0e} or less.",
            values=values,
            rows=rows,
        )
    if sizes.encoder < SMALLEST:
        return Finding(
            about,
            Level.WARNING,
            measured,
            "Steps are so short that thousands of them hardly move the weights.",
            cause="A learning rate that is too low.",
            remedy=f"Start again with --learning-rate {_rate_for(sizes, 10 * SMALLEST):.0e} or so.",
            values=values,
            rows=rows,
        )
    if sizes.encoder <= LARGEST:
        return Finding(about, Level.GOOD, measured, "The learning rate fits.", values=values, rows=rows)
    return Finding(
        about,
        Level.NOTE if sizes.encoder <= FAR_TOO_LARGE else Level.WARNING,
        measured,
        "Steps are so long that each may undo part of what the ones before have learnt.",
        cause="A learning rate that is high for these weights; early in a training, when they are small, that passes.",
        remedy="If the loss has spikes or stands still, start again with --learning-rate "
        f"{_rate_for(sizes, LARGEST / 2):.0e} or so.",
        values=values,
        rows=rows,
    )


def _rate_for(sizes: UpdateSizes, target: float) -> float:
    """The rate at which updates would have another size."""
    return sizes.learning_rate * target / sizes.encoder

"""Finding out early that a fine-tuning run learns nothing.

On small data sets fine-tuning sometimes ends in a network that gives every example the same answer (BERT 4.1 tells of
it for Large and restarts). Two signs are looked for while the run goes on: a training loss that is not below that of
blind guessing on the same examples, and dev predictions that are all the same. A run counts as collapsed if it ends
with the second, or with the first and dev predictions no better than blind ones. It is reported as such and kept;
nothing is restarted behind anyone's back.

Legend: N examples, B examples of a batch, C labels.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bertsmith.core.console import console
from bertsmith.tasks.metrics import Values, accuracy, pearson

_WATCH_FROM = 0.3  # the first tenth of a run warms up, the second learns with the full rate; the third is judged first
_NO_CORRELATION = 0.1
_CONSTANT_SCORES = 0.001  # scores that spread less than 0.1 % of the labels' standard deviation are one score


class BlindGuess:
    """Someone who knows how frequent each label is (or the mean of the scores), and does not read the texts.

    labels  [N]  of the training examples: indices, or scores
    """

    def __init__(self, labels: Values, *, is_regression: bool):
        self._is_regression = is_regression
        self._mean = float(labels.astype(np.float64).mean())
        counts = np.ones(1) if is_regression else np.bincount(labels.astype(np.int64))
        self._surprise = torch.from_numpy(-np.log(np.maximum(counts, 1) / counts.sum())).float()  # [C], in nats

    def loss_sum(self, labels: Tensor) -> Tensor:
        """The sum of the losses on some labels: [B] to []. The mean over all of training is the labels' entropy."""
        if self._is_regression:
            return (labels.float() - self._mean).square().sum()
        return self._surprise.to(labels.device)[labels].sum()


def is_no_better_than_blind(predictions: Values, labels: Values, *, is_regression: bool) -> bool:
    """Whether predictions [N] are no better than the most frequent label, or hardly correlated with the scores [N]."""
    if is_regression:
        return abs(pearson(labels, predictions)) < _NO_CORRELATION
    return accuracy(labels, predictions) <= float(np.bincount(labels.astype(np.int64)).max()) / len(labels)


def are_constant(predictions: Values, labels: Values, *, is_regression: bool) -> bool:
    """Whether all predictions [N] are the same although the labels [N] are not."""
    if is_regression:
        return bool(np.std(predictions.astype(np.float64)) < _CONSTANT_SCORES * np.std(labels.astype(np.float64)))
    return len(np.unique(predictions)) == 1 and len(np.unique(labels)) > 1


@dataclass
class LossComparison:
    """The loss of the model and that of blind guessing, over the same examples."""

    total: float = 0.0
    blind_total: float = 0.0
    examples: int = 0

    def add(self, loss: float, blind_loss: float, num_examples: int) -> None:
        """Take in the mean losses over some examples."""
        self.total += loss * num_examples
        self.blind_total += blind_loss * num_examples
        self.examples += num_examples

    @property
    def mean(self) -> float:
        """The model's mean loss."""
        return self.total / self.examples

    def sign(self) -> str | None:
        """In words, that the model is no better than blind guessing; None if it is better."""
        if self.total < self.blind_total:
            return None
        blind = self.blind_total / self.examples
        return f"the training loss, {self.mean:.3f}, is not below {blind:.3f}, what guessing blindly costs"


class CollapseWatch:
    """Watches one run; says on the screen, once, when it first looks as if nothing is learnt.

    first_sign  the optimiser step after which the first sign was seen; None: none yet
    """

    def __init__(self, seed: int):
        self.first_sign: int | None = None
        self._seed = seed
        self._tenth = 0
        self._losses = LossComparison()

    def after_step(self, step: int, progress: float, loss: float, blind_loss: float, num_examples: int) -> None:
        """Take in a step (mean losses over `num_examples`). At the end of each tenth of the run it is judged."""
        self._losses.add(loss, blind_loss, num_examples)
        tenth = int(progress * 10 + 1e-9)
        if tenth > self._tenth:
            sign = self._losses.sign()
            if progress >= _WATCH_FROM - 1e-9 and sign is not None:
                self.note(step, sign)
            self._tenth, self._losses = tenth, LossComparison()

    def note(self, step: int, sign: str) -> None:
        """Say that a sign was seen after `step`, if it is the first."""
        if self.first_sign is not None:
            return
        self.first_sign = step
        console.print(
            f"seed {self._seed}, step {step:,}: {sign}. So far it is no better than guessing; the run goes on.",
            style="yellow",
            soft_wrap=True,
        )

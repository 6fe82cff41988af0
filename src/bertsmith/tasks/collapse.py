"""Finding out early that a fine-tuning run learns nothing.

On small data sets fine-tuning sometimes ends in a network that gives every example the same answer (BERT 4.1 tells of
it for Large and restarts). Two signs, both looked for while the run goes on: the training loss is not below what one
gets by knowing only how frequent each label is, and all dev predictions are the same. A collapsed run is reported as
such and kept; nothing is restarted behind anyone's back.
"""

import numpy as np
import numpy.typing as npt

from bertsmith.core.console import console

_WATCH_FROM = 0.3  # the first tenth of a run warms up, the second learns with the full rate; the third is judged first
_CONSTANT_SCORES = 0.001  # scores that spread less than 0.1 % of the labels' standard deviation are one score

Values = npt.NDArray[np.generic]


def chance_loss(labels: Values, *, is_regression: bool) -> float:
    """The loss of someone who knows the labels' frequencies and nothing else.

    Classification: their entropy, in nats. Regression: the variance of the scores.
    """
    if is_regression:
        return float(np.var(labels.astype(np.float64)))
    _, counts = np.unique(labels, return_counts=True)
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum())


def are_constant(predictions: Values, labels: Values, *, is_regression: bool) -> bool:
    """Whether all predictions are the same although the labels are not."""
    if is_regression:
        return bool(np.std(predictions.astype(np.float64)) < _CONSTANT_SCORES * np.std(labels.astype(np.float64)))
    return len(np.unique(predictions)) == 1 and len(np.unique(labels)) > 1


class CollapseWatch:
    """Watches one run; says on the screen, once, when it first looks as if nothing is learnt.

    chance      the loss of blind guessing, `chance_loss`
    first_sign  the optimiser step after which the first sign was seen; None: none yet
    """

    def __init__(self, seed: int, chance: float):
        self.chance = chance
        self.first_sign: int | None = None
        self._seed = seed
        self._tenth = 0
        self._loss = 0.0
        self._examples = 0

    def after_step(self, step: int, progress: float, loss: float, num_examples: int) -> None:
        """Take in a step (mean `loss` over `num_examples`). At the end of each tenth of the run its loss is judged."""
        self._loss += loss * num_examples
        self._examples += num_examples
        tenth = int(progress * 10 + 1e-9)
        if tenth == self._tenth:
            return
        mean = self._loss / self._examples
        self._tenth, self._loss, self._examples = tenth, 0.0, 0
        if progress >= _WATCH_FROM - 1e-9 and self.is_chance(mean):
            self.note(
                step, f"the training loss, {mean:.3f}, is not below {self.chance:.3f}, what guessing blindly costs"
            )

    def is_chance(self, loss: float) -> bool:
        """Whether a mean training loss is not below the chance level."""
        return loss >= self.chance

    def note(self, step: int, sign: str) -> None:
        """Say that a sign was seen after `step`, if it is the first."""
        if self.first_sign is not None:
            return
        self.first_sign = step
        console.print(
            f"seed {self._seed}, step {step:,}: {sign}. So far nothing is learnt; the run goes on.",
            style="yellow",
            soft_wrap=True,
        )

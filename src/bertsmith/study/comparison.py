"""Did it help? Two ways of training on one task, several seeds each, and an answer in words from the numbers."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What the measurement says about pre-training."""

    HELPED = "Pre-training helped"
    UNCLEAR = "No measurable gain from pre-training"
    HURT = "Pre-training made it worse"


@dataclass(frozen=True)
class Comparison:
    """Dev accuracies of the same network, fine-tuned in the same way from two starting points.

    pretrained, untrained  one accuracy a seed, 0..1
    dev_examples           how many examples each accuracy was measured on
    """

    pretrained: Sequence[float]
    untrained: Sequence[float]
    dev_examples: int

    @property
    def gain(self) -> float:
        """Difference of the means."""
        return statistics.fmean(self.pretrained) - statistics.fmean(self.untrained)

    @property
    def standard_error(self) -> float:
        """Of the gain: the spread over seeds, and that another dev set of this size would give other accuracies.

        The second counts both sides as if measured on different examples. They are measured on the same, so the true
        error is rather smaller: the answer errs on the side of doubt.
        """
        variance = 0.0
        for scores in (self.pretrained, self.untrained):
            mean = statistics.fmean(scores)
            variance += mean * (1 - mean) / self.dev_examples
            if len(scores) > 1:
                variance += statistics.variance(scores) / len(scores)
        return math.sqrt(variance)

    @property
    def outcome(self) -> Outcome:
        """A gain or a loss of more than two standard errors counts; anything between is unclear."""
        if self.gain > 2 * self.standard_error:
            return Outcome.HELPED
        if self.gain < -2 * self.standard_error:
            return Outcome.HURT
        return Outcome.UNCLEAR

    def in_words(self) -> str:
        """The numbers behind the outcome, in one or two sentences."""
        measured = (
            f"Accuracy on {self.dev_examples:,} unseen examples: {_summary(self.pretrained)} after pre-training, "
            f"{_summary(self.untrained)} from random weights: a difference of {100 * self.gain:+.1f} points "
            f"(standard error {100 * self.standard_error:.1f})."
        )
        if self.outcome is not Outcome.UNCLEAR:
            return f"{measured} {self._overlap()}"
        return f"{measured} That is less than two standard errors: chance alone could explain it."

    def _overlap(self) -> str:
        better, worse = (self.pretrained, self.untrained) if self.gain > 0 else (self.untrained, self.pretrained)
        if min(better) > max(worse):
            return "Every run of the better start beat every run of the other."
        return "Single runs overlap; the means are clearly apart."


def _summary(scores: Sequence[float]) -> str:
    mean = f"{statistics.fmean(scores):.1%}"
    if len(scores) == 1:
        return f"{mean} (one seed)"
    return f"{mean} (mean of {len(scores)} seeds, {min(scores):.1%} to {max(scores):.1%})"

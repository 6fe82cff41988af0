"""Whether two ways differ by more than chance: a paired test over the runs that they share."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

CLEAR = 0.05  # a smaller p is called clear


@dataclass(frozen=True)
class PairedDifference:
    """How far two rows of scores are apart.

    mean  of the differences
    p     of a two-sided paired t-test (Student 1908): how often runs that do not differ would be so far apart; None of
          a single pair, or if all differences are the same
    """

    mean: float
    p: float | None

    @property
    def is_clear(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.p is not None and self.p < CLEAR


def paired_difference(scores: Sequence[float], others: Sequence[float]) -> PairedDifference:
    """`scores` over `others`, run by run: the same seeds, in the same order.

    raises  ValueError for rows of unequal length, or empty ones
    """
    if len(scores) != len(others) or not len(scores):
        raise ValueError(f"{len(scores)} and {len(others)} scores do not make pairs")
    differences = np.subtract(scores, others)
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    p = float(stats.ttest_1samp(differences, 0.0).pvalue) if spread > 1e-12 else None
    return PairedDifference(float(differences.mean()), p)

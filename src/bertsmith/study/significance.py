"""Whether two ways differ by more than chance: a paired test over the runs that they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np
from scipy import stats

CLEAR = 0.05  # a smaller p is called clear


class Pairs(Enum):
    """What the two sides of a comparison share, run by run, in words."""

    PRETRAININGS = "seeds of pre-training, each the mean of its fine-tunings"
    FINETUNINGS = "fine-tunings of one network each: it does not see how much pre-training varies"


@dataclass(frozen=True)
class PairedDifference:
    """How far two rows of scores are apart.

    mean   of the differences
    p      of a two-sided paired t-test (Student 1908): how often runs that do not differ would be so far apart; None of
           a single pair, or if all differences are the same
    pairs  what was paired
    """

    mean: float
    p: float | None
    pairs: Pairs

    @property
    def is_clear(self) -> bool:
        """Whether chance is an unlikely reason."""
        return self.p is not None and self.p < CLEAR


def paired_difference(scores: Sequence[float], others: Sequence[float], pairs: Pairs) -> PairedDifference:
    """`scores` over `others`, run by run: the same seeds, in the same order.

    raises  ValueError for rows of unequal length, or empty ones
    """
    if len(scores) != len(others) or not len(scores):
        raise ValueError(f"{len(scores)} and {len(others)} scores do not make pairs")
    differences = np.subtract(scores, others)
    spread = float(differences.std(ddof=1)) if len(differences) > 1 else 0.0
    p = float(stats.ttest_1samp(differences, 0.0).pvalue) if spread > 1e-12 else None
    return PairedDifference(float(differences.mean()), p, pairs)


def corrected(differences: Sequence[PairedDifference | None]) -> list[PairedDifference | None]:
    """The same, with p corrected for how many comparisons were made (Holm 1979).

    If no two ways differ, the smallest p of all is below 0.05 once in twenty such tables, however many each has.
    """
    tested = sorted((found.p, place) for place, found in enumerate(differences) if found and found.p is not None)
    result, largest = list(differences), 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, (len(tested) - rank) * p))
        found = differences[place]
        assert found is not None
        result[place] = replace(found, p=largest)
    return result

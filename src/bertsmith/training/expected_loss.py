"""What a network of each size can be expected to reach: held-out loss against tokens seen, measured once and kept here.

A loss is given as a share of the loss of guessing each piece by its frequency, so that it carries over, roughly, to
other texts and vocabularies. One curve for each size, for a start from co-occurrences and a text that is not read too
often:

    share(T) = floor + scale (T / 1e6) ^ -exponent, but never above the share at the start, before any token
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class LossCurve:
    """The curve of a size: shares of the unigram loss."""

    start: float  # before the first step
    floor: float  # after endless text
    scale: float  # above the floor after a million tokens
    exponent: float

    def share(self, tokens: float) -> float:
        """Expected held-out loss after so many tokens, as a share of the unigram loss."""
        if tokens <= 0:
            return self.start
        return min(self.start, self.floor + self.scale * math.pow(tokens / 1e6, -self.exponent))


# On English Wikipedia and novels with a vocabulary of 30,522 pieces (unigram loss 7.225). The starts of tiny, mini and
# small are measured (5.82, 5.51 and 5.61 nats). mini is fitted to the ends of six runs of 3 to 64 M tokens (4.755 after
# 3.1 M, and those of the studies `by-the-clock`, `lunch` and `hour` in docs/results/cells: 4.64 after 4.1 M, 3.75 after
# 64 M), with an error of 0.04. The others are guessed beside it: at equal tokens the larger size is ahead once there
# are enough of them.
CURVES: Mapping[str, LossCurve] = {
    "tiny": LossCurve(start=0.805, floor=0.61, scale=0.137, exponent=0.45),
    "mini": LossCurve(start=0.763, floor=0.30, scale=0.431, exponent=0.156),
    "small": LossCurve(start=0.776, floor=0.25, scale=0.490, exponent=0.165),
    "medium": LossCurve(start=0.776, floor=0.22, scale=0.529, exponent=0.167),
    "base": LossCurve(start=0.776, floor=0.19, scale=0.584, exponent=0.171),
    "large": LossCurve(start=0.776, floor=0.16, scale=0.660, exponent=0.177),
}

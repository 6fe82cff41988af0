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
# small are measured (5.82, 5.51 and 5.61 nats). mini is fitted to the ends of three runs (4.885 after 1.9 M tokens,
# 4.755 after 3.1 M, 4.129 after 21.6 M; the first and the last are in docs/results/cells), with an error of 0.04. tiny
# and small are guessed beside it; medium, base and large go on in the same manner. At equal tokens the larger size is
# ahead once there are enough of them.
CURVES: Mapping[str, LossCurve] = {
    "tiny": LossCurve(start=0.805, floor=0.61, scale=0.137, exponent=0.45),
    "mini": LossCurve(start=0.763, floor=0.43, scale=0.291, exponent=0.233),
    "small": LossCurve(start=0.776, floor=0.38, scale=0.343, exponent=0.21),
    "medium": LossCurve(start=0.776, floor=0.34, scale=0.397, exponent=0.21),
    "base": LossCurve(start=0.776, floor=0.29, scale=0.467, exponent=0.195),
    "large": LossCurve(start=0.776, floor=0.25, scale=0.53, exponent=0.185),
}

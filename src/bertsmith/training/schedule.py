"""How far training is, and the learning rate that belongs there."""

from dataclasses import dataclass

from bertsmith.core.errors import ConfigurationError

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True)
class Duration:
    """How long to train: a number of optimiser steps, or hours on the clock. Exactly one is given."""

    steps: int | None = None
    hours: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.hours is None):
            raise ConfigurationError("Give the length of training either as --steps or as --hours.")

    def __str__(self) -> str:
        return f"{self.steps:,} steps" if self.steps is not None else f"{self.hours:g} hours"

    def progress(self, steps_done: int, elapsed_seconds: float) -> float:
        """Share of the training that is done, 0 to 1; the clock decides where hours were given."""
        if self.steps is not None:
            return min(steps_done / self.steps, 1.0)
        assert self.hours is not None
        return min(elapsed_seconds / (self.hours * SECONDS_PER_HOUR), 1.0)


def warm_up_then_linear_decay(progress: float, warmup_share: float) -> float:
    """Factor of the peak learning rate (BERT A.2), as in the released code.

    It rises from 0 over the first `warmup_share` of the training and is `1 - progress` from there on. The decay line
    starts at progress 0, not at the end of the warm-up, so the peak is `1 - warmup_share`; the very first step has
    rate 0.
    """
    if progress < warmup_share:
        return progress / warmup_share
    return 1.0 - progress

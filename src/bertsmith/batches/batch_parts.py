"""A batch in parts: who makes which of its sequences, and what the means over all of them are divided by."""

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from typing import Protocol

# Of the number of sequences of a batch, those that are made here; `range` stands for all
Share = Callable[[int], range]


class Counted(Protocol):
    """A batch, or what is known of one."""

    @property
    def num_sequences(self) -> int:
        """Sequences, or examples of a task."""

    @property
    def num_tokens(self) -> int:
        """Real tokens; there is no padding."""

    @property
    def num_followed(self) -> int:
        """Tokens that have one after them in their sequence."""

    @property
    def num_labels(self) -> int:
        """Labels from which something is learned."""


@dataclass(frozen=True)
class BatchCounts:
    """The numbers of a batch whose parts lie in several processes."""

    num_sequences: int
    num_tokens: int
    num_followed: int
    num_labels: int

    @classmethod
    def of_parts(cls, part: Counted, sums: Callable[[Sequence[float]], list[float]]) -> "BatchCounts":
        """Of one part here, and a function that adds up numbers over all of them."""
        own = cls(part.num_sequences, part.num_tokens, part.num_followed, part.num_labels)
        return cls(*(int(number) for number in sums(astuple(own))))

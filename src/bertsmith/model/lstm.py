"""An LSTM over sentences of any lengths; its output may be a projection of its memory (Sak et al. 2014).

Sentences are laid out step by step: first the first words of all, then the second words of those that have one, longest
sentence first. So each step is a block of rows, and no step computes anything for a sentence that has ended.

Legend: B sentences, S steps, T words of all sentences together, I width of the input, M of the memory, P of the output.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bertsmith.model.recurrence import Clips, LstmState, recur


@dataclass(frozen=True, eq=False)
class Steps:
    """Where the words of some sentences stand when they are laid out step by step.

    order   [T]  int64, the word in each row: row after row gives states.index_select(0, order)
    places  [T]  int64, the row of each word: the way back
    counts  rows of each step, S numbers that never rise
    longest_first  [B]  int64, the sentences from the longest to the shortest
    """

    order: Tensor
    places: Tensor
    counts: list[int]
    longest_first: Tensor

    @classmethod
    def of(cls, lengths: Tensor, *, backward: bool) -> "Steps":
        """The layout of sentences end to end, read from their first word or, backward, from their last."""
        longest_first = lengths.argsort(descending=True, stable=True)
        begins = lengths.cumsum(0) - lengths
        sorted_lengths = lengths[longest_first]
        step = torch.arange(int(lengths.max()), device=lengths.device)[:, None]  # [S, 1]
        is_there = step < sorted_lengths  # [S, B]
        place = sorted_lengths - 1 - step if backward else step.expand(-1, len(lengths))
        order = (begins[longest_first] + place)[is_there]
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order), device=order.device)
        return cls(order, places, is_there.sum(1).tolist(), longest_first)


class Lstm(nn.Module):
    """One layer in one direction. Gates stand in torch's order: input, forget, candidate, output.

    output_size  P of the projection; None: there is none, and P = M
    """

    def __init__(self, input_size: int, memory_size: int, output_size: int | None = None, clips: Clips | None = None):
        super().__init__()
        self.memory_size, self.output_size = memory_size, output_size or memory_size
        self.clips = clips or Clips()
        self.input_gates = nn.Linear(input_size, 4 * memory_size)
        self.recurrent_gates = nn.Linear(self.output_size, 4 * memory_size, bias=False)
        self.projection = None if output_size is None else nn.Linear(memory_size, output_size, bias=False)

    def forward(self, rows: Tensor, counts: list[int], state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """Outputs of each step, [T, P], and what is left, for sentences from the longest to the shortest.

        rows    [T, I]  laid out as `Steps` says
        counts  rows of each step
        state   what the sentences begin with; None: zeros
        """
        if state is None:
            sizes = (self.memory_size, self.output_size)
            state = LstmState(*(rows.new_zeros(counts[0], size) for size in sizes))
        projection = None if self.projection is None else self.projection.weight
        gates = self.input_gates(rows)  # [T, 4 M]: one product for all steps
        return recur(gates, counts, self.recurrent_gates.weight, projection, state, self.clips)

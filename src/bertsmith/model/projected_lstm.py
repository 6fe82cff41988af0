"""An LSTM whose output is a projection of its memory, over sentences of any lengths (Sak et al. 2014).

Sentences are laid out step by step: first the first words of all, then the second words of those that have one, longest
sentence first. So each step is a block of rows, and no step computes anything for a sentence that has ended.

Legend: B sentences, S steps, T words of all sentences together, I width of the input, M of the memory, P of the output.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


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
        step = torch.arange(int(lengths.max()))[:, None]  # [S, 1]
        is_there = step < sorted_lengths  # [S, B]
        place = sorted_lengths - 1 - step if backward else step.expand(-1, len(lengths))
        order = (begins[longest_first] + place)[is_there]
        places = torch.empty_like(order)
        places[order] = torch.arange(len(order))
        return cls(order, places, is_there.sum(1).tolist(), longest_first)


class LstmState(NamedTuple):
    """What a sentence leaves behind: memory [B, M] and output [B, P] after its last step."""

    memory: Tensor
    output: Tensor


class ProjectedLstm(nn.Module):
    """One layer in one direction. Gates stand in torch's order: input, forget, candidate, output.

    memory_clip, output_clip  largest absolute values; None: any
    """

    def __init__(
        self, input_size: int, memory_size: int, output_size: int, memory_clip: float | None, output_clip: float | None
    ):
        super().__init__()
        self.memory_size, self.output_size = memory_size, output_size
        self.memory_clip, self.output_clip = memory_clip, output_clip
        self.input_gates = nn.Linear(input_size, 4 * memory_size)
        self.recurrent_gates = nn.Linear(output_size, 4 * memory_size, bias=False)
        self.projection = nn.Linear(memory_size, output_size, bias=False)

    def forward(self, rows: Tensor, counts: list[int], state: LstmState | None = None) -> tuple[Tensor, LstmState]:
        """Outputs of each step, [T, P], and what is left, for sentences from the longest to the shortest.

        rows    [T, I]  laid out as `Steps` says
        counts  rows of each step
        state   what the sentences begin with; None: zeros
        """
        gates = self.input_gates(rows).split(counts)  # S times [B_s, 4 M]: one product for all steps
        memory, output = state or (rows.new_zeros(counts[0], size) for size in (self.memory_size, self.output_size))
        outputs: list[Tensor] = []
        ended: list[LstmState] = []
        for step_gates, count in zip(gates, counts, strict=True):
            if count < len(memory):
                ended.append(LstmState(memory[count:], output[count:]))
                memory, output = memory[:count], output[:count]
            keep, forget, candidate, show = (step_gates + self.recurrent_gates(output)).chunk(4, dim=1)
            memory = torch.sigmoid(forget) * memory + torch.sigmoid(keep) * torch.tanh(candidate)
            if self.memory_clip is not None:
                memory = memory.clamp(-self.memory_clip, self.memory_clip)
            output = self.projection(torch.sigmoid(show) * torch.tanh(memory))
            if self.output_clip is not None:
                output = output.clamp(-self.output_clip, self.output_clip)
            outputs.append(output)
        ended.append(LstmState(memory, output))
        memories, last_outputs = (torch.cat(parts) for parts in zip(*reversed(ended), strict=True))
        return torch.cat(outputs), LstmState(memories, last_outputs)

"""The texts of a batch one by one: a sequence `[CLS] A [SEP] B [SEP]` is two segments, `[CLS] A [SEP]` one.

Legend: B sequences, G segments, T tokens of all of them, S tokens of the longest segment, W width of a state.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_batch import FlatBatch


@dataclass(frozen=True, eq=False)
class Segments:
    """How long the segments of some sequences are, and which belong together.

    lengths   [G]  int64
    opposite  [G]  int64, the other segment of the same sequence, or the segment itself if it has no other
    first     [B]  int64, the first segment of each sequence
    """

    lengths: Tensor
    opposite: Tensor
    first: Tensor

    @classmethod
    def of(cls, inputs: FlatBatch) -> "Segments":
        """The segments of sequences that have one or two."""
        begins_sequence = inputs.positions == 0
        begins_segment = begins_sequence.clone()
        begins_segment[1:] |= inputs.segment_ids.diff() != 0
        begins = begins_segment.nonzero().squeeze(1)
        ends = torch.cat([begins[1:], begins.new_tensor([inputs.num_tokens])])
        is_first = begins_sequence[begins]
        number = torch.arange(len(begins), device=begins.device)
        has_second = torch.cat([~is_first[1:], is_first.new_zeros(1)])
        opposite = torch.where(is_first, number + has_second.long(), number - 1)
        return cls(ends - begins, opposite, number[is_first])

    @cached_property
    def is_token(self) -> Tensor:
        """[G, S] bool, what of each row of a rectangle is a token."""
        return torch.arange(int(self.lengths.max()), device=self.lengths.device) < self.lengths[:, None]

    def rectangle(self, states: Tensor) -> Tensor:
        """The tokens of each segment in a row, [T, W] to [G, S, W]; zeros after them."""
        parts: list[Tensor] = list(states.split(self.lengths.tolist()))  # type: ignore[no-untyped-call]
        return nn.utils.rnn.pad_sequence(parts, batch_first=True)

    def opposite_states(self, states: Tensor) -> Tensor:
        """For each token what its opposite segment has to say of it: attention over the states there (Seo et al. 2017).

        A segment without another one looks at itself, as a single text does in McCann et al. (2017, 5). The weights are
        a softmax over the products of the states, divided by the root of their width.

        [T, W] to [T, W]
        """
        rows = self.rectangle(states)  # [G, S, W]
        others = rows[self.opposite]
        scores = (rows @ others.mT).float() / rows.shape[2] ** 0.5  # [G, S, S]
        scores = scores.masked_fill(~self.is_token[self.opposite][:, None], -torch.inf)
        found: Tensor = (torch.softmax(scores, dim=2).to(rows.dtype) @ others)[self.is_token]
        return found

    def strongest(self, states: Tensor) -> Tensor:
        """The largest value of each number in each segment, [T, W] to [G, W]."""
        rows = self.rectangle(states).masked_fill(~self.is_token[:, :, None], -torch.inf)
        return rows.amax(dim=1)

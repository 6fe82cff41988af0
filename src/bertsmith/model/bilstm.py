"""Two layers of a BiLSTM on the states of an encoder, and between them, for texts, a look at the other text.

For tags this is the network of BERT 5.3 (two layers, 768 wide). For texts, pairs and spans each text is read by itself,
every token attends to the other text (BiDAF: Seo et al. 2017; for a single text: itself, as in McCann et al. 2017), and
the second layer reads what both say.

Legend: T tokens, D width of what is read, W width of a state.
"""

import torch
from torch import Tensor, nn

from bertsmith.model.dropout import dropout
from bertsmith.model.lstm import Lstm, Steps
from bertsmith.model.segments import Segments


class BiLstmLayer(nn.Module):
    """One layer, both directions, W / 2 each."""

    def __init__(self, input_size: int, size: int):
        super().__init__()
        self.forward_lstm = Lstm(input_size, size // 2)
        self.backward_lstm = Lstm(input_size, size // 2)

    def forward(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Texts end to end, [T, D] to [T, W]."""
        sides = []
        for lstm, is_backward in ((self.forward_lstm, False), (self.backward_lstm, True)):
            steps = Steps.of(lengths, backward=is_backward)
            outputs, _ = lstm(states.index_select(0, steps.order), steps.counts)
            sides.append(outputs.index_select(0, steps.places))
        return torch.cat(sides, dim=1)


class BiLstm(nn.Module):
    """Both layers.

    compares  whether a token looks at the other text between them
    """

    def __init__(self, input_size: int, size: int, dropout_rate: float, *, compares: bool):
        super().__init__()
        self.dropout_rate = dropout_rate
        self.first = BiLstmLayer(input_size, size)
        self.compare = nn.Linear(4 * size, size) if compares else None
        self.second = BiLstmLayer(size, size)

    def forward(self, states: Tensor, segments: Segments) -> Tensor:
        """[T, D] to [T, W]."""
        rate = self.dropout_rate if self.training else 0.0
        states = self.first(dropout(states, rate), segments.lengths)  # [T, W]
        if self.compare is not None:
            other = segments.opposite_states(states)
            both = torch.cat([states, other, states - other, states * other], dim=1)  # [T, 4 W]
            states = torch.relu(self.compare(both))
        outputs: Tensor = self.second(dropout(states, rate), segments.lengths)
        return outputs

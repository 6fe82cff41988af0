"""ELMo: two language models, one from left to right and one from right to left, over words made of characters.

They share the layer that makes words of characters, and in pre-training the one that tells the next word (Peters et al.
2018, 3.1). What a word is to a task is a mixture of all layers of both.

Legend: B sentences, T words of all sentences together, begins and ends included, P width of one direction, L LSTM
layers.
"""

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_words import FlatWords
from bertsmith.model.character_encoder import CharacterEncoder
from bertsmith.model.dropout import dropout
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.lstm import Lstm, Steps
from bertsmith.model.recurrence import Clips, LstmState


class ElmoOutput(NamedTuple):
    """States of each layer, and what the sentences leave behind.

    layers  L + 1 tensors [T, 2 P]: the words themselves twice, then forward and backward states side by side
    states  for each direction, for each layer, in the order of the sentences
    """

    layers: list[Tensor]
    states: tuple[list[LstmState], list[LstmState]]


class Direction(nn.Module):
    """The LSTM layers of one language model."""

    def __init__(self, config: ElmoConfig, *, backward: bool):
        super().__init__()
        self.backward = backward
        self.residual = config.residual
        self.dropout_rate = config.dropout
        self.layers = nn.ModuleList(
            Lstm(
                config.hidden_size,
                config.cell_size,
                config.hidden_size,
                Clips(config.cell_clip, config.projection_clip),
            )
            for _ in range(config.num_layers)
        )

    def forward(
        self, words: Tensor, lengths: Tensor, states: list[LstmState] | None
    ) -> tuple[list[Tensor], list[LstmState]]:
        """States of each layer, [T, P] each, in the order of the words; the state of a word has seen it and all before.

        words   [T, P]
        states  of the sentences before these, for each layer
        """
        steps = Steps.of(lengths, backward=self.backward)
        rate = self.dropout_rate if self.training else 0.0
        rows = words.index_select(0, steps.order)
        sentence_places = steps.longest_first.argsort()
        found, left = [], []
        for number, layer in enumerate(self.layers):
            before = None if states is None else LstmState(*(part[steps.longest_first] for part in states[number]))
            outputs, after = layer(dropout(rows, rate), steps.counts, before)
            rows = outputs + rows if self.residual and number else outputs
            found.append(rows.index_select(0, steps.places))
            left.append(LstmState(*(part[sentence_places] for part in after)))
        return found, left


class Elmo(nn.Module):
    """Words of characters, and both directions."""

    architecture: ClassVar[str] = "Elmo"

    def __init__(self, config: ElmoConfig):
        super().__init__()
        self.config = config
        self.words = CharacterEncoder(config)
        self.forward_model = Direction(config, backward=False)
        self.backward_model = Direction(config, backward=True)

    def forward(self, inputs: FlatWords, states: tuple[list[LstmState], list[LstmState]] | None = None) -> ElmoOutput:
        """States of all layers.

        states  what the sentences before these left behind, as the published networks go on; None: zeros
        """
        words = self.words(inputs.character_ids).index_select(0, inputs.word_index)  # [T, P]
        before = states or (None, None)
        forward, forward_states = self.forward_model(words, inputs.lengths, before[0])
        backward, backward_states = self.backward_model(words, inputs.lengths, before[1])
        sides = zip([words, *forward], [words, *backward], strict=True)
        layers = [torch.cat(both, dim=1) for both in sides]
        return ElmoOutput(layers, (forward_states, backward_states))


class ScalarMix(nn.Module):
    """What a task makes of the layers: gamma * sum of softmax(w)_k h_k (Peters et al. 2018, equation 1)."""

    def __init__(self, num_layers: int):
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(num_layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, layers: list[Tensor]) -> Tensor:
        """K tensors [T, D] to [T, D]."""
        shares = torch.softmax(self.weights, dim=0)
        mixed: Tensor = torch.stack([share * layer for share, layer in zip(shares, layers, strict=True)]).sum(dim=0)
        return self.gamma * mixed

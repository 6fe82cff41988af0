"""A word as the characters it is made of: filters of several lengths, highway layers, projection (Kim et al. 2016).

Legend: U words, C characters of a word, E width of a character, F filters, P width of a word.
"""

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_words import NUM_CHARACTERS
from bertsmith.model.elmo_configuration import ElmoConfig


class Highway(nn.Module):
    """g * relu(W x + b) + (1 - g) * x with the gate g = sigmoid(V x + c) (Srivastava et al. 2015)."""

    def __init__(self, width: int):
        super().__init__()
        self.transform = nn.Linear(width, width)
        self.gate = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """[U, F] to [U, F]."""
        gate = torch.sigmoid(self.gate(states))
        return gate * torch.relu(self.transform(states)) + (1 - gate) * states


class CharacterEncoder(nn.Module):
    """Characters to a vector for each word."""

    def __init__(self, config: ElmoConfig):
        super().__init__()
        self.activation = config.filter_activation
        self.characters = nn.Embedding(NUM_CHARACTERS, config.character_size)
        self.filters = nn.ModuleList(
            nn.Conv1d(config.character_size, count, kernel_size=length) for length, count in config.filters
        )
        self.highways = nn.ModuleList(Highway(config.num_filters) for _ in range(config.num_highway_layers))
        self.projection = nn.Linear(config.num_filters, config.hidden_size)

    def forward(self, character_ids: Tensor) -> Tensor:
        """[U, C] int64 to [U, P]."""
        characters = self.characters(character_ids).transpose(1, 2)  # [U, E, C]
        strongest = [convolution(characters).amax(dim=2) for convolution in self.filters]  # [U, count] each
        states = torch.cat(strongest, dim=1)  # [U, F]
        states = torch.relu(states) if self.activation == "relu" else torch.tanh(states)
        for highway in self.highways:
            states = highway(states)
        projected: Tensor = self.projection(states)
        return projected

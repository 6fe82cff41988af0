"""A word as the characters it is made of: filters of several lengths, highway layers, projection (Kim et al. 2016).

Legend: U words, C characters of a word, E width of a character, F filters, P width of a word.
"""

import torch
from torch import Tensor, nn

from bertsmith.batches.flat_words import NUM_CHARACTERS
from bertsmith.model.elmo_configuration import ElmoConfig
from bertsmith.model.embeddings import embedding_table, sum_of_embeddings


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
        self.characters = embedding_table(NUM_CHARACTERS, config.character_size)
        self.filters = nn.ModuleList(
            nn.Conv1d(config.character_size, count, kernel_size=length) for length, count in config.filters
        )
        self.highways = nn.ModuleList(Highway(config.num_filters) for _ in range(config.num_highway_layers))
        self.projection = nn.Linear(config.num_filters, config.hidden_size)

    def forward(self, character_ids: Tensor) -> Tensor:
        """[U, C] int64 to [U, P]."""
        num_words, length = character_ids.shape
        characters = sum_of_embeddings((self.characters.weight,), (character_ids.flatten(),))
        characters = characters.view(num_words, length, -1)  # [U, C, E]
        strongest = [_strongest(characters, filters) for filters in self.filters]  # [U, count] each
        states = torch.cat(strongest, dim=1)  # [U, F]
        states = torch.relu(states) if self.activation == "relu" else torch.tanh(states)
        for highway in self.highways:
            states = highway(states)
        projected: Tensor = self.projection(states)
        return projected


def _strongest(characters: Tensor, filters: nn.Module) -> Tensor:
    """What each filter finds in the place where it finds most: [U, C, E] to [U, count].

    A convolution as one product over all places: on a CPU the gradient of its maximum is several times cheaper so.
    """
    assert isinstance(filters, nn.Conv1d)
    assert filters.bias is not None
    places = characters.unfold(1, filters.kernel_size[0], 1).flatten(2)  # [U, places, E * length]
    found = places @ filters.weight.flatten(1).mT  # [U, places, count]
    strongest, _ = found.max(dim=1)
    return strongest + filters.bias

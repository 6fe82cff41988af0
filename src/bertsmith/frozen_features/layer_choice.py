"""Which layers' states become a vector, and how (BERT 5.3, table 7).

Legend: T tokens, H hidden size, L layers of the network, K layers that are chosen, D width of the vector.
"""

from collections.abc import Sequence
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from bertsmith.core.configuration import Settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.layer_names import layer_numbers

Combination = Literal["concatenate", "sum", "mean"]


class LayerChoice(Settings):
    """The rows of the paper's table 7 and everything between them."""

    layers: tuple[str, ...] = Field(
        ("last4",),
        min_length=1,
        description="embeddings, second-to-last, last, last4, all (without the embeddings), or numbers: 0 is the "
        "embeddings, 1 the first layer",
    )
    combine: Combination = Field("concatenate", description="what becomes of several layers' states")
    weights: tuple[float, ...] = Field((), description="a weight for each layer: their weighted sum, in any case")

    @model_validator(mode="after")
    def _weights_make_a_sum(self) -> Self:
        if self.weights and "combine" in self.model_fields_set and self.combine != "sum":
            raise ValueError(f"weights make a sum, so combine = {self.combine} is not possible with them")
        return self

    def numbers(self, num_layers: int) -> list[int]:
        """The chosen layers of a network with L layers, in the order given.

        raises  ConfigurationError for a layer that it does not have, a layer named twice, or a wrong number of weights
        """
        chosen = layer_numbers(self.layers, num_layers, "--layers")
        if self.weights and len(self.weights) != len(chosen):
            raise ConfigurationError(
                f"--weights has {len(self.weights)} numbers for {len(chosen)} layers; give one for each."
            )
        return chosen

    def width(self, num_layers: int, hidden_size: int) -> int:
        """D."""
        is_longer = self.combine == "concatenate" and not self.weights
        return hidden_size * (len(self.numbers(num_layers)) if is_longer else 1)

    def combined(self, states: Sequence[Tensor]) -> Tensor:
        """K states [T, H] to float32 vectors [T, D]."""
        exact = [layer.float() for layer in states]
        if self.weights:
            return torch.stack([weight * layer for weight, layer in zip(self.weights, exact, strict=True)]).sum(0)
        if self.combine == "concatenate":
            return torch.cat(exact, dim=1)
        total = torch.stack(exact).sum(0)
        return total if self.combine == "sum" else total / len(exact)

"""Lower layers that learn more slowly than upper ones, or not at all (Howard and Ruder 2018; Clark et al. 2020)."""

import re
from collections.abc import Callable

from pydantic import Field

from bertsmith.core.configuration import Settings
from bertsmith.core.errors import ConfigurationError
from bertsmith.model.task_networks import TaskNetwork

_LAYER = re.compile(r"(?:encoder|decoder)\.layers\.(\d+)\.")


class LayerSettings(Settings):
    """The paper trains all layers alike: the defaults."""

    layer_decay: float = Field(
        1.0, gt=0, le=1, description="learning rate of each layer as a share of that of the layer above it"
    )
    frozen_layers: int | None = Field(
        None, ge=0, description="0: the embeddings stay as they are; n: and the first n layers; default: all learn"
    )

    def rate_factor(self, num_layers: int) -> Callable[[str], float]:
        """By what the learning rate of a parameter is multiplied: the added layer 1, the embeddings least."""
        top = num_layers + 1
        return lambda name: self.layer_decay ** (top - _depth(name, top))

    def freeze(self, network: TaskNetwork) -> None:
        """Let the lower layers ask for no gradients."""
        if self.frozen_layers is None:
            return
        num_layers = network.config.num_hidden_layers
        if self.frozen_layers > num_layers:
            raise ConfigurationError(
                f"--frozen-layers {self.frozen_layers} is more than the {num_layers} layers of the network."
            )
        for name, parameter in network.named_parameters():
            if _depth(name, num_layers + 1) <= self.frozen_layers:
                parameter.requires_grad_(False)


def _depth(name: str, top: int) -> int:
    """0 for the embeddings, 1 for the first layer, ..., `top` for what stands on the encoder."""
    if layer := _LAYER.search(name):
        return int(layer[1]) + 1
    return 0 if "embeddings." in name else top

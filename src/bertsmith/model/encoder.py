"""The Transformer encoder: layers of self-attention and feed-forward, LayerNorm after each sum (BERT 3).

Legend: T tokens, N tokens whose states are asked for (inside the encoder both are rounded up, `padded_rows`), H hidden
size, F feed-forward size.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from bertsmith.core.errors import ConfigurationError
from bertsmith.model.attention import Attend
from bertsmith.model.configuration import Activation, BertConfig
from bertsmith.model.dropout import dropout_then_add


def activate(states: Tensor, activation: Activation) -> Tensor:
    """The nonlinearity, element by element (GELU: Hendrycks and Gimpel 2016)."""
    if activation == "relu":
        return torch.relu(states)
    return nn.functional.gelu(states, approximate="tanh" if activation == "gelu_new" else "none")


class SelfAttention(nn.Module):
    """Projections of one attention sublayer. Queries, keys and values are one product, 3 H wide."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dropout_rate = config.attention_probs_dropout_prob
        self.qkv = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.output = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, states: Tensor, attend: Attend, rows: Tensor | None) -> Tensor:
        """[T, H] to [N, H]."""
        context = attend(self.qkv(states), self.dropout_rate if self.training else 0.0)
        output: Tensor = self.output(_select(context, rows))
        return output


class FeedForward(nn.Module):
    """Two linear layers with an activation between them."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.activation: Activation = config.hidden_act
        self.expand = nn.Linear(config.hidden_size, config.intermediate_size)
        self.contract = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, states: Tensor) -> Tensor:
        """[N, H] to [N, F] to [N, H]."""
        output: Tensor = self.contract(activate(self.expand(states), self.activation))
        return output


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each followed by dropout, the residual sum and LayerNorm."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.compiled = False
        self.dropout_rate = config.hidden_dropout_prob
        self.attention = SelfAttention(config)
        self.attention_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, states: Tensor, attend: Attend, rows: Tensor | None) -> Tensor:
        """[T, H] to [N, H]: of the tokens in `rows`, or of all.

        rows  [N]  int64 indices into T. All tokens are looked at, but only these go on
        """
        rate = self.dropout_rate if self.training else 0.0
        add_and_norm = _compiled_add_and_norm() if self.compiled else _add_and_norm
        attended = self.attention(states, attend, rows)  # [N, H]
        norm = self.attention_norm
        states = add_and_norm(attended, _select(states, rows), rate, norm.weight, norm.bias, norm.eps)
        norm = self.feed_forward_norm
        return add_and_norm(self.feed_forward(states), states, rate, norm.weight, norm.bias, norm.eps)


class Encoder(nn.Module):
    """The stack of layers."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.activation_checkpointing = False
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, states: Tensor, attend: Attend, rows: Tensor | None = None) -> Iterator[Tensor]:
        """The states after each layer in turn, [T, H] each.

        rows  [N]  int64 indices into T: the only tokens whose last states are asked for, [N, H]. Nobody looks at the
                   last states of the others, so the last layer need not make them
        """
        num_tokens = len(states)
        states = nn.functional.pad(states, (0, 0, 0, padded_rows(num_tokens) - num_tokens))
        for layer in self.layers[:-1]:
            states = self._through(layer, states, attend, None)
            yield states[:num_tokens]
        if rows is None:
            yield self._through(self.layers[-1], states, attend, None)[:num_tokens]
        else:
            yield self._through(self.layers[-1], states, attend, filled_up(rows))[: len(rows)]

    def _through(self, layer: nn.Module, states: Tensor, attend: Attend, rows: Tensor | None) -> Tensor:
        output: Tensor
        if self.activation_checkpointing and self.training and torch.is_grad_enabled():
            output = checkpoint(layer, states, attend, rows, use_reentrant=False)
        else:
            output = layer(states, attend, rows)
        return output


def checkpoint_activations(network: nn.Module) -> None:
    """For the backward pass keep only what enters each layer, and compute the layer again (Chen et al. 2016).

    The numbers stay the same to the bit: dropout is drawn again from where the generator stood.

    raises  ConfigurationError for a network without a Transformer encoder
    """
    for encoder in _encoders(network, "--activation-checkpointing"):
        encoder.activation_checkpointing = True


def compile_layers(network: nn.Module) -> None:
    """Make one kernel of dropout, sum and LayerNorm, by torch's compiler. For GPUs, where each waits for memory.

    raises  ConfigurationError for a network without a Transformer encoder
    """
    for encoder in _encoders(network, "--compile-layers"):
        for layer in encoder.layers:
            assert isinstance(layer, EncoderLayer)
            layer.compiled = True


def _encoders(network: nn.Module, flag: str) -> list[Encoder]:
    encoders = [module for module in network.modules() if isinstance(module, Encoder)]
    if not encoders:
        raise ConfigurationError(f"{flag} is for networks of Transformer layers, and this one has none. Leave it out.")
    return encoders


def chosen_states(states: Iterator[Tensor], layers: Sequence[int], num_layers: int) -> list[Tensor]:
    """Those of some layers in the order asked: 0 the embeddings, `num_layers` the last; none above is computed.

    raises  ValueError for a layer that is not there
    """
    if not layers or min(layers) < 0 or max(layers) > num_layers:
        raise ValueError(f"the layers are 0 to {num_layers}, not {list(layers)}")
    found = list(islice(states, max(layers) + 1))
    return [found[layer] for layer in layers]


def filled_up(rows: Tensor) -> Tensor:
    """Indices [N], and the first token's until there are `padded_rows`: products of these rows have one of few shapes.

    Nobody reads what is made of the rows after the N: they are cut off, or have no label and so no gradient.
    """
    return nn.functional.pad(rows, (0, padded_rows(len(rows)) - len(rows)))


def padded_rows(count: int) -> int:
    """`count` rounded up to one of 16 numbers between two powers of two: at most a sixteenth more, 2 % at 3,000.

    No batch has as many tokens as the one before, and oneDNN compiles a product of matrices of a new shape: some 5 ms
    each, half as long as a whole training step for the dozens in it. Of a few shapes it remembers all.
    """
    unit = 1 << max(0, count.bit_length() - 5)
    return -(-count // unit) * unit


def _add_and_norm(output: Tensor, states: Tensor, rate: float, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """What a sublayer gives, dropped out and added to what it got, and the sum's LayerNorm: [N, H] each."""
    return nn.functional.layer_norm(dropout_then_add(output, states, rate), weight.shape, weight, bias, eps)


@cache
def _compiled_add_and_norm() -> Callable[[Tensor, Tensor, float, Tensor, Tensor, float], Tensor]:
    return torch.compile(_add_and_norm, dynamic=True)  # once for all layers, and for any number of rows


def _select(states: Tensor, rows: Tensor | None) -> Tensor:
    return states if rows is None else states.index_select(0, rows)

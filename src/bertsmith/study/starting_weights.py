"""Initial values that only studies use: those that recipes have with a part left out, and their rivals.

The graph is BERT's in all of them. A study puts them into a model folder and starts a run from it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from bertsmith.core.randomness import derive_seed
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.encoder import EncoderLayer
from bertsmith.model.initialisation import InitialisationScheme, initialise
from bertsmith.model.neighbour import PEAK_LOGIT, head_offset, initialise_neighbour_encoder, initialise_output_bias
from bertsmith.text.pair_counts import TextCounts

StartName = Literal[
    "normal-with-output-bias",
    "neighbour-without-positions",
    "neighbour-without-queries",
    "neighbour-without-values",
    "neighbour-without-output-bias",
    "neighbour-with-full-segments",
    "neighbour-weak",
    "neighbour-sharp",
    "neighbour-half-of-the-heads",
    "neighbour-next-words-only",
    "neighbour-far-words-only",
    "neighbour-two-layers",
    "cooccurrence-without-vectors",
    "cooccurrence-without-links",
    "cooccurrence-without-match",
    "cooccurrence-without-transform",
    "cooccurrence-without-output-bias",
    "sinusoidal-positions",
    "mimetic",
]

_MIMETIC_QUERY_KEY = (0.7, 0.7)  # shares of noise and of the identity in the product (Trockman and Kolter 2023)
_MIMETIC_VALUE_OUTPUT = (0.4, -0.4)


@torch.no_grad()
def starting_weights(model: BertForPreTraining, name: StartName, seed: int, counts: TextCounts) -> None:
    """Give every weight of a network its initial value.

    counts  of the text; pairs up to `DISTANCES` apart for the names that begin with "cooccurrence"
    """
    _STARTS[name](model, seed, counts)


def _normal_with_output_bias(model: BertForPreTraining, seed: int, counts: TextCounts) -> None:
    initialise(model, "normal", seed)
    initialise_output_bias(model.masked_lm, counts.tokens)


def _without(scheme: InitialisationScheme, *parts: Callable[[BertForPreTraining], list[Tensor]]) -> "_Start":
    """The initialisation of a recipe, but some of its tensors as the paper's."""

    def start(model: BertForPreTraining, seed: int, counts: TextCounts) -> None:
        initialise(model, scheme, seed, counts)
        ordinary = BertForPreTraining(model.config)
        initialise(ordinary, "normal", seed)
        for part in parts:
            for mine, other in zip(part(model), part(ordinary), strict=True):
                mine.copy_(other)

    return start


def _neighbour_encoder(changes: Callable[[int], dict[str, Any]]) -> "_Start":
    """The neighbour initialisation with other parameters, a function of the number of heads."""

    def start(model: BertForPreTraining, seed: int, counts: TextCounts) -> None:
        initialise(model, "normal", seed)
        initialise_neighbour_encoder(model.bert, seed, **changes(model.config.num_attention_heads))
        initialise_output_bias(model.masked_lm, counts.tokens)

    return start


def _sinusoidal_positions(model: BertForPreTraining, seed: int, counts: TextCounts) -> None:
    """The Transformer's position table (Vaswani et al. 2017, 3.5), as large as the tokens; the rest is ordinary."""
    initialise(model, "normal", seed)
    embeddings = model.bert.embeddings
    num_positions, hidden_size = embeddings.positions.weight.shape
    frequencies = 10_000.0 ** -(torch.arange(0, hidden_size, 2) / hidden_size)
    angles = torch.arange(num_positions)[:, None] * frequencies  # [P, H / 2]
    table = math.sqrt(2.0) * torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)
    embeddings.positions.weight.copy_(embeddings.tokens.weight.square().mean().sqrt() * table)


def _mimetic(model: BertForPreTraining, seed: int, counts: TextCounts) -> None:
    """Mimetic initialisation (Trockman and Kolter 2023), with sinusoidal positions.

    In every layer the product of queries and keys is near the identity, that of values and outputs near its negative.
    """
    _sinusoidal_positions(model, seed, counts)
    head_size = model.config.head_size
    for index, layer in enumerate(model.bert.encoder.layers):
        assert isinstance(layer, EncoderLayer)
        query, key, value = layer.attention.qkv.weight.chunk(3)  # [H, H] each
        generator = torch.Generator().manual_seed(derive_seed(seed, "mimetic", index))
        for head in range(model.config.num_attention_heads):
            rows = slice(head * head_size, (head + 1) * head_size)
            left, right = _factors(*_MIMETIC_QUERY_KEY, len(query), head_size, generator)
            query[rows], key[rows] = left.T, right
        left, right = _factors(*_MIMETIC_VALUE_OUTPUT, len(value), len(value), generator)
        layer.attention.output.weight.copy_(left)
        value.copy_(right)


def _factors(noise: float, identity: float, size: int, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """[S, R] and [R, S], whose product is the best approximation of rank R to noise Z + identity I, Z ~ N(0, 1 / S)."""
    product = noise * torch.randn(size, size, generator=generator) / math.sqrt(size) + identity * torch.eye(size)
    left, sizes, right = torch.linalg.svd(product)
    roots = sizes[:rank].sqrt()
    return left[:, :rank] * roots, roots[:, None] * right[:rank]


def _layers(model: BertForPreTraining) -> list[EncoderLayer]:
    return [layer for layer in model.bert.encoder.layers if isinstance(layer, EncoderLayer)]


def _tokens(model: BertForPreTraining) -> list[Tensor]:
    return [model.bert.embeddings.tokens.weight]


def _transform(model: BertForPreTraining) -> list[Tensor]:
    return [model.masked_lm.transform.weight]


def _attention_of_layer(index: int) -> Callable[[BertForPreTraining], list[Tensor]]:
    def part(model: BertForPreTraining) -> list[Tensor]:
        attention = _layers(model)[index].attention
        return [attention.qkv.weight, attention.output.weight]

    return part


def _positions(model: BertForPreTraining) -> list[Tensor]:
    return [model.bert.embeddings.positions.weight]


def _segments(model: BertForPreTraining) -> list[Tensor]:
    return [model.bert.embeddings.segments.weight]


def _queries_and_keys(model: BertForPreTraining) -> list[Tensor]:
    return [part for layer in _layers(model) for part in layer.attention.qkv.weight.chunk(3)[:2]]


def _values_and_outputs(model: BertForPreTraining) -> list[Tensor]:
    return [
        part
        for layer in _layers(model)
        for part in (layer.attention.qkv.weight.chunk(3)[2], layer.attention.output.weight)
    ]


def _output_bias(model: BertForPreTraining) -> list[Tensor]:
    return [model.masked_lm.bias]


_Start = Callable[[BertForPreTraining, int, TextCounts], None]

_STARTS: Mapping[StartName, _Start] = {
    "normal-with-output-bias": _normal_with_output_bias,
    "neighbour-without-positions": _without("neighbour", _positions),
    "neighbour-without-queries": _without("neighbour", _queries_and_keys),
    "neighbour-without-values": _without("neighbour", _values_and_outputs),
    "neighbour-without-output-bias": _without("neighbour", _output_bias),
    "neighbour-with-full-segments": _without("neighbour", _segments),
    "neighbour-weak": _neighbour_encoder(lambda heads: {"peak_logit": PEAK_LOGIT / 2}),
    "neighbour-sharp": _neighbour_encoder(lambda heads: {"peak_logit": PEAK_LOGIT * 2}),
    "neighbour-half-of-the-heads": _neighbour_encoder(
        lambda heads: {"offsets": [head_offset(head) if head < heads / 2 else None for head in range(heads)]}
    ),
    "neighbour-next-words-only": _neighbour_encoder(lambda heads: {"offsets": [-1, 1] * (heads // 2)}),
    "neighbour-far-words-only": _neighbour_encoder(lambda heads: {"offsets": [-7, 7] * (heads // 2)}),
    "neighbour-two-layers": _neighbour_encoder(lambda heads: {"num_layers": 2}),
    "cooccurrence-without-vectors": _without("cooccurrence", _tokens),
    "cooccurrence-without-links": _without("cooccurrence", _attention_of_layer(1)),
    "cooccurrence-without-match": _without("cooccurrence", _attention_of_layer(0)),
    "cooccurrence-without-transform": _without("cooccurrence", _transform),
    "cooccurrence-without-output-bias": _without("cooccurrence", _output_bias),
    "sinusoidal-positions": _sinusoidal_positions,
    "mimetic": _mimetic,
}

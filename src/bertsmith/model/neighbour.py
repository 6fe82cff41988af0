"""Neighbour initialisation: layer 1 looks at the words beside a word from the first step on.

With small random weights every head starts as an average over all positions, so the network sees a bag of words, and
most of a small budget goes into finding out that neighbours matter. Here only the *initial values* of some weights
differ from the paper's; the graph, the file and every later update are BERT's:

    positions     row i holds pairs (sin w i, cos w i) that are as large as the token embeddings. The frequencies w are
                  spread over (0, pi), irregularly, D / 2 for each head, so that the product of two rows is nearly zero
                  unless they are the same distance apart as the head's offset (a regular comb of them has aliases)
    segments      a tenth of the usual size, since a full-sized third summand drowns the positions in layer 1
    queries and keys of layer 1
                  head h reads its own pairs; keys as they are, queries turned by w o, so that q_i k_j is largest at
                  j = i + o. The offsets o of the heads are -1, +1, -2, +2, ...
    values and attention outputs of all layers
                  N(0, 0.05), so that what is attended to reaches the sum
    output bias   log of the pieces' frequencies, which skips the descent to the unigram floor

Legend: H hidden size, A heads, D = H / A head size, P longest sequence, V vocabulary size.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bertsmith.core.errors import ConfigurationError, MismatchedArtefact
from bertsmith.core.randomness import derive_seed
from bertsmith.model.bert import Bert
from bertsmith.model.encoder import EncoderLayer
from bertsmith.model.heads import MaskedLanguageModelHead

PEAK_LOGIT = 6.0  # of layer 1 at the offset, after LayerNorm; scale 1.22 for heads 64 wide
_SEGMENT_SHARE = 0.1
_VALUE_STD = 0.05


def head_offset(head: int) -> int:
    """Where head `head` of layer 1 looks, in tokens: -1, +1, -2, +2, ..."""
    distance = head // 2 + 1
    return distance if head % 2 else -distance


@torch.no_grad()
def initialise_neighbour_encoder(
    bert: Bert,
    seed: int,
    *,
    offsets: Sequence[int | None] | None = None,
    num_layers: int = 1,
    peak_logit: float = PEAK_LOGIT,
) -> None:
    """Change the initial values of an encoder that has those of the released code.

    offsets     where each head looks, None for a head that keeps its values; default: `head_offset` of each
    num_layers  how many layers look, from the first on. This and what follows is for studies: recipes use the defaults
    peak_logit  attention logit at the offset; 0 is uniform attention
    raises      ConfigurationError for heads of an odd size, which cannot hold pairs
    """
    config = bert.config
    num_heads, head_size = config.num_attention_heads, config.head_size
    if head_size % 2:
        raise ConfigurationError(
            f"The neighbour initialisation needs heads of an even size; {config.hidden_size} / "
            f"{num_heads} = {head_size}. Choose other sizes, or the initialisation 'normal'."
        )
    embeddings = bert.embeddings
    token_size = embeddings.tokens.weight.float().square().mean().sqrt().item()
    frequencies = torch.stack(
        [place_frequencies(head_size // 2, seed, head) for head in range(num_heads)]
    )  # [A, D / 2]
    embeddings.positions.weight.copy_(token_size * place_table(config.max_position_embeddings, frequencies))
    embeddings.segments.weight.mul_(_SEGMENT_SHARE)
    scale = math.sqrt(2.0 * peak_logit / math.sqrt(head_size))
    for index, layer in enumerate(bert.encoder.layers):
        assert isinstance(layer, EncoderLayer)
        query, key, value = layer.attention.qkv.weight.chunk(3)  # [H, H] each
        value.normal_(std=_VALUE_STD, generator=_generator(seed, "value", index))
        layer.attention.output.weight.normal_(std=_VALUE_STD, generator=_generator(seed, "output", index))
        if index >= num_layers:
            continue
        for head, offset in enumerate(offsets or map(head_offset, range(num_heads))):
            if offset is not None:
                pairs = slice(head * head_size, (head + 1) * head_size)
                query[pairs] = 0.0
                query[pairs, pairs] = scale * place_rotation(frequencies[head] * offset)
                key[pairs] = scale * torch.eye(config.hidden_size)[pairs]


@torch.no_grad()
def initialise_output_bias(head: MaskedLanguageModelHead, token_counts: NDArray[np.integer]) -> None:
    """Set the bias of the masked-LM head to the log of the pieces' frequencies, each counted once more than it occurs.

    token_counts  [V]  how often each piece occurs in the text
    """
    if len(token_counts) != len(head.bias):
        raise MismatchedArtefact(
            f"The counts are of {len(token_counts):,} pieces, and the model has {len(head.bias):,}. "
            "Give the model the vocabulary size of the token store."
        )
    counts = torch.from_numpy(np.asarray(token_counts, dtype=np.float64)) + 1.0
    head.bias.copy_((counts / counts.sum()).log())


def place_frequencies(count: int, seed: int, head: int) -> Tensor:
    """One frequency drawn from each of `count` equal parts of (0, pi), ascending."""
    places = torch.arange(count) + torch.rand(count, generator=_generator(seed, "frequencies", head))
    return places * (math.pi / count)


def place_table(num_positions: int, frequencies: Tensor) -> Tensor:
    """Pairs (sin, cos) of all positions with mean square 1: frequencies [A, D / 2] to [P, H]."""
    angles = torch.arange(num_positions)[:, None] * frequencies.flatten()  # [P, H / 2]
    return math.sqrt(2.0) * torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def place_rotation(angles: Tensor) -> Tensor:
    """The matrix that turns each pair (sin x, cos x) into (sin(x + angle), cos(x + angle)): [D / 2] to [D, D]."""
    sines, cosines = angles.sin(), angles.cos()
    matrix = torch.zeros(2 * len(angles), 2 * len(angles))
    first = torch.arange(0, len(matrix), 2)
    matrix[first, first], matrix[first, first + 1] = cosines, sines
    matrix[first + 1, first], matrix[first + 1, first + 1] = -sines, cosines
    return matrix


def _generator(seed: int, purpose: str, *counters: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, f"neighbour/{purpose}", *counters))

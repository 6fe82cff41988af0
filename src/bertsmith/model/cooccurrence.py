"""Co-occurrence initialisation: the network begins as a model of which pieces stand near which.

Counting pairs in the text takes seconds, and what the counts say takes gradient descent hours. Here they become initial
values: before the first step the network guesses a hidden word from the two words on either side, nearly as well as
pairs of words can tell. Nothing but values differs from the paper's network; the graph, the file and every update are
BERT's. A state has two parts: its last P columns say where a token stands, the K before them what it is.

    tokens        what: vectors of the text's counts (`word_vectors`); place: 0. Pieces that do not occur, [MASK] among
                  them, keep ordinary values, which are small beside these
    positions     what: 0; place: pairs (sin w i, cos w i) as in `neighbour`, the same ones for all heads
    segments      what: 0; place: one vector, added for A and taken off for B
    layer 1       half of its heads look for the same or a kindred piece in the other segment: queries and keys are one
                  projection of what a token is, and one column that favours the other segment. Next sentence
                  prediction asks for that, and so does every task on pairs
    layer 2       its heads look 1 and 2 places back and on. Values and outputs of a head are the link of its distance:
                  they write the evidence u for the piece in between, such that u . vector(w) is how much likelier w has
                  become. That is last because it blurs what a token is. A network of one layer has these heads only
    output layer  the transform passes states on (GELU of a small number is nearly half of it, and LayerNorm sets the
                  size); the matrix is the tokens' as ever, the bias the log of the frequencies

Heads and layers beyond those keep ordinary values. The constants were set by the loss before the first step and by
short runs of a mini.

Legend: V vocabulary size, H hidden size, D size of a head, P columns of place, K = H - P of what, L rank of a link.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from bertsmith.core.errors import ConfigurationError
from bertsmith.core.randomness import derive_seed
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.model.configuration import BertConfig
from bertsmith.model.encoder import EncoderLayer, SelfAttention
from bertsmith.model.neighbour import (
    head_offset,
    initialise_output_bias,
    place_frequencies,
    place_rotation,
    place_table,
)
from bertsmith.model.word_vectors import WordVectors, word_vectors
from bertsmith.text.pair_counts import TextCounts

DISTANCES = 2  # of the pairs that are counted
_LINK_SHARES = (1.0, 0.7)  # how much of the evidence from each distance is added up: the four are not independent
_EVIDENCE_SIZE = 0.75  # usual norm of the evidence beside a state's
_EVIDENCE_GAIN = 1.4  # makes up for LayerNorm, which shrinks a sum
_PLACE_SIZE = 1.15  # norm of a position beside a token's
_SEGMENT_SIZE = 0.5  # norm of a segment beside a position's
_PEAK_LOGIT = 10.0  # attention logit at the offset of a head
_MATCH_LOGIT = 8.0  # for the same piece in the other segment
_SEGMENT_LOGIT = 8.0  # by how much a token of the other segment is ahead of one of the same
_MATCH_STD = 0.05  # of values and outputs of the heads that look for kindred pieces
_TRANSFORM_SIZE = 0.1


@dataclass(frozen=True, eq=False)
class _Geometry:
    """How states are divided, and how large the parts are for a usual token."""

    config: BertConfig
    num_what: int
    token_norm: float  # in the table of embeddings

    @property
    def num_place(self) -> int:
        return self.config.hidden_size - self.num_what

    @property
    def what_norm(self) -> float:
        """Norm of the part of a state that says what it is, after LayerNorm."""
        return math.sqrt(self.config.hidden_size) / math.hypot(1.0, _PLACE_SIZE)

    @property
    def place_norm(self) -> float:
        """Norm of the part that says where it stands."""
        return _PLACE_SIZE * self.what_norm

    def key_scale(self, logit: float, norm: float) -> float:
        """Factor of queries and of keys that gives two equal parts of a state of this norm this attention logit."""
        return math.sqrt(logit * math.sqrt(self.config.head_size)) / norm


@torch.no_grad()
def initialise_cooccurrence(model: BertForPreTraining | BertForMaskedLM, seed: int, counts: TextCounts) -> None:
    """Change the initial values of a network that has those of the released code.

    counts  of a text in the model's vocabulary, pairs up to `DISTANCES` apart
    raises  ConfigurationError for a network too narrow to hold both parts, MismatchedArtefact for other counts
    """
    config = model.config
    num_place = min(config.head_size, config.hidden_size // 4) // 2 * 2
    if num_place < 2:
        raise ConfigurationError(
            f"The co-occurrence initialisation needs heads of at least 2 columns and states of 8; this network has "
            f"states of {config.hidden_size} and heads of {config.head_size}. Choose other sizes, or the "
            f"initialisation 'normal'."
        )
    initialise_output_bias(model.masked_lm, counts.tokens)  # refuses counts of another vocabulary
    num_what = config.hidden_size - num_place
    vectors = word_vectors(counts, num_what, np.random.default_rng(derive_seed(seed, "cooccurrence/vectors")))
    evidence = _usual_evidence(vectors, counts)
    geometry = _Geometry(config, num_what, evidence / (_EVIDENCE_SIZE * math.sqrt(config.hidden_size)))
    frequencies = place_frequencies(num_place // 2, seed, 0)  # [P / 2]
    segment = nn.functional.normalize(torch.randn(num_place, generator=_generator(seed, "segment")), dim=0)  # [P]

    _set_embeddings(model, geometry, vectors, frequencies, segment)
    model.masked_lm.transform.weight.copy_(_TRANSFORM_SIZE * torch.eye(config.hidden_size))
    layers = [layer for layer in model.bert.encoder.layers if isinstance(layer, EncoderLayer)]
    if len(layers) > 1:
        _look_across(layers[0].attention, geometry, segment, seed)
    beside = layers[min(1, len(layers) - 1)]
    for head in range(min(config.num_attention_heads, 2 * DISTANCES)):
        _look_beside(beside.attention, geometry, head, vectors, frequencies)


def _usual_evidence(vectors: WordVectors, counts: TextCounts) -> float:
    """Root mean square of the evidence on a hidden piece, for vectors of norm 1, if its neighbours were independent."""
    shares = counts.tokens / max(int(counts.tokens.sum()), 1)
    total = 0.0
    for share, link in zip(_LINK_SHARES, vectors.links, strict=True):
        whole = link.before @ link.after
        for direction in (whole, whole.T):
            total += share**2 * float(shares @ np.square(vectors.vectors @ direction).sum(axis=1))
    return math.sqrt(total) or 1.0


def _set_embeddings(
    model: BertForPreTraining | BertForMaskedLM,
    geometry: _Geometry,
    vectors: WordVectors,
    frequencies: Tensor,
    segment: Tensor,
) -> None:
    """The three tables. A piece without a vector keeps its ordinary values in the part that says what it is."""
    embeddings, num_what = model.bert.embeddings, geometry.num_what
    tokens = torch.from_numpy(vectors.vectors)
    occurs = tokens.any(dim=1)
    embeddings.tokens.weight[occurs, :num_what] = geometry.token_norm * tokens[occurs]
    embeddings.tokens.weight[:, num_what:] = 0.0
    place_norm = _PLACE_SIZE * geometry.token_norm
    places = place_table(geometry.config.max_position_embeddings, frequencies) / math.sqrt(geometry.num_place)
    embeddings.positions.weight[:, :num_what] = 0.0
    embeddings.positions.weight[:, num_what:] = place_norm * places
    embeddings.segments.weight.zero_()
    for index, sign in enumerate((1.0, -1.0)[: geometry.config.type_vocab_size]):
        embeddings.segments.weight[index, num_what:] = sign * _SEGMENT_SIZE * place_norm * segment


def _look_beside(
    attention: SelfAttention, geometry: _Geometry, head: int, vectors: WordVectors, frequencies: Tensor
) -> None:
    """Let a head look at its offset, and write what the piece there says of the one that looks."""
    num_what, num_place, offset = geometry.num_what, geometry.num_place, head_offset(head)
    link, share = vectors.links[abs(offset) - 1], _LINK_SHARES[abs(offset) - 1]
    before, after = torch.from_numpy(link.before), torch.from_numpy(link.after)  # [K, L], [L, K]
    if offset > 0:  # the piece that is looked at comes second
        before, after = after.T, before.T
    own = slice(head * geometry.config.head_size, (head + 1) * geometry.config.head_size)
    query, key, value = (part[own] for part in attention.qkv.weight.chunk(3))  # [D, H] each
    output = attention.output.weight[:, own]  # [H, D]
    for part in (query, key, value, output):
        part.zero_()
    scale = geometry.key_scale(_PEAK_LOGIT, geometry.place_norm)
    query[:num_place, num_what:] = scale * place_rotation(frequencies * offset)
    key[:num_place, num_what:] = scale * torch.eye(num_place)
    rank = min(before.shape[1], geometry.config.head_size)
    before, after = before[:, :rank] / geometry.what_norm, after[:rank] / geometry.token_norm
    gain = math.sqrt(share * _EVIDENCE_GAIN)
    balance = math.sqrt(float(after.norm() / before.norm())) if before.any() and after.any() else 1.0
    value[:rank, :num_what] = gain * balance * before.T
    output[:num_what, :rank] = gain / balance * after.T


def _look_across(attention: SelfAttention, geometry: _Geometry, segment: Tensor, seed: int) -> None:
    """Let half of the heads look for kindred pieces in the other segment."""
    num_what, head_size = geometry.num_what, geometry.config.head_size
    num_heads = geometry.config.num_attention_heads // 2
    width = head_size - 1  # columns that compare what; the last one compares segments
    directions = torch.linalg.qr(torch.randn(num_what, num_what, generator=_generator(seed, "match")))[0]
    scale = geometry.key_scale(_MATCH_LOGIT, geometry.what_norm * math.sqrt(width / num_what))
    segment_scale = geometry.key_scale(_SEGMENT_LOGIT / 2, _SEGMENT_SIZE * geometry.place_norm)
    query, key, value = attention.qkv.weight.chunk(3)  # [H, H] each
    for head in range(num_heads):
        own = slice(head * head_size, (head + 1) * head_size)
        for part, sign in ((query[own], -1.0), (key[own], 1.0)):
            part.zero_()
            part[:width, :num_what] = scale * directions[head * width : (head + 1) * width]
            part[width, num_what:] = sign * segment_scale * segment
        value[own].normal_(std=_MATCH_STD, generator=_generator(seed, "match/value", head))
        attention.output.weight[:, own].normal_(std=_MATCH_STD, generator=_generator(seed, "match/output", head))


def _generator(seed: int, purpose: str, *counters: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, f"cooccurrence/{purpose}", *counters))

"""Multi-head self-attention, the one place that knows where a sequence ends (BERT 3; Vaswani et al. 2017, 3.2).

Legend: B sequences, T tokens of all sequences together, R >= T rows (`encoder.padded_rows`), S length of the longest
sequence, H hidden size, A heads, D = H / A head size.

A backend is a function `(inputs, num_heads, causal=False) -> attend`: what follows from the borders of the sequences
alone is computed once for a batch. Causal means that a token looks at itself and at those before it, not at those
after (Radford et al. 2018, 3.1). `attend(qkv, dropout_rate)` is then called by every layer:

    qkv           [R, 3 H]  queries, keys and values of all heads side by side, (3, A, D) in each row; rows after the
                            T of the tokens are of no sequence: nobody looks at them, their gradient is 0
    dropout_rate  of the attention probabilities; 0 when not training
    returns       [R, H]    for each token and head the weighted mean of the values of its own sequence, then zeros

All backends mean the same; a test holds them to the same outputs and gradients. This one is the formula; the fast ones
are in files of their own, and `attention_backends` has the list of all.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.dropout import dropout


class Attend(Protocol):
    """Attention over one batch."""

    def __call__(self, qkv: Tensor, dropout_rate: float) -> Tensor:
        """[R, 3 H] to [R, H]."""


class AttentionBackend(Protocol):
    """What makes an `Attend` of a batch."""

    def __call__(self, inputs: FlatBatch, num_heads: int, *, causal: bool = False) -> Attend:
        """Attention over one batch."""


def reference_attention(
    inputs: FlatBatch,
    num_heads: int,
    *,
    causal: bool = False,
    record: Callable[[list[Tensor]], None] | None = None,
) -> Attend:
    """Sequence by sequence and by the formula: softmax(Q K^T / sqrt(D)) V.

    record  called in each layer with the probabilities of every sequence b, [A, S_b, S_b], before dropout
    """

    def attend(qkv: Tensor, dropout_rate: float) -> Tensor:
        contexts, probabilities = [], []
        for begin, end in pairwise(inputs.borders):
            query, key, value = (
                qkv[begin:end].view(end - begin, 3, num_heads, -1).permute(1, 2, 0, 3)
            )  # [A, S_b, D] each
            scores = query @ key.mT / query.shape[-1] ** 0.5
            if causal:
                scores = scores + later_tokens(end - begin, scores)
            probabilities.append(torch.softmax(scores, dim=-1))
            context = dropout(probabilities[-1], dropout_rate) @ value
            contexts.append(context.transpose(0, 1).flatten(1))  # [S_b, H]
        if record is not None:
            record(probabilities)
        return torch.cat([*contexts, contexts[-1].new_zeros(len(qkv) - inputs.num_tokens, contexts[-1].shape[1])])

    return attend


def later_tokens(length: int, like: Tensor) -> Tensor:
    """What is added to the scores of queries (rows) for keys (columns) so that none sees a later one: [S, S]."""
    return like.new_full((length, length), -torch.inf).triu_(1)

"""The input of the encoder: the sum of token, segment and position embeddings (BERT 3, figure 2).

Legend: T tokens, H hidden size, V vocabulary size, P longest sequence, G number of segments.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.core.errors import InputError
from bertsmith.model.configuration import BertConfig
from bertsmith.model.dropout import dropout


class Embeddings(nn.Module):
    """Token ids to states: sum of three tables, LayerNorm, dropout."""

    def __init__(self, config: BertConfig):
        super().__init__()
        self.dropout_rate = config.hidden_dropout_prob
        self.tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.positions = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.segments = nn.Embedding(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, inputs: FlatBatch) -> Tensor:
        """The states that enter the first layer, [T, H].

        raises  InputError for a sequence longer than the table of positions
        """
        if inputs.max_seqlen > self.positions.num_embeddings:
            raise InputError(
                f"A sequence has {inputs.max_seqlen:,} tokens, and the model has positions for "
                f"{self.positions.num_embeddings:,} (max_position_embeddings). Cut the input to shorter sequences."
            )
        tables = (self.tokens.weight, self.segments.weight, self.positions.weight)
        ids = (inputs.token_ids, inputs.segment_ids, inputs.positions)
        states: Tensor = _SumOfEmbeddings.apply(*tables, *ids)  # type: ignore[no-untyped-call]
        return dropout(self.norm(states), self.dropout_rate if self.training else 0.0)


class _SumOfEmbeddings(torch.autograd.Function):
    """`tokens[token_ids] + segments[segment_ids] + positions[position_ids]`, with gradients summed in float32.

    A frequent piece, a position or a segment receives hundreds to thousands of gradient rows. torch's own backward adds
    them one by one in the weights' dtype, and in bfloat16 such a sum stops growing at 256 times the size of a row.
    """

    @staticmethod
    def forward(
        ctx: Any, tokens: Tensor, segments: Tensor, positions: Tensor,  # noqa: ANN401
        token_ids: Tensor, segment_ids: Tensor, position_ids: Tensor,
    ) -> Tensor:  # fmt: skip
        ctx.save_for_backward(token_ids, segment_ids, position_ids)
        ctx.heights = len(tokens), len(segments), len(positions)
        states = nn.functional.embedding(token_ids, tokens)
        states += nn.functional.embedding(segment_ids, segments)
        return states.add_(nn.functional.embedding(position_ids, positions))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        exact = gradient.float()
        totals = []
        for ids, height in zip(ctx.saved_tensors, ctx.heights, strict=True):
            present, places = ids.unique(return_inverse=True)  # most pieces of the vocabulary are not in the batch
            sums = torch.ops.aten.embedding_dense_backward(exact, places, len(present), -1, False)
            total = gradient.new_zeros(height, gradient.shape[1])
            totals.append(total.index_copy_(0, present, sums.to(gradient.dtype)))
        return *totals, None, None, None

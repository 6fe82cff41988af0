"""The input of the encoder: the sum of token, segment and position embeddings (BERT 3, figure 2).

Legend: T tokens, H hidden size, V vocabulary size, P longest sequence, G number of segments.
"""

from collections.abc import Sequence
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
        self.tokens = embedding_table(config.vocab_size, config.hidden_size)
        self.positions = embedding_table(config.max_position_embeddings, config.hidden_size)
        self.segments = embedding_table(config.type_vocab_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, inputs: FlatBatch) -> Tensor:
        """The states that enter the first layer, [T, H].

        raises  InputError for a sequence longer than the table of positions
        """
        require_positions(inputs, self.positions.num_embeddings)
        tables = (self.tokens.weight, self.segments.weight, self.positions.weight)
        states = sum_of_embeddings(tables, (inputs.token_ids, inputs.segment_ids, inputs.positions))
        return dropout(self.norm(states), self.dropout_rate if self.training else 0.0)


def embedding_table(num_rows: int, width: int) -> nn.Embedding:
    """A table without initial values: they come from `initialise` or a folder, which would only write over torch's.

    Torch's cost a second for a model that has no memory yet (a folder's): they would import the whole of its compiler.
    """
    return nn.Embedding(num_rows, width, _weight=torch.zeros(num_rows, width))


def require_positions(inputs: FlatBatch, num_positions: int) -> None:
    """Raise InputError for a sequence longer than the table of positions."""
    if inputs.max_seqlen > num_positions:
        raise InputError(
            f"A sequence has {inputs.max_seqlen:,} tokens, and the model has positions for {num_positions:,} "
            f"(max_position_embeddings). Cut the input to shorter sequences."
        )


def sum_of_embeddings(tables: Sequence[Tensor], ids: Sequence[Tensor]) -> Tensor:
    """The sum of a row of each table for each token: tables [.., H] and as many ids [T] to [T, H]."""
    states: Tensor = _SumOfEmbeddings.apply(*tables, *ids)  # type: ignore[no-untyped-call]
    return states


class _SumOfEmbeddings(torch.autograd.Function):
    """`tables[0][ids[0]] + tables[1][ids[1]] + ...`, with gradients summed in float32.

    A frequent piece, a position or a segment receives hundreds to thousands of gradient rows. torch's own backward adds
    them one by one in the weights' dtype, and in bfloat16 such a sum stops growing at 256 times the size of a row.
    """

    @staticmethod
    def forward(ctx: Any, *tables_and_ids: Tensor) -> Tensor:  # noqa: ANN401
        half = len(tables_and_ids) // 2
        tables, ids = tables_and_ids[:half], tables_and_ids[half:]
        ctx.save_for_backward(*ids)
        ctx.heights = [len(table) for table in tables]
        states = nn.functional.embedding(ids[0], tables[0])
        for table, its_ids in zip(tables[1:], ids[1:], strict=True):
            states += nn.functional.embedding(its_ids, table)
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        exact = gradient.float()
        totals = []
        for ids, height in zip(ctx.saved_tensors, ctx.heights, strict=True):
            if gradient.device.type != "cpu":  # how many pieces are present would have to be waited for
                total = torch.ops.aten.embedding_dense_backward(exact, ids, height, -1, False)
                totals.append(total.to(gradient.dtype))
                continue
            present, places = ids.unique(return_inverse=True)  # most pieces of the vocabulary are not in the batch
            sums = torch.ops.aten.embedding_dense_backward(exact, places, len(present), -1, False)
            total = gradient.new_zeros(height, gradient.shape[1])
            totals.append(total.index_copy_(0, present, sums.to(gradient.dtype)))
        return *totals, *(None for _ in totals)

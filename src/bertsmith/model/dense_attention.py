"""Attention in a rectangle: batched products of matrices, for CPUs and wherever no kernel takes flat sequences.

Legend: B sequences, T tokens of all sequences together, R >= T rows, S length of the longest sequence, H hidden size,
A heads, D = H / A head size, F places of the rectangle that no token fills.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import Attend, later_tokens
from bertsmith.model.dropout import keep_mask


def dense_attention(inputs: FlatBatch, num_heads: int, *, causal: bool = False) -> Attend:
    """All sequences in one rectangle [B A, S, D]: batched products, and a mask over keys that are not to be seen."""
    rectangle = _Rectangle.around(inputs, num_heads, causal=causal)

    def attend(qkv: Tensor, dropout_rate: float) -> Tensor:
        if qkv.dtype != torch.float32 and not (dropout_rate or torch.is_grad_enabled()):
            return _context_without_gradient(qkv, rectangle)
        context: Tensor = _DenseAttention.apply(qkv, rectangle, dropout_rate)  # type: ignore[no-untyped-call]
        return context

    return attend


@dataclass(frozen=True, eq=False)
class _Rectangle:
    """Where each row of the flat layout stands in the rectangle. A row is one head of one token, D wide.

    Rows are gathered in both directions, because a gather is several times faster than a scatter. Places that no token
    fills are set to zero, so that nothing of another sequence, be it NaN, can reach a token through them.

    shape            (B A, S)
    qkv_places       [T 3 A]      place (3, B, A, S) of each row (T, 3, A)
    qkv_sources      [3 B A S]    the row at each place
    context_places   [T A]        place (B, A, S) of each row (T, A)
    context_sources  [B A S]      the row at each place
    filling          [F]          places (B, A, S) that no token fills
    score_bias       -inf for keys that are not to be seen, else 0; None if all are. [B A, 1, S] hides filling;
                     [1, S, S] later tokens, and with them all filling, which stands at the end
    """

    num_heads: int
    shape: tuple[int, int]
    qkv_places: Tensor
    qkv_sources: Tensor
    context_places: Tensor
    context_sources: Tensor
    filling: Tensor
    score_bias: Tensor | None

    @classmethod
    def around(cls, inputs: FlatBatch, num_heads: int, *, causal: bool) -> "_Rectangle":
        """The rectangle around the sequences of a batch."""
        batch, length, device = inputs.num_sequences, inputs.max_seqlen, inputs.cu_seqlens.device
        num_places = batch * num_heads * length
        lengths = inputs.cu_seqlens.diff()
        is_token = torch.arange(length, device=device) < lengths[:, None]  # [B, S]
        places = torch.arange(num_places, device=device).view(batch, num_heads, length).transpose(1, 2)  # [B, S, A]
        context_places = places[is_token]  # [T, A]
        qkv_places = context_places[:, None] + torch.arange(3, device=device)[:, None] * num_places  # [T, 3, A]
        score_bias = None
        if causal:
            score_bias = later_tokens(length, torch.empty(0, device=device))[None]
        elif inputs.num_tokens < batch * length:
            score_bias = torch.zeros(batch, length, device=device).masked_fill_(~is_token, -torch.inf)
            score_bias = score_bias.repeat_interleave(num_heads, dim=0)[:, None]
        return cls(
            num_heads=num_heads,
            shape=(batch * num_heads, length),
            qkv_places=qkv_places.flatten(),
            qkv_sources=_inverse(qkv_places, 3 * num_places),
            context_places=context_places.flatten(),
            context_sources=_inverse(context_places, num_places),
            filling=places[~is_token].flatten(),
            score_bias=score_bias,
        )

    def enclose_qkv(self, qkv: Tensor) -> Tensor:
        """[R, 3 H] to [3, B A, S, D], filling zero."""
        rows = _heads(qkv, 3 * self.num_heads).index_select(0, self.qkv_sources)
        parts = rows.view(3, len(self.context_sources), -1).index_fill_(1, self.filling, 0)
        return parts.view(3, *self.shape, -1)

    def enclose_context(self, context: Tensor) -> Tensor:
        """[R, H] to [B A, S, D], filling zero."""
        rows = _heads(context, self.num_heads).index_select(0, self.context_sources)
        return rows.index_fill_(0, self.filling, 0).view(*self.shape, -1)

    def release_qkv(self, parts: Tensor, num_rows: int) -> Tensor:
        """[3, B A, S, D] to [R, 3 H], zero after the T of the tokens."""
        return _gather(parts, self.qkv_places, num_rows, 3 * self.num_heads)

    def release_context(self, context: Tensor, num_rows: int) -> Tensor:
        """[B A, S, D] to [R, H], zero after the T of the tokens."""
        return _gather(context, self.context_places, num_rows, self.num_heads)


def _heads(states: Tensor, num_heads: int) -> Tensor:
    """Each head as a row of its own: [R, A D] to [R A, D]."""
    return states.reshape(len(states) * num_heads, -1)


def _gather(rectangle: Tensor, places: Tensor, num_rows: int, num_heads: int) -> Tensor:
    """The rows that stand at `places` [T A] of a rectangle [.., S, D], then zeros: [R, A D]."""
    head_size = rectangle.shape[-1]
    rows = rectangle.new_empty(num_rows, num_heads * head_size)
    heads = _heads(rows, num_heads)
    torch.index_select(rectangle.reshape(-1, head_size), 0, places, out=heads[: len(places)])
    heads[len(places) :].zero_()
    return rows


def _inverse(places: Tensor, num_places: int) -> Tensor:
    """For each place the row that stands there; row 0 where none does."""
    sources = torch.zeros(num_places, dtype=torch.int64, device=places.device)
    sources[places.flatten()] = torch.arange(places.numel(), device=places.device)
    return sources


class _DenseAttention(torch.autograd.Function):
    """The products, with the backward pass written out: no copy of a gradient that need not be, scales in the products.

    P are the probabilities, K the kept ones (0 or 1) of dropout, r = 1 / (1 - rate), c = 1 / sqrt(D):
    P = softmax(c Q K^T + bias), context = r (P * K) V.
    """

    @staticmethod
    def forward(ctx: Any, qkv: Tensor, rectangle: _Rectangle, dropout_rate: float) -> Tensor:  # noqa: ANN401
        query, key, value = parts = rectangle.enclose_qkv(qkv)
        scale = query.shape[-1] ** -0.5
        if rectangle.score_bias is None:
            scores = _product(query, key.mT, scale)
        else:
            scores = torch.baddbmm(rectangle.score_bias.to(query.dtype), query, key.mT, alpha=scale)
        probabilities = torch.softmax(scores, dim=-1)
        keep = keep_mask(probabilities, dropout_rate) if dropout_rate else None
        kept = probabilities if keep is None else probabilities * keep
        ctx.rectangle, ctx.scale, ctx.dropout_scale = rectangle, scale, 1.0 / (1.0 - dropout_rate)
        ctx.save_for_backward(parts, probabilities, keep)
        return rectangle.release_context(_product(kept, value, ctx.dropout_scale), len(qkv))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, context_gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        parts, probabilities, keep = ctx.saved_tensors
        query, key, value = parts
        gradient = ctx.rectangle.enclose_context(context_gradient)
        parts_gradient = torch.empty_like(parts)
        kept = probabilities if keep is None else probabilities * keep
        _product(kept.mT, gradient, ctx.dropout_scale, out=parts_gradient[2])
        kept_gradient = _product(gradient, value.mT, ctx.dropout_scale)
        if keep is not None:
            kept_gradient.mul_(keep)
        scores_gradient = torch.ops.aten._softmax_backward_data(kept_gradient, probabilities, -1, probabilities.dtype)
        _product(scores_gradient, key, ctx.scale, out=parts_gradient[0])
        _product(scores_gradient.mT, query, ctx.scale, out=parts_gradient[1])
        return ctx.rectangle.release_qkv(parts_gradient, len(context_gradient)), None, None


def _context_without_gradient(qkv: Tensor, rectangle: _Rectangle) -> Tensor:
    """What `_DenseAttention` gives, by torch's fused kernel: not for float32, where its exponentials are not exact.

    Nor with a gradient: its backward pass is ten times as slow as ours.
    """
    (rows, length), heads = rectangle.shape, rectangle.num_heads
    query, key, value = rectangle.enclose_qkv(qkv).view(3, -1, heads, length, qkv.shape[1] // (3 * heads))
    bias = rectangle.score_bias
    if bias is not None:
        bias = bias.to(qkv.dtype).expand(rows, -1, -1).view(-1, heads, bias.shape[1], length)  # [B, A, 1 or S, S]
    context = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)
    return rectangle.release_context(context, len(qkv))


def _product(left: Tensor, right: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """`scale * left @ right` for batches of matrices, scaled before it is rounded."""
    if out is None:
        out = left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    return torch.baddbmm(out, left, right, beta=0, alpha=scale, out=out)

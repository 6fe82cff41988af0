"""Attention in rectangles: batched products of matrices, for CPUs and wherever no kernel takes flat sequences.

Without a gradient, bfloat16 goes to torch's fused kernel, in batches of sequences of one length.

Legend: B sequences, T tokens of all sequences together, R >= T rows, H hidden size, A heads, D = H / A head size. Of
rectangle g: B_g sequences, S_g length of each, filled up. P places of all rectangles, of which F hold no token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby, pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.attention import Attend, later_tokens
from bertsmith.model.dropout import keep_mask

# Where one rectangle around all sequences would be mostly filling, each takes 8 sequences of nearly one length, rounded
# up to a multiple of 8: of few sizes, for oneDNN compiles products of matrices of a new size (`encoder.padded_rows`).
_SEQUENCES, _LENGTHS = 8, 8
_WORTH_IT = 0.75  # of the work of one rectangle: below that several are faster, for all that they are more calls


def dense_attention(inputs: FlatBatch, num_heads: int, *, causal: bool = False) -> Attend:
    """Sequences in rectangles [B_g A, S_g, D]: batched products, and a mask over keys that are not to be seen.

    Without a gradient, and not in float32, `_context_without_gradient`.
    """

    @cache
    def rectangles() -> _Rectangles:  # the same for all layers
        return _Rectangles.around(inputs, num_heads, causal=causal)

    def attend(qkv: Tensor, dropout_rate: float) -> Tensor:
        if qkv.dtype != torch.float32 and not (dropout_rate or torch.is_grad_enabled()):
            return _context_without_gradient(qkv, inputs, num_heads, causal=causal)
        context: Tensor = _DenseAttention.apply(qkv, rectangles(), dropout_rate)  # type: ignore[no-untyped-call]
        return context

    return attend


@dataclass(frozen=True, eq=False)
class _Rectangle:
    """Some sequences of nearly one length, one after the other in the places of all.

    places       which of them: B_g A S_g
    shape        (B_g A, S_g)
    score_bias   -inf for keys that are not to be seen, else 0; None if all are. [B_g A, 1, S_g] hides filling;
                 [1, S_g, S_g] later tokens, and with them all filling, which stands at the end
    """

    places: slice
    shape: tuple[int, int]
    score_bias: Tensor | None

    def of(self, states: Tensor) -> Tensor:
        """Its part of states at all places, as matrices: [.., P, D] to [.., B_g A, S_g, D]."""
        part = states[..., self.places, :]
        return part.view(*part.shape[:-2], *self.shape, part.shape[-1])


@dataclass(frozen=True, eq=False)
class _Rectangles:
    """Where each row of the flat layout stands in the rectangles. A row is one head of one token, D wide.

    Rows are gathered in both directions, because a gather is several times faster than a scatter. Places that no token
    fills are set to zero, so that nothing of another sequence, be it NaN, can reach a token through them.

    qkv_places       [T 3 A]  place (3, P) of each row (T, 3, A)
    qkv_sources      [3 P]    the row at each place
    context_places   [T A]    place (P) of each row (T, A)
    context_sources  [P]      the row at each place
    filling          [F]      places (P) that no token fills
    """

    num_heads: int
    parts: list[_Rectangle]
    qkv_places: Tensor
    qkv_sources: Tensor
    context_places: Tensor
    context_sources: Tensor
    filling: Tensor

    @classmethod
    def around(cls, inputs: FlatBatch, num_heads: int, *, causal: bool) -> "_Rectangles":
        """The rectangles around the sequences of a batch."""
        device = inputs.cu_seqlens.device
        lengths = [end - begin for begin, end in pairwise(inputs.borders)]
        parts: list[_Rectangle] = []
        first_places, head_steps = [0] * len(lengths), [0] * len(lengths)  # of each sequence: [B]
        num_places = 0
        for sequences, length in _groups(lengths):
            for number, sequence in enumerate(sequences):
                first_places[sequence] = num_places + number * num_heads * length
                head_steps[sequence] = length
            start, num_places = num_places, num_places + len(sequences) * num_heads * length
            bias = _score_bias([lengths[one] for one in sequences], length, num_heads, device, causal=causal)
            parts.append(_Rectangle(slice(start, num_places), (len(sequences) * num_heads, length), bias))
        offsets = [place - begin for place, begin in zip(first_places, inputs.borders, strict=False)]
        offsets_of_tokens, steps_of_tokens = (
            torch.tensor(each, device=device).repeat_interleave(inputs.cu_seqlens.diff())  # [T]
            for each in (offsets, head_steps)
        )
        firsts = torch.arange(inputs.num_tokens, device=device) + offsets_of_tokens  # the place of each first head
        heads = torch.arange(num_heads, device=device)
        context_places = firsts[:, None] + steps_of_tokens[:, None] * heads  # [T, A]
        qkv_places = context_places[:, None] + torch.arange(3, device=device)[:, None] * num_places  # [T, 3, A]
        is_filling = torch.ones(num_places, dtype=torch.bool, device=device).index_fill_(0, context_places.flatten(), 0)
        return cls(
            num_heads=num_heads,
            parts=parts,
            qkv_places=qkv_places.flatten(),
            qkv_sources=_inverse(qkv_places, 3 * num_places),
            context_places=context_places.flatten(),
            context_sources=_inverse(context_places, num_places),
            filling=is_filling.nonzero().squeeze(1),
        )

    def enclose_qkv(self, qkv: Tensor) -> Tensor:
        """[R, 3 H] to [3, P, D], filling zero."""
        rows = _heads(qkv, 3 * self.num_heads).index_select(0, self.qkv_sources)
        return rows.view(3, len(self.context_sources), -1).index_fill_(1, self.filling, 0)

    def enclose_context(self, context: Tensor) -> Tensor:
        """[R, H] to [P, D], filling zero."""
        rows = _heads(context, self.num_heads).index_select(0, self.context_sources)
        return rows.index_fill_(0, self.filling, 0)

    def release_qkv(self, parts: Tensor, num_rows: int) -> Tensor:
        """[3, P, D] to [R, 3 H], zero after the T of the tokens."""
        return _gather(parts, self.qkv_places, num_rows, 3 * self.num_heads)

    def release_context(self, context: Tensor, num_rows: int) -> Tensor:
        """[P, D] to [R, H], zero after the T of the tokens."""
        return _gather(context, self.context_places, num_rows, self.num_heads)

    def scores(self, like: Tensor) -> Tensor:
        """Memory for a number for each query and key of all rectangles, end to end."""
        return like.new_empty(sum(rows * length * length for rows, length in (part.shape for part in self.parts)))

    def each(self, scores: Tensor) -> Iterator[tuple[_Rectangle, Tensor]]:
        """Every rectangle with its part of such numbers, [B_g A, S_g, S_g]."""
        start = 0
        for part in self.parts:
            rows, length = part.shape
            yield part, scores[start : start + rows * length * length].view(rows, length, length)
            start += rows * length * length


def _groups(lengths: Sequence[int]) -> list[tuple[list[int], int]]:
    """Which sequences share a rectangle, and how long it is: all as they come, or a few of nearly one length."""
    together = (list(range(len(lengths))), max(lengths))
    by_length = sorted(together[0], key=lengths.__getitem__)
    several = []
    for start in range(0, len(by_length), _SEQUENCES):
        some = by_length[start : start + _SEQUENCES]
        several.append((some, -(-lengths[some[-1]] // _LENGTHS) * _LENGTHS))
    work = sum(len(sequences) * length**2 for sequences, length in several)
    return several if work < _WORTH_IT * len(lengths) * together[1] ** 2 else [together]


def _score_bias(
    lengths: Sequence[int], length: int, num_heads: int, device: torch.device, *, causal: bool
) -> Tensor | None:
    """That of a rectangle around sequences of these lengths."""
    if causal:
        return later_tokens(length, torch.empty(0, device=device))[None]
    if min(lengths) == length:
        return None
    is_token = torch.arange(length, device=device) < torch.tensor(lengths, device=device)[:, None]  # [B_g, S_g]
    bias = torch.zeros(is_token.shape, device=device).masked_fill_(~is_token, -torch.inf)
    return bias.repeat_interleave(num_heads, dim=0)[:, None]


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
    def forward(ctx: Any, qkv: Tensor, rectangles: _Rectangles, dropout_rate: float) -> Tensor:  # noqa: ANN401
        states = rectangles.enclose_qkv(qkv)  # [3, P, D]
        scale = states.shape[-1] ** -0.5
        probabilities = rectangles.scores(states)
        for part, its_probabilities in rectangles.each(probabilities):
            query, key, _ = part.of(states)
            if part.score_bias is None:
                scores = _product(query, key.mT, scale)
            else:
                scores = torch.baddbmm(part.score_bias.to(query.dtype), query, key.mT, alpha=scale)
            torch.softmax(scores, dim=-1, out=its_probabilities)
        keep = keep_mask(probabilities, dropout_rate) if dropout_rate else None
        ctx.rectangles, ctx.scale, ctx.dropout_scale = rectangles, scale, 1.0 / (1.0 - dropout_rate)
        ctx.save_for_backward(states, probabilities, keep)
        context = torch.empty_like(states[0])
        for part, kept in rectangles.each(probabilities if keep is None else probabilities * keep):
            _product(kept, part.of(states[2]), ctx.dropout_scale, out=part.of(context))
        return rectangles.release_context(context, len(qkv))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, context_gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        states, probabilities, keep = ctx.saved_tensors
        rectangles = ctx.rectangles
        gradient = rectangles.enclose_context(context_gradient)  # [P, D]
        states_gradient, kept_gradient = torch.empty_like(states), torch.empty_like(probabilities)
        kept = probabilities if keep is None else probabilities * keep
        for (part, its_kept), (_, its_gradient) in zip(
            rectangles.each(kept), rectangles.each(kept_gradient), strict=True
        ):
            _product(its_kept.mT, part.of(gradient), ctx.dropout_scale, out=part.of(states_gradient[2]))
            _product(part.of(gradient), part.of(states[2]).mT, ctx.dropout_scale, out=its_gradient)
        if keep is not None:
            kept_gradient.mul_(keep)
        for (part, its_probabilities), (_, its_gradient) in zip(
            rectangles.each(probabilities), rectangles.each(kept_gradient), strict=True
        ):
            dtype = its_probabilities.dtype
            scores_gradient = torch.ops.aten._softmax_backward_data(its_gradient, its_probabilities, -1, dtype)
            _product(scores_gradient, part.of(states[1]), ctx.scale, out=part.of(states_gradient[0]))
            _product(scores_gradient.mT, part.of(states[0]), ctx.scale, out=part.of(states_gradient[1]))
        return rectangles.release_qkv(states_gradient, len(context_gradient)), None, None


def _context_without_gradient(qkv: Tensor, inputs: FlatBatch, num_heads: int, *, causal: bool) -> Tensor:
    """What `_DenseAttention` gives, by torch's fused kernel: not for float32, where its exponentials are not exact.

    Nor with a gradient: its backward pass is ten times as slow as ours. The kernel reads heads where they stand, so
    sequences of one length that follow each other are a batch without a copy, and nothing is filled.
    """
    context = qkv.new_empty(len(qkv), qkv.shape[1] // 3)
    begin = 0
    for length, group in groupby(end - start for start, end in pairwise(inputs.borders)):
        end = begin + length * sum(1 for _ in group)
        query, key, value = (
            qkv[begin:end].view(-1, length, 3, num_heads, context.shape[1] // num_heads).permute(2, 0, 3, 1, 4)
        )  # [B_g, A, S_g, D] each
        attended = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal)
        context[begin:end] = attended.transpose(1, 2).reshape(end - begin, -1)
        begin = end
    context[begin:].zero_()
    return context


def _product(left: Tensor, right: Tensor, scale: float, out: Tensor | None = None) -> Tensor:
    """`scale * left @ right` for batches of matrices, scaled before it is rounded."""
    if out is None:
        out = left.new_empty(left.shape[0], left.shape[1], right.shape[2])
    return torch.baddbmm(out, left, right, beta=0, alpha=scale, out=out)

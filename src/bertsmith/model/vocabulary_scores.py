"""Scores over the vocabulary, as what they are made of: whoever trains needs their loss, and never all of them at once.

Logits are the widest thing in a training step of a small model. Here they are made once, and the gradient takes their
place in memory, a few rows at a time; the rows are filled up to a number that comes again (`encoder.padded_rows`).

Legend: N tokens that are scored, R >= N rows, H hidden size, V vocabulary size.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bertsmith.model.losses import correctness, correctness_of, cross_entropies, rows_at_a_time


@dataclass(frozen=True, eq=False)
class VocabularyScores:
    """Scores of N tokens over the vocabulary: `states @ matrix.T + bias`.

    states      [R, H]  the rows after N are filling
    matrix      [V, H]
    bias        [V]     None: zeros
    num_tokens  N
    """

    states: Tensor
    matrix: Tensor
    bias: Tensor | None
    num_tokens: int

    @property
    def logits(self) -> Tensor:
        """The scores themselves, [N, V]."""
        return nn.functional.linear(self.states[: self.num_tokens], self.matrix, self.bias)

    def judge(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """How well the labels are told: the sum of the losses, and whether each is right (`losses.correctness`).

        labels   [N]  int64
        returns  [], [N] float32; only the loss has a gradient
        """
        judged: tuple[Tensor, Tensor] = _JudgedScores.apply(self.states, self.matrix, self.bias, labels)  # type: ignore[no-untyped-call]
        return judged

    def guesses(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each label, and whether it is right, without a gradient: [N] to [N], [N] float32."""
        logits = self.logits
        return cross_entropies(logits, labels), correctness(logits, labels)


class TokenScores(Protocol):
    """What a language model says of N tokens."""

    def judge(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of the losses, which has a gradient, and whether each label is right: [N] to [], [N]."""

    def guesses(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each label, and whether it is right: [N] to [N], [N]."""


class _JudgedScores(torch.autograd.Function):
    """Cross-entropy of a linear layer's outputs (`losses.cross_entropy_sum`), with the backward pass written out."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        states: Tensor,
        matrix: Tensor,
        bias: Tensor | None,
        labels: Tensor,
    ) -> tuple[Tensor, Tensor]:
        scores = _rows_in_whole_cache_lines(states, len(matrix))  # [R, V]
        torch.mm(states, matrix.mT, out=scores)  # the bias is added where a part is made float32, which costs no pass
        total, correct = (scores.new_zeros(shape, dtype=torch.float32) for shape in ((), (len(labels),)))
        float_bias = None if bias is None else bias.float()
        parts = rows_at_a_time(scores, len(labels))
        exact, softmax = scores.new_empty(2, parts[0].stop if parts else 0, scores.shape[1], dtype=torch.float32)
        for part in parts:
            label = labels[part, None]
            rows = exact[: len(label)].copy_(scores[part])
            if float_bias is not None:
                rows += float_bias
            largest, own = rows.amax(dim=1), rows.gather(1, label).squeeze(1)
            correct[part] = correctness_of(rows, own, largest)
            probabilities = torch.softmax(rows, dim=1, out=softmax[: len(label)])
            total += (largest - probabilities.amax(dim=1).log_() - own).sum()  # as in `losses`
            scores[part] = probabilities.scatter_add_(1, label, rows.new_full(label.shape, -1.0))
        scores[len(labels) :] = 0.0
        ctx.save_for_backward(states, matrix, scores)
        ctx.has_bias = bias is not None
        ctx.mark_non_differentiable(correct)
        return total, correct

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        states, matrix, gradient = ctx.saved_tensors
        states_gradient = _scaled_product(gradient, matrix, loss_gradient)
        matrix_gradient = _scaled_product(gradient.mT, states, loss_gradient)
        bias_gradient = None
        if ctx.has_bias:
            bias_gradient = gradient.sum(dim=0).mul_(loss_gradient[None])  # summed in float32, whatever the dtype
        return states_gradient, matrix_gradient, bias_gradient, None


def _scaled_product(left: Tensor, right: Tensor, scale: Tensor) -> Tensor:
    """`scale * left @ right`, in one pass where the number need not be waited for, as it would on a GPU."""
    if left.device.type == "cpu":
        return torch.addmm(left.new_empty(len(left), right.shape[1]), left, right, beta=0, alpha=scale.item())
    return (left @ right).mul_(scale[None])  # a tensor of no dimension would be rounded to the dtype of the product


def _rows_in_whole_cache_lines(like: Tensor, width: int) -> Tensor:
    """A matrix with a row for each of `like`'s; each begins at 64 bytes, for which oneDNN is a third faster.

    What stands between the rows is zero, for oneDNN multiplies it, by zero: a NaN there would be everywhere.
    """
    line = 64 // like.element_size()
    rows = like.new_empty(len(like), -(-width // line) * line)
    rows[:, width:] = 0.0
    return rows[:, :width]

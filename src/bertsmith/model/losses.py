"""Losses as sums over labels, in float32 whatever the dtype of the logits (BERT A.2: mean masked-LM + mean NSP).

Sums, because a batch may be computed in parts: whoever knows the whole batch divides by its number of labels.
Legend: N labels, C classes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_CHUNK_ELEMENTS = 2**20  # of float32 logits at a time: 4 MiB, which stays in the cache


def cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum over all labels of -log softmax(logits)[label].

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  []      float32
    """
    loss: Tensor = _CrossEntropySum.apply(logits, labels)  # type: ignore[no-untyped-call]
    return loss


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels have the largest logit of their row; one that shares it with k others counts 1 / (1 + k).

    In bfloat16 such ties are common. Looks for them only where the label's logit is the largest: an argmax over a
    vocabulary costs a CPU a twelfth of a training step, this a hundredth.

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  []      float32
    """
    logits = logits.detach()
    largest = logits.amax(dim=1, keepdim=True)
    hits = (logits.gather(1, labels[:, None]) == largest).squeeze(1).nonzero().squeeze(1)
    rows = logits[hits]
    ties = torch.eq(rows, largest[hits], out=torch.empty_like(rows))  # 0 or 1; several times faster than as booleans
    return ties.sum(dim=1, dtype=torch.float32).reciprocal().sum()


def squared_error_sum(predictions: Tensor, targets: Tensor) -> Tensor:
    """The sum of squared differences: [N] and [N] to [], float32."""
    return nn.functional.mse_loss(predictions.float(), targets.float(), reduction="sum")


class _CrossEntropySum(torch.autograd.Function):
    """A few rows at a time, so that no float32 copy of all logits is ever made; the gradient along with the loss.

    With p = softmax(logits), the loss of a row is log(sum(exp(logits))) - logit[label], where the first term is
    max(logits) - log(max(p)), and its gradient is p - one_hot(label).
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:  # noqa: ANN401
        size = max(1, _CHUNK_ELEMENTS // logits.shape[1])
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        losses = logits.new_empty(len(labels), dtype=torch.float32)
        for start in range(0, len(labels), size):
            part = slice(start, start + size)
            rows, label = logits[part], labels[part, None]
            probabilities = torch.softmax(rows.float(), dim=1)
            normaliser = rows.amax(dim=1) - probabilities.amax(dim=1).log_()
            losses[part] = normaliser - rows.gather(1, label).squeeze(1)
            if gradient is not None:
                gradient[part] = probabilities.scatter_add_(1, label, probabilities.new_full(label.shape, -1.0))
        ctx.gradient = gradient
        return losses.sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        gradient, ctx.gradient = ctx.gradient, None  # changed in place, so good for one backward pass
        return gradient.mul_(loss_gradient), None

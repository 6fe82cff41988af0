"""Losses as sums over labels, in float32 whatever the dtype of the logits (BERT A.2: mean masked-LM + mean NSP).

Sums, because a batch may be computed in parts: whoever knows the whole batch divides by its number of labels. An
evaluation asks for the same figures of each label.
Legend: N labels, C classes.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# float32 logits at a time: 4 MiB stay in the cache of a CPU; a GPU wants few large operations
_CHUNK_ELEMENTS, _CHUNK_ELEMENTS_ON_A_GPU = 2**20, 2**26


def cross_entropy_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum over all labels of -log softmax(logits)[label].

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  []      float32
    """
    loss: Tensor = _CrossEntropySum.apply(logits, labels)  # type: ignore[no-untyped-call]
    return loss


def cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    """-log softmax(logits)[label] of each label, without a gradient.

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  [N]     float32
    """
    return _losses_of_rows(logits.detach(), labels, gradient=None)


def count_correct(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels have the largest logit of their row; one that shares it with k others counts 1 / (1 + k).

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  []      float32
    """
    return correctness(logits, labels).sum()


def correctness(logits: Tensor, labels: Tensor) -> Tensor:
    """What each label counts in `count_correct`: 1, 0, or its share of the largest logit.

    logits   [N, C]  any floating dtype
    labels   [N]     int64
    returns  [N]     float32
    """
    logits = logits.detach()
    return correctness_of(logits, logits.gather(1, labels[:, None]).squeeze(1), logits.amax(dim=1))


def correctness_of(logits: Tensor, own: Tensor, largest: Tensor) -> Tensor:
    """`correctness` where the largest logits are known already, [N] float32.

    In bfloat16 such ties are common. A CPU looks for them only where the label's logit is the largest: an argmax over a
    vocabulary costs it a twelfth of a training step, this a hundredth. A GPU would have to be waited for to know where.

    logits   [N, C]
    own      [N]     those of the labels
    largest  [N]     of each row
    """
    if logits.device.type != "cpu":
        return correctness_of_all(logits, own, largest)
    hits = (own == largest).nonzero().squeeze(1)
    rows = logits[hits]
    ties = torch.eq(rows, largest[hits, None], out=torch.empty_like(rows))  # 0 or 1; several times faster than booleans
    shares = ties.sum(dim=1, dtype=torch.float32).reciprocal()
    return shares.new_zeros(len(logits)).index_copy_(0, hits, shares)


def correctness_of_all(logits: Tensor, own: Tensor, largest: Tensor) -> Tensor:
    """`correctness_of` by counting the ties of every row."""
    ties = (logits == largest[:, None]).sum(dim=1, dtype=torch.float32)
    return torch.where(own == largest, ties.reciprocal(), 0.0)


def squared_error_sum(predictions: Tensor, targets: Tensor) -> Tensor:
    """The sum of squared differences: [N] and [N] to [], float32."""
    return nn.functional.mse_loss(predictions.float(), targets.float(), reduction="sum")


def rows_at_a_time(logits: Tensor, num_rows: int) -> list[slice]:
    """The first rows of logits [.., C] in parts of which float32 copies can be made."""
    elements = _CHUNK_ELEMENTS if logits.device.type == "cpu" else _CHUNK_ELEMENTS_ON_A_GPU
    size = max(1, elements // logits.shape[1])
    return [slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size)]


def _losses_of_rows(logits: Tensor, labels: Tensor, gradient: Tensor | None) -> Tensor:
    """The loss of each row, [N] float32; the gradient of their sum is written to `gradient` [N, C] along with it.

    A few rows at a time, so that no float32 copy of all logits is ever made. With p = softmax(logits), the loss of a
    row is log(sum(exp(logits))) - logit[label], where the first term is max(logits) - log(max(p)), and its gradient is
    p - one_hot(label).
    """
    losses = logits.new_empty(len(labels), dtype=torch.float32)
    for part in rows_at_a_time(logits, len(labels)):
        rows, label = logits[part], labels[part, None]
        probabilities = torch.softmax(rows.float(), dim=1)
        normaliser = rows.amax(dim=1) - probabilities.amax(dim=1).log_()
        losses[part] = normaliser - rows.gather(1, label).squeeze(1)
        if gradient is not None:
            gradient[part] = probabilities.scatter_add_(1, label, probabilities.new_full(label.shape, -1.0))
    return losses


class _CrossEntropySum(torch.autograd.Function):
    """The sum, with its gradient computed on the way forward."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:  # noqa: ANN401
        ctx.gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        return _losses_of_rows(logits, labels, ctx.gradient).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        gradient, ctx.gradient = ctx.gradient, None  # changed in place, so good for one backward pass
        return gradient.mul_(loss_gradient[None]), None

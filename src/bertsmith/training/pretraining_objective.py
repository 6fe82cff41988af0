"""What pre-training learns: a language model, masked or from left to right, and next sentence prediction (BERT 3.1)."""

from collections.abc import Mapping

from torch import Tensor

from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.model.losses import count_correct, cross_entropy_sum
from bertsmith.training.network import PretrainedNetwork


class PretrainingObjective:
    """Mean language-model loss over the batch's labels + mean NSP loss over its pairs, if it has some (A.2).

    Called with a micro-batch and the whole batch it is a part of; what it returns adds up over the micro-batches.
    """

    def __init__(self, model: PretrainedNetwork):
        self.model = model

    def __call__(
        self, micro_batch: PretrainingBatch, whole_batch: PretrainingBatch
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss (scalar) and the metrics token_loss, token_accuracy and, with NSP, nsp_loss, nsp_accuracy."""
        output = self.model(micro_batch.inputs, micro_batch.masked_positions)
        token_loss, token_accuracy = _share_of_mean(
            output.token_logits, micro_batch.masked_labels, len(whole_batch.masked_labels)
        )
        metrics = {"token_loss": token_loss.detach(), "token_accuracy": token_accuracy}
        if micro_batch.not_next is None:
            return token_loss, metrics
        nsp_loss, nsp_accuracy = _share_of_mean(output.nsp_logits, micro_batch.not_next, whole_batch.num_sequences)
        return token_loss + nsp_loss, metrics | {"nsp_loss": nsp_loss.detach(), "nsp_accuracy": nsp_accuracy}


def _share_of_mean(logits: Tensor, labels: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Cross-entropy and accuracy of a part of `count` predictions, as shares of the means over all of them.

    logits  [N, C]  any float dtype; the loss is computed in float32
    labels  [N]     int64 class indices
    """
    count = max(count, 1)  # whole words may leave a small batch without a label
    return cross_entropy_sum(logits, labels) / count, count_correct(logits, labels) / count

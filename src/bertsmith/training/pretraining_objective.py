"""What pre-training learns: a language model, masked or from left to right, and next sentence prediction (BERT 3.1)."""

from collections.abc import Mapping

from torch import Tensor

from bertsmith.batches.batch_parts import Counted
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.model.losses import count_correct, cross_entropy_sum
from bertsmith.training.network import PretrainedNetwork


class PretrainingObjective:
    """Mean language-model loss over the batch's labels + mean NSP loss over its pairs, if it has some (A.2).

    Called with a micro-batch and the whole batch it is a part of; what it returns adds up over the micro-batches.
    """

    def __init__(self, model: PretrainedNetwork):
        self.model = model

    def __call__(self, micro_batch: PretrainingBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Loss (scalar) and the metrics token_loss, token_accuracy and, with NSP, nsp_loss, nsp_accuracy."""
        output = self.model(micro_batch.inputs, micro_batch.masked_positions)
        count = max(whole_batch.num_labels, 1)  # whole words may leave a small batch without a label
        token_loss, correct = output.token_scores.judge(micro_batch.masked_labels)
        token_loss = token_loss / count
        metrics = {"token_loss": token_loss.detach(), "token_accuracy": correct.sum() / count}
        if micro_batch.not_next is None:
            return token_loss, metrics
        assert output.nsp_logits is not None
        nsp_loss = cross_entropy_sum(output.nsp_logits, micro_batch.not_next) / whole_batch.num_sequences
        nsp_accuracy = count_correct(output.nsp_logits, micro_batch.not_next) / whole_batch.num_sequences
        return token_loss + nsp_loss, metrics | {"nsp_loss": nsp_loss.detach(), "nsp_accuracy": nsp_accuracy}

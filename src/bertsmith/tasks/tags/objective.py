"""What a network of tags learns (BERT 5.3): cross-entropy over the first piece of each word.

Legend: T tokens of a micro-batch, N of them that are asked for a tag, C tags.
"""

from collections.abc import Mapping

from torch import Tensor

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.task_networks import TokenClassifier
from bertsmith.tasks.encoded import EncodedExamples, TaskBatch
from bertsmith.tasks.language_loss import add_language, outputs_and_language
from bertsmith.tasks.loss_settings import LabelLoss, LossSettings


class TagObjective:
    """Mean loss over the words that a batch asks for, in float32 whatever the dtype of the model."""

    def __init__(self, model: TokenClassifier, train: EncodedExamples, loss: LossSettings):
        self.model = model
        self._language_weight = loss.language_model
        self._loss = LabelLoss(train.labels, len(model.labels.names), loss)

    def __call__(self, micro_batch: TaskBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, of that of blind guessing, and of the accuracy."""
        rows = (micro_batch.labels >= 0).nonzero().squeeze(1)  # [N]
        labels = micro_batch.labels[rows]  # [N]
        count = max(whole_batch.num_labels, 1)
        logits, language = outputs_and_language(
            self.model, micro_batch, whole_batch, self._language_weight, rows
        )  # [N, C]
        metrics = {
            "blind_loss": self._loss.blind_sum(labels) / count,
            "accuracy": (logits.detach().argmax(dim=1) == labels).sum() / count,
        }
        return add_language(self._loss.sum(logits, labels) / count, metrics, language)

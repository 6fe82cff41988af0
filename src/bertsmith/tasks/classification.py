"""What a model of texts or pairs learns: cross-entropy over the labels, or squared error of a score (BERT 4.1)."""

from collections.abc import Mapping

from torch import Tensor

from bertsmith.model.bert import BertForSequenceClassification
from bertsmith.model.losses import cross_entropy_sum, squared_error_sum
from bertsmith.tasks.collapse import BlindGuess
from bertsmith.tasks.encoding import TaskBatch


class SentenceObjective:
    """Mean loss over the examples of a batch, in float32 whatever the dtype of the model."""

    def __init__(self, model: BertForSequenceClassification, guess: BlindGuess):
        self.model = model
        self._guess = guess

    def __call__(self, micro_batch: TaskBatch, whole_batch: TaskBatch) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, and of the loss of blind guessing and the accuracy."""
        outputs = self.model(micro_batch.inputs)  # [B, C]
        labels = micro_batch.labels  # [B]
        count = whole_batch.num_sequences
        metrics = {"blind_loss": self._guess.loss_sum(labels) / count}
        if self.model.labels.problem == "regression":
            return squared_error_sum(outputs[:, 0], labels) / count, metrics
        metrics["accuracy"] = (outputs.detach().argmax(dim=1) == labels).sum() / count
        return cross_entropy_sum(outputs, labels) / count, metrics

"""What a network of masked words learns: cross-entropy at the [MASK] (BERT 3.1, task 1).

With a word for each label the softmax is over these words alone, not over the vocabulary (Schick and Schuetze 2021; Gao
et al. 2021, equation 1): the loss is of what is predicted, and no example is spent on pushing down words that nobody
will ask for. A cloze test has the softmax over the vocabulary, as in pre-training.
Legend: B examples, C outputs: the words of the labels, or V pieces of the vocabulary.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.bert_for_tasks import BertForMaskedWord
from bertsmith.model.losses import cross_entropy_sum
from bertsmith.tasks.encoded import EncodedExamples, TaskBatch
from bertsmith.tasks.loss_settings import LabelLoss, LossSettings


class MaskedWordObjective:
    """Mean loss over the examples of a batch, in float32 whatever the dtype of the model."""

    def __init__(self, model: BertForMaskedWord, train: EncodedExamples, loss: LossSettings):
        self.model = model
        self._loss: LabelLoss | _PieceLoss
        if model.ids.words:
            self._loss = LabelLoss(train.labels, len(model.ids.words), loss)
        else:
            self._loss = _PieceLoss(train.labels, model.config.vocab_size)

    def __call__(self, micro_batch: TaskBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, and of the loss of blind guessing and the accuracy."""
        logits = self.model(micro_batch.inputs)  # [B, C]
        labels, count = micro_batch.labels, whole_batch.num_sequences
        metrics = {
            "blind_loss": self._loss.blind_sum(labels) / count,
            "accuracy": (logits.detach().argmax(dim=1) == labels).sum() / count,
        }
        return self._loss.sum(logits, labels) / count, metrics


class _PieceLoss:
    """Cross-entropy over the vocabulary; who does not read gives each piece its share of the training answers.

    answers  [N]  int64, of all training examples
    """

    def __init__(self, answers: npt.NDArray[np.generic], vocab_size: int):
        counts = np.bincount(answers.astype(np.int64), minlength=vocab_size)
        # a piece that is never the answer is never asked for: its share does not matter
        self._blind_losses = torch.from_numpy(-np.log(np.maximum(counts, 1) / len(answers))).float()  # [V]

    def sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        return cross_entropy_sum(logits, labels)

    def blind_sum(self, labels: Tensor) -> Tensor:
        return self._blind_losses.to(labels.device)[labels].sum()

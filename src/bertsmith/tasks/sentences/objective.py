"""What a network of texts or pairs learns (BERT 4.1).

Cross-entropy over the labels; of several labels at once, of each by itself; squared error of a score.
Legend: E examples, S sequences, C outputs.
"""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from bertsmith.batches.batch_parts import Counted
from bertsmith.model.losses import squared_error_sum
from bertsmith.model.task_networks import SequenceClassifier
from bertsmith.tasks.encoded import EncodedExamples, TaskBatch
from bertsmith.tasks.input_limits import LongTexts
from bertsmith.tasks.language_loss import add_language, outputs_and_language
from bertsmith.tasks.loss_settings import LabelLoss, LossSettings
from bertsmith.tasks.task import Outputs


class SentenceObjective:
    """Mean loss over the examples of a batch, in float32 whatever the dtype of the model."""

    def __init__(self, model: SequenceClassifier, train: EncodedExamples, loss: LossSettings):
        self.model = model
        self._language_weight = loss.language_model
        self._pooling = train.limits.long_texts
        self._loss: LabelLoss | _SeveralLabelsLoss | _ScoreLoss
        if model.labels.problem == "regression":
            self._loss = _ScoreLoss(train.labels)
        elif model.labels.problem == "multi_label":
            self._loss = _SeveralLabelsLoss(train.labels)
        else:
            self._loss = LabelLoss(train.labels, len(model.labels.names), loss)

    def __call__(self, micro_batch: TaskBatch, whole_batch: Counted) -> tuple[Tensor, Mapping[str, Tensor]]:
        """The micro-batch's part of the whole batch's mean loss, and of the loss of blind guessing and the accuracy."""
        made, language = outputs_and_language(self.model, micro_batch, whole_batch, self._language_weight)
        outputs = pool_sequences(made, micro_batch.example_borders, self._pooling)  # [E, C]
        labels, count = micro_batch.labels, whole_batch.num_sequences
        metrics = {"blind_loss": self._loss.blind_sum(labels) / count}
        if self.model.labels.problem == "classification":
            metrics["accuracy"] = (outputs.detach().argmax(dim=1) == labels).sum() / count
        return add_language(self._loss.sum(outputs, labels) / count, metrics, language)


def pool_sequences(outputs: Tensor, example_borders: tuple[int, ...], pooling: LongTexts) -> Tensor:
    """The outputs of each example from those of its windows, [S, C] to [E, C]."""
    if len(outputs) == len(example_borders) - 1:  # each has one
        return outputs
    return torch.stack([_pool(outputs[begin:end], pooling) for begin, end in pairwise(example_borders)])


def pool_windows(outputs: Outputs, pooling: LongTexts) -> Outputs:
    """The outputs of one example from those of its windows, [S, C] to [C]."""
    pooled: Outputs = _pool(torch.from_numpy(outputs), pooling).numpy()
    return pooled


def _pool(windows: Tensor, pooling: LongTexts) -> Tensor:
    return windows.amax(dim=0) if pooling == "max" else windows.mean(dim=0)


class _ScoreLoss:
    """Squared error; who does not read answers with the mean."""

    def __init__(self, labels: np.ndarray):
        self._mean = float(labels.astype(np.float64).mean())

    def sum(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return squared_error_sum(outputs[:, 0], labels)

    def blind_sum(self, labels: Tensor) -> Tensor:
        return (labels.float() - self._mean).square().sum()


class _SeveralLabelsLoss:
    """The mean over the labels of each one's binary cross-entropy, as transformers has it."""

    def __init__(self, labels: np.ndarray):
        shares = np.clip(labels.mean(axis=0), 1 / (2 * len(labels)), 1 - 1 / (2 * len(labels)))
        self._blind_logits = torch.from_numpy(np.log(shares / (1 - shares))).float()  # [C]

    def sum(self, outputs: Tensor, labels: Tensor) -> Tensor:
        losses = nn.functional.binary_cross_entropy_with_logits(outputs.float(), labels.float(), reduction="none")
        return losses.mean(dim=1).sum()

    def blind_sum(self, labels: Tensor) -> Tensor:
        return self.sum(self._blind_logits.to(labels.device).expand(len(labels), -1), labels)

"""How the errors on the examples of a task are weighed."""

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from bertsmith.core.configuration import Settings


class LossSettings(Settings):
    """The paper's loss is the plain one: the defaults."""

    class_weights: Literal["equal", "balanced"] = Field(
        "equal", description="labels: balanced = a rare label's errors count more, in inverse proportion"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="labels: share of the probability that is asked for all labels alike"
    )

    language_model: float = Field(
        0.5, ge=0, description="of a GPT: weight of its loss as a language model, beside the task's"
    )

    @property
    def is_plain(self) -> bool:
        """Whether all errors on labels count alike."""
        return self.class_weights == "equal" and not self.label_smoothing

    def weights(self, labels: npt.NDArray[np.generic], num_labels: int) -> Tensor | None:
        """The weight of each label, [C] float32, of mean 1 over the training examples; None where all are 1."""
        if self.class_weights == "equal":
            return None
        counts = np.bincount(labels.astype(np.int64), minlength=num_labels)
        return torch.from_numpy(len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))).float()


class LabelLoss:
    """Cross-entropy over labels as sums in float32, of a network or of someone who does not read.

    labels  [N]  int64, of all training examples; those below 0 are none
    """

    def __init__(self, labels: npt.NDArray[np.generic], num_labels: int, settings: LossSettings):
        known = labels[labels.astype(np.int64) >= 0]
        self._weights = settings.weights(known, num_labels)
        self._smoothing = settings.label_smoothing
        counts = np.maximum(np.bincount(known.astype(np.int64), minlength=num_labels), 1)
        asked = (1 - self._smoothing) * counts + self._smoothing * counts.mean()  # what smoothing makes of the counts
        if self._weights is not None:
            asked = asked * self._weights.numpy()
        self._blind_logits = torch.from_numpy(np.log(asked / asked.sum())).float()  # [C]

    def sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over all labels, [N, C] and [N] to []."""
        weights = None if self._weights is None else self._weights.to(logits.device)
        return nn.functional.cross_entropy(
            logits.float(), labels, weight=weights, label_smoothing=self._smoothing, reduction="sum"
        )

    def blind_sum(self, labels: Tensor) -> Tensor:
        """The same of always giving each label the probability that costs least on the training examples: [N] to []."""
        return self.sum(self._blind_logits.to(labels.device).expand(len(labels), -1), labels)

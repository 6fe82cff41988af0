"""What a network says of a text or a pair: a label, several labels, or a number.

Legend: N examples, C outputs of the network.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bertsmith.tasks.sentences.metrics import Values
from bertsmith.tasks.task import Outputs

_YES = 0.5  # a label that is as likely as not, where there may be several


@dataclass(frozen=True, slots=True)
class LabelPrediction:
    """The likeliest label, and how likely each is."""

    label: str
    probabilities: Mapping[str, float]

    def entry(self) -> dict[str, object]:
        """The prediction as JSON."""
        return {"label": self.label, "probabilities": dict(self.probabilities)}


@dataclass(frozen=True, slots=True)
class LabelsPrediction:
    """The labels that are likelier than not, and how likely each is."""

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]

    def entry(self) -> dict[str, object]:
        """The prediction as JSON."""
        return {"labels": list(self.labels), "probabilities": dict(self.probabilities)}


@dataclass(frozen=True, slots=True)
class ScorePrediction:
    """The predicted number."""

    score: float

    def entry(self) -> dict[str, object]:
        """The prediction as JSON."""
        return {"score": self.score}


Prediction = LabelPrediction | LabelsPrediction | ScorePrediction


def predictions_of(outputs: Outputs, labels: Sequence[str] | None, *, several: bool) -> list[Prediction]:
    """Logits or scores [N, C] as predictions."""
    if labels is None:
        return [ScorePrediction(score) for score in outputs[:, 0].tolist()]
    if several:
        likely = torch.from_numpy(outputs).sigmoid().tolist()
        return [
            LabelsPrediction(
                tuple(label for label, share in zip(labels, row, strict=True) if share > _YES),
                dict(zip(labels, row, strict=True)),
            )
            for row in likely
        ]
    best = outputs.argmax(axis=1).tolist()
    probabilities = torch.from_numpy(outputs).softmax(dim=1).tolist()
    return [
        LabelPrediction(labels[index], dict(zip(labels, row, strict=True)))
        for index, row in zip(best, probabilities, strict=True)
    ]


def in_words(prediction: Prediction, score_range: tuple[float, float] | None = None) -> str:
    """The label, the labels with commas between, or the number, brought into its range if it has one."""
    if isinstance(prediction, LabelPrediction):
        return prediction.label
    if isinstance(prediction, LabelsPrediction):
        return ",".join(prediction.labels)
    low, high = score_range or (-math.inf, math.inf)
    return str(min(max(prediction.score, low), high))


def as_values(predictions: Sequence[Prediction], labels: Sequence[str] | None) -> Values:
    """Predictions as the metrics take them: indices [N], yes and no [N, C], or scores [N]."""
    index = {label: position for position, label in enumerate(labels or ())}
    values: list[object] = []
    for prediction in predictions:
        if isinstance(prediction, ScorePrediction):
            values.append(prediction.score)
        elif isinstance(prediction, LabelPrediction):
            values.append(index[prediction.label])
        else:
            values.append([label in prediction.labels for label in index])
    return np.array(values)

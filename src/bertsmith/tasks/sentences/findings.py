"""What a person wants to see of predicted labels and scores of texts or pairs.

Legend: N examples, L labels.
"""

from collections.abc import Sequence

import numpy as np

from bertsmith.tasks.findings import (
    Findings,
    GroupTable,
    Mistake,
    ScoreComparison,
    Truths,
    Values,
    calibrate,
    confuse,
    score_labels,
    score_sizes,
    worst_mistakes,
)
from bertsmith.tasks.sentences.encoding import label_values
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sentences.predictions import LabelPrediction, LabelsPrediction, Prediction, as_values


def sentence_findings(
    labels: Sequence[str] | None, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]
) -> Findings:
    """Findings on labels, on several labels of a text, or on scores (without `labels`)."""
    if labels is None:
        return _score_findings(predictions, examples)
    several = [prediction for prediction in predictions if isinstance(prediction, LabelsPrediction)]
    if several:
        return _several_labels_findings(labels, several, examples)
    return label_findings(labels, [p for p in predictions if isinstance(p, LabelPrediction)], examples)


def label_findings(
    labels: Sequence[str], predictions: Sequence[LabelPrediction], examples: Sequence[SentenceExample]
) -> Findings:
    """Findings on one label for each text."""
    gold, predicted = label_values(examples, labels).astype(np.int64), as_values(predictions, labels).astype(np.int64)
    sure = np.array([prediction.probabilities[prediction.label] for prediction in predictions])  # [N]
    right: Truths = gold == predicted
    each = [np.bincount(chosen, minlength=len(labels)) for chosen in (gold[right], predicted, gold)]

    def describe(index: int, size: float) -> Mistake:
        return _mistake(examples[index], labels[gold[index]], labels[predicted[index]], size)

    return Findings(
        num_examples=len(examples),
        mistakes=worst_mistakes("confidence", "get a wrong label", sure, ~right, describe),
        groups=(score_labels("Each label", labels, *each), *_by_length("accuracy", right, examples)),
        confusion=confuse(gold, predicted, labels),
        calibration=calibrate(sure, right, "predictions"),
    )


def _several_labels_findings(
    labels: Sequence[str], predictions: Sequence[LabelsPrediction], examples: Sequence[SentenceExample]
) -> Findings:
    """Every label of every text is an answer by itself; a text is right if all of them are."""
    gold, predicted = label_values(examples, labels).astype(np.bool_), as_values(predictions, labels).astype(np.bool_)
    likely = np.array([[prediction.probabilities[label] for label in labels] for prediction in predictions])  # [N, L]
    is_wrong = gold != predicted
    sure = np.where(is_wrong, np.where(predicted, likely, 1 - likely), 0.0).max(axis=1)  # [N] of the surest wrong one
    right: Truths = ~is_wrong.any(axis=1)
    each = [chosen.sum(axis=0, dtype=np.int64) for chosen in (gold & predicted, predicted, gold)]

    def told(chosen: Truths) -> str:
        return ", ".join(label for label, is_chosen in zip(labels, chosen, strict=True) if is_chosen) or "none"

    def describe(index: int, size: float) -> Mistake:
        return _mistake(examples[index], told(gold[index]), told(predicted[index]), size)

    return Findings(
        num_examples=len(examples),
        mistakes=worst_mistakes("confidence", "get a label too many or too few", sure, ~right, describe),
        groups=(score_labels("Each label", labels, *each), *_by_length("all labels right", right, examples)),
        calibration=calibrate(likely.ravel(), gold.ravel(), "labels"),
    )


def _score_findings(predictions: Sequence[Prediction], examples: Sequence[SentenceExample]) -> Findings:
    gold = label_values(examples, None).astype(np.float64)
    predicted = as_values(predictions, None).astype(np.float64)
    difference = np.abs(predicted - gold)
    scores = {"mean prediction": predicted, "mean difference": difference}

    def describe(index: int, size: float) -> Mistake:
        return _mistake(examples[index], f"{gold[index]:g}", f"{predicted[index]:.2f}", size)

    return Findings(
        num_examples=len(examples),
        mistakes=worst_mistakes(
            "difference", "get another score than the right one", difference, difference > 0, describe
        ),
        groups=(
            *score_sizes("Low and high scores", "score", gold, scores),
            *_by_length("mean difference", difference, examples),
        ),
        comparison=ScoreComparison(tuple(gold.tolist()), tuple(predicted.tolist())),
    )


def _by_length(name: str, values: Values | Truths, examples: Sequence[SentenceExample]) -> tuple[GroupTable, ...]:
    lengths = np.array([sum(map(len, example.texts)) for example in examples], dtype=np.float64)
    return score_sizes("Short and long texts", "characters", lengths, {name: values.astype(np.float64)})


def _mistake(example: SentenceExample, gold: str, predicted: str, size: float) -> Mistake:
    return Mistake(f"line {example.line}", example.texts, gold, predicted, size)

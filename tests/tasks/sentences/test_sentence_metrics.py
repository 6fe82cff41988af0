"""Metrics equal scikit-learn's and scipy's on random input, and are defined where those are not."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from bertsmith.tasks.sentences.metrics import METRICS, are_constant, is_no_better_than_blind, score
from bertsmith.tasks.sentences.predictions import as_values, predictions_of

REFERENCES = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": sklearn_metrics.f1_score,
    "macro_f1": lambda labels, predictions: sklearn_metrics.f1_score(labels, predictions, average="macro"),
    "micro_f1": lambda labels, predictions: sklearn_metrics.f1_score(labels, predictions, average="micro"),
    "matthews": sklearn_metrics.matthews_corrcoef,
    "pearson": lambda labels, predictions: stats.pearsonr(labels, predictions).statistic,
    "spearman": lambda labels, predictions: stats.spearmanr(labels, predictions).statistic,
}


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("seed", range(5))
def test_a_metric_equals_the_reference_on_random_input(name, seed):
    random = np.random.default_rng(seed)
    if name in ("pearson", "spearman"):
        labels, predictions = random.normal(size=(2, 200)).astype(np.float32).round(1)
    else:
        labels, predictions = random.integers(0, 2, size=(2, 200))
    assert METRICS[name](labels, predictions) == pytest.approx(REFERENCES[name](labels, predictions), abs=1e-12)


def test_hand_counted_scores():
    labels, predictions = (
        np.array([1, 1, 1, 0, 0]),
        np.array([1, 1, 0, 1, 0]),
    )  # 2 hits, 1 miss, 1 false alarm, 1 right no
    scores = score(["accuracy", "f1", "matthews"], labels, predictions)
    assert scores["accuracy"] == pytest.approx(3 / 5)
    assert scores["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert scores["matthews"] == pytest.approx((2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2))


def test_constant_predictions_score_zero_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("pearson", "spearman"):
            assert METRICS[name](np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])) == 0.0
        assert METRICS["matthews"](np.array([0, 1, 1]), np.array([1, 1, 1])) == 0.0
        assert METRICS["f1"](np.array([0, 1, 1]), np.array([0, 0, 0])) == 0.0


@pytest.mark.parametrize("name", ["accuracy", "micro_f1", "macro_f1"])
def test_metrics_of_several_labels_equal_the_reference(name):
    labels, predictions = np.random.default_rng(0).integers(0, 2, size=(2, 100, 4)).astype(bool)
    assert METRICS[name](labels, predictions) == pytest.approx(REFERENCES[name](labels, predictions), abs=1e-12)


def test_predictions_are_the_likeliest_label_the_likely_labels_or_the_number():
    outputs = np.array([[0.1, 0.2, -1.0], [3.0, 1.0, 2.0]], dtype=np.float32)
    one = predictions_of(outputs, "abc", several=False)
    assert [prediction.label for prediction in one] == ["b", "a"]
    assert one[1].probabilities["a"] == pytest.approx(np.exp(3) / (np.exp(3) + np.exp(1) + np.exp(2)))
    assert as_values(one, "abc").tolist() == [1, 0]
    several = predictions_of(outputs, "abc", several=True)
    assert [prediction.labels for prediction in several] == [("a", "b"), ("a", "b", "c")]
    assert several[0].probabilities["c"] == pytest.approx(1 / (1 + np.exp(1)))
    assert as_values(several, "abc").tolist() == [[True, True, False], [True, True, True]]
    scores = predictions_of(outputs[:, :1], None, several=False)
    assert as_values(scores, None).tolist() == pytest.approx([0.1, 3.0])


@pytest.mark.parametrize(
    ("predictions", "labels", "constant"),
    [
        ([1, 1, 1], [0, 1, 1], True),
        ([1, 0, 1], [0, 1, 1], False),
        ([1, 1, 1], [1, 1, 1], False),  # all right: dev has one label only
        ([2.5, 2.5001, 2.5], [0.0, 2.0, 5.0], True),
        ([2.0, 2.5, 3.0], [0.0, 2.0, 5.0], False),
        ([[0, 1], [0, 1]], [[0, 1], [1, 1]], True),
        ([[0, 1], [1, 1]], [[0, 1], [0, 1]], False),
    ],
)
def test_predictions_are_constant_if_the_labels_are_not(predictions, labels, constant):
    assert are_constant(np.array(predictions), np.array(labels)) is constant


@pytest.mark.parametrize(
    ("predictions", "labels", "blind"),
    [
        ([1, 0, 1, 1], [1, 1, 1, 0], True),  # 2 of 4 right; always 1 gets 3
        ([1, 1, 1, 0], [1, 1, 1, 0], False),
        ([1.0, 2.0, 2.0, 1.0], [0.0, 1.0, 2.0, 3.0], True),
        ([0.1, 0.2, 0.3, 0.3], [0.0, 1.0, 2.0, 3.0], False),  # far off, and in the right order
        ([[0, 0], [0, 0], [1, 0]], [[0, 0], [0, 0], [0, 1]], True),
        ([[0, 0], [0, 0], [0, 1]], [[0, 0], [0, 0], [0, 1]], False),
    ],
)
def test_predictions_are_compared_with_those_of_someone_who_does_not_read(predictions, labels, blind):
    assert is_no_better_than_blind(np.array(predictions), np.array(labels)) is blind

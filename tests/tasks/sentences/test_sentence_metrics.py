"""Metrics equal scikit-learn's and scipy's on random input, and are defined where those are not."""

import warnings

import numpy as np
import pytest
from bertsmith.tasks.metrics import METRICS, predictions_of, score
from scipy import stats
from sklearn import metrics as sklearn_metrics

REFERENCES = {
    "accuracy": sklearn_metrics.accuracy_score,
    "f1": sklearn_metrics.f1_score,
    "macro_f1": lambda labels, predictions: sklearn_metrics.f1_score(labels, predictions, average="macro"),
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


def test_predictions_are_the_highest_output_or_the_number():
    outputs = np.array([[0.1, 0.2, -1.0], [3.0, 1.0, 2.0]], dtype=np.float32)
    assert predictions_of(outputs, is_regression=False).tolist() == [1, 0]
    assert predictions_of(outputs[:, :1], is_regression=True).tolist() == pytest.approx([0.1, 3.0])

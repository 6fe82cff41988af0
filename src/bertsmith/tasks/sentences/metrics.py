"""Scores of a task, as the official evaluations compute them; scikit-learn and scipy do the arithmetic.

They are imported when something is scored: that takes as long as importing torch, and who predicts need not wait.

N examples, C labels. A classification's predictions and labels are indices into the task's labels [N], those of a task
with several labels yes and no [N, C], those of a regression numbers [N]. In binary F1 the second label (index 1) is the
positive class. A correlation with a constant is not defined; it is given as 0, since such predictions say nothing about
the order of the examples.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.generic]

_NO_CORRELATION = 0.1
_CONSTANT_SCORES = 0.001  # scores that spread less than 0.1 % of the labels' standard deviation are one score


def accuracy(labels: Values, predictions: Values) -> float:
    """Share of right predictions; of several labels, all of them must be right."""
    return float(_scikit_learn().accuracy_score(labels, predictions))


def f1(labels: Values, predictions: Values) -> float:
    """F1 of the positive class of two (MRPC, QQP); 0 if it is neither there nor predicted."""
    return float(_scikit_learn().f1_score(labels, predictions, average="binary", pos_label=1, zero_division=0))


def macro_f1(labels: Values, predictions: Values) -> float:
    """Mean over the labels of each one's F1, so that rare labels count as much as frequent ones."""
    return float(_scikit_learn().f1_score(labels, predictions, average="macro", zero_division=0))


def micro_f1(labels: Values, predictions: Values) -> float:
    """F1 of all labels of all examples together, for tasks with several labels."""
    return float(_scikit_learn().f1_score(labels, predictions, average="micro", zero_division=0))


def matthews(labels: Values, predictions: Values) -> float:
    """Matthews' correlation coefficient (CoLA): 0 for guessing, 1 for perfect, 0 if either side is constant."""
    return float(_scikit_learn().matthews_corrcoef(labels, predictions))


def pearson(labels: Values, predictions: Values) -> float:
    """Pearson's linear correlation."""
    return _correlation(_scipy().pearsonr, labels, predictions)


def spearman(labels: Values, predictions: Values) -> float:
    """Spearman's correlation of ranks."""
    return _correlation(_scipy().spearmanr, labels, predictions)


METRICS: Mapping[str, Callable[[Values, Values], float]] = {
    function.__name__: function for function in (accuracy, f1, macro_f1, micro_f1, matthews, pearson, spearman)
}


def score(names: Sequence[str], labels: Values, predictions: Values) -> dict[str, float]:
    """The named metrics of predictions [N] against labels [N]."""
    return {name: METRICS[name](labels, predictions) for name in names}


def is_no_better_than_blind(predictions: Values, labels: Values) -> bool:
    """Whether predictions are no better than the most frequent answer, or hardly correlated with the scores."""
    if _are_scores(labels):
        return abs(pearson(labels, predictions)) < _NO_CORRELATION
    most = np.unique(labels, axis=0, return_counts=True)[1].max()
    return accuracy(labels, predictions) <= float(most) / len(labels)


def are_constant(predictions: Values, labels: Values) -> bool:
    """Whether all predictions are the same although the labels are not."""
    if _are_scores(labels):
        return bool(np.std(predictions.astype(np.float64)) < _CONSTANT_SCORES * np.std(labels.astype(np.float64)))
    return len(np.unique(predictions, axis=0)) == 1 and len(np.unique(labels, axis=0)) > 1


def _scikit_learn() -> Any:  # noqa: ANN401 - neither library has types
    from sklearn import metrics  # noqa: PLC0415

    return metrics


def _scipy() -> Any:  # noqa: ANN401
    from scipy import stats  # noqa: PLC0415

    return stats


def _are_scores(labels: Values) -> bool:
    return labels.dtype.kind == "f"


def _correlation(function: Callable[..., Any], labels: Values, predictions: Values) -> float:
    return 0.0 if _is_constant(labels) or _is_constant(predictions) else float(function(labels, predictions).statistic)


def _is_constant(values: Values) -> bool:
    return bool((values == values[0]).all())

"""Findings: what is counted is what scikit-learn counts, and confidence is compared with what is right by hand."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

from bertsmith.tasks.findings import (
    MOST_LABELS,
    NUM_MISTAKES,
    ConfidenceBin,
    Mistake,
    ScoreComparison,
    calibrate,
    confuse,
    score_labels,
    score_sizes,
    worst_mistakes,
)

ANSWERS = st.integers(2, 30).flatmap(
    lambda num_labels: st.lists(
        st.tuples(st.integers(0, num_labels - 1), st.integers(0, num_labels - 1)), min_size=1, max_size=60
    ).map(lambda pairs: (num_labels, *np.array(pairs, dtype=np.int64).T))
)


def names(num_labels):
    return [f"label {index}" for index in range(num_labels)]


@given(ANSWERS)
def test_a_confusion_matrix_is_that_of_scikit_learn_and_the_rest_is_together(answers):
    num_labels, gold, predicted = answers
    confusion = confuse(gold, predicted, names(num_labels))
    reference = confusion_matrix(gold, predicted, labels=range(num_labels))
    if num_labels <= MOST_LABELS + 1:
        assert confusion.labels == tuple(names(num_labels))
        assert confusion.counts == tuple(map(tuple, reference.tolist()))
        assert confusion.num_others == 0
        return
    *shown, rest = confusion.labels
    chosen = [names(num_labels).index(label) for label in shown]
    others = [index for index in range(num_labels) if index not in chosen]
    assert (len(shown), confusion.num_others, rest) == (MOST_LABELS, len(others), f"{len(others)} others")
    assert chosen == sorted(chosen)
    groups = [*([index] for index in chosen), others]
    expected = [[reference[np.ix_(rows, columns)].sum() for columns in groups] for rows in groups]
    assert confusion.counts == tuple(map(tuple, expected))
    mistakes = reference - np.diag(reference.diagonal())
    assert mistakes[np.ix_(chosen, chosen)].max() == mistakes.max()


@given(ANSWERS)
def test_precision_recall_and_f1_are_those_of_scikit_learn(answers):
    num_labels, gold, predicted = answers
    each = [np.bincount(chosen, minlength=num_labels) for chosen in (gold[gold == predicted], predicted, gold)]
    table = score_labels("labels", names(num_labels), *each)
    precision, recall, f1, support = precision_recall_fscore_support(
        gold, predicted, labels=range(num_labels), zero_division=0
    )
    found = np.bincount(predicted, minlength=num_labels)
    assert [label for label, _ in table.rows] == names(num_labels)
    np.testing.assert_allclose(
        [values for _, values in table.rows], np.array([precision, recall, f1, support, found]).T
    )


def test_calibration_by_hand():
    confidences = np.array([0.95, 0.91, 1.0, 0.7, 0.65, 0.3, 0.0])
    right = np.array([True, True, False, True, False, False, False])
    calibration = calibrate(confidences, right, "predictions")
    expected = [
        (0.0, 0.1, 1, 0.0, 0.0),  # 0 belongs to the first bin
        (0.2, 0.3, 1, 0.3, 0.0),  # a bin has its upper edge
        (0.6, 0.7, 2, 0.675, 0.5),
        (0.9, 1.0, 3, 2.86 / 3, 2 / 3),
    ]
    for bin_, values in zip(calibration.bins, expected, strict=True):
        assert isinstance(bin_, ConfidenceBin)
        assert list(vars(bin_).values()) == pytest.approx(list(values))
    # |0 - 0| + |0.3 - 0| + 2 |0.675 - 0.5| + 3 |0.9533 - 0.6667| = 0.3 + 0.35 + 0.86, of seven
    assert calibration.error == pytest.approx(1.51 / 7)


def test_of_no_answers_there_is_no_calibration():
    assert calibrate(np.zeros(0), np.zeros(0, dtype=np.bool_), "entities") is None


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_bins_hold_every_answer_once(answers):
    confidences, right = np.array([sure for sure, _ in answers]), np.array([is_right for _, is_right in answers])
    calibration = calibrate(confidences, right, "predictions")
    assert sum(bin_.count for bin_ in calibration.bins) == len(answers)
    assert sum(bin_.count * bin_.confidence for bin_ in calibration.bins) == pytest.approx(confidences.sum())
    assert sum(bin_.count * bin_.share_right for bin_ in calibration.bins) == pytest.approx(right.sum())
    assert all(bin_.lowest - 1e-9 <= bin_.confidence <= bin_.highest + 1e-9 for bin_ in calibration.bins)
    assert 0 <= calibration.error <= 1


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=1, max_size=60))
def test_groups_by_size_hold_every_example_once(examples):
    sizes, values = np.array(examples, dtype=np.float64).T
    tables = score_sizes("length", "characters", sizes, {"accuracy": values})
    assert len(tables) <= (len(set(sizes)) > 1)
    for table in tables:
        assert table.columns == ("characters", "examples", "accuracy")
        counts, scores = np.array([figures for _, figures in table.rows]).T
        assert counts.sum() == len(examples)
        assert counts @ scores == pytest.approx(values.sum())
        borders = [tuple(map(float, name.split(" to "))) for name, _ in table.rows]
        assert len(table.rows) <= 4
        assert all(before[-1] < after[0] for before, after in pairwise(borders))


def test_sizes_are_cut_at_quartiles():
    (table,) = score_sizes(
        "length", "characters", np.arange(1.0, 9.0), {"accuracy": np.array([1, 1, 1, 0, 1, 0, 0, 0.0])}
    )
    assert table.rows == (
        ("1 to 2", (2, 1.0)),
        ("3 to 4", (2, 0.5)),
        ("5 to 6", (2, 0.5)),
        ("7 to 8", (2, 0.0)),
    )


def test_the_worst_mistakes_come_first_and_right_answers_never():
    sizes = np.array([0.2, 0.9, 0.5, 0.9, 0.99])
    is_mistake = np.array([True, True, True, True, False])
    found = worst_mistakes(
        "confidence", "are wrong", sizes, is_mistake, lambda index, size: Mistake(str(index), ("text",), "a", "b", size)
    )
    assert [(mistake.place, mistake.size) for mistake in found.shown] == [
        ("1", 0.9),
        ("3", 0.9),
        ("2", 0.5),
        ("0", 0.2),
    ]
    assert (found.measure, found.what, found.total) == ("confidence", "are wrong", 4)


def test_only_so_many_mistakes_are_shown_and_all_are_counted():
    found = worst_mistakes(
        "confidence",
        "are wrong",
        np.ones(99),
        np.ones(99, dtype=np.bool_),
        lambda index, size: Mistake("", (), "", "", size),
    )
    assert (len(found.shown), found.total) == (NUM_MISTAKES, 99)


def test_the_mean_error_of_scores_is_the_mean_difference():
    assert ScoreComparison((1.0, 2.0, 3.0), (1.5, 2.0, 1.0)).mean_error == pytest.approx(2.5 / 3)

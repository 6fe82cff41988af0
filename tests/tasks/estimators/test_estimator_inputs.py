"""X and y as scikit-learn users have them -> texts and labels; what cannot be used is refused in one sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import InputError
from bertsmith.tasks.estimators.inputs import read_labels, read_scores, read_texts, require_same_length


class Frame:
    """As much of a pandas Series or DataFrame as is used."""

    def __init__(self, values):
        self._values = np.array(values, dtype=object)

    def to_numpy(self):
        return self._values


@pytest.mark.parametrize(
    ("given_texts", "expected"),
    [
        (["good", "bad"], ["good", "bad"]),
        (("good", ""), ["good", ""]),
        ({"good": 1, "bad": 2}.keys(), ["good", "bad"]),
        (np.array(["good", "bad"]), ["good", "bad"]),
        (np.array(["good", "bad"], dtype=object), ["good", "bad"]),
        (np.array([["good"], ["bad"]]), ["good", "bad"]),
        ([("a", "b"), ["c", "d"]], [("a", "b"), ("c", "d")]),
        (np.array([["a", "b"], ["c", "d"]]), [("a", "b"), ("c", "d")]),
        (Frame(["good", "bad"]), ["good", "bad"]),
        (Frame([["good"], ["bad"]]), ["good", "bad"]),
        (Frame([["a", "b"], ["c", "d"]]), [("a", "b"), ("c", "d")]),
    ],
)
def test_texts_and_pairs(given_texts, expected):
    read = read_texts(given_texts)
    assert read == expected
    assert {type(text) for text in read} in ({str}, {tuple})


@given(st.lists(st.text(), min_size=1))
def test_any_texts_stay_as_they_are(texts):
    assert read_texts(texts) == texts


@pytest.mark.parametrize(
    ("given_texts", "message"),
    [
        ("good", "X is 'good', not a sequence of texts"),
        (3, "X is 3, not a sequence of texts"),
        ([], "X is empty. Give a sequence of texts"),
        (["good", None], r"X\[1\] is None, not a text or a pair"),
        (["good", float("nan")], r"X\[1\] is nan, not a text"),
        ([b"good"], r"X\[0\] is b'good', not a text"),
        ([("a", "b", "c")], r"X\[0\] is \('a', 'b', 'c'\), not a text or a pair"),
        ([("a", "b"), ("a", 1)], r"X\[1\] is \('a', 1\), not a text or a pair"),
        ([["a", "b"], "c"], r"X\[0\] is \('a', 'b'\) and X\[1\] is 'c': give texts or pairs, not both"),
        (np.array([[1.0, 2.0]]), r"X\[0\] is \[1.0, 2.0\], not a text"),
    ],
)
def test_what_is_no_text_is_refused(given_texts, message):
    with pytest.raises(InputError, match=message):
        read_texts(given_texts)


@pytest.mark.parametrize(
    ("y", "classes", "names", "labels"),
    [
        (["b", "a", "b"], ["a", "b"], ("a", "b"), ("b", "a", "b")),
        (np.array(["b", "a"], dtype=object), ["a", "b"], ("a", "b"), ("b", "a")),
        (Frame(["b", "a"]).to_numpy(), ["a", "b"], ("a", "b"), ("b", "a")),
        ([10, 9, 10], [9, 10], ("9", "10"), ("10", "9", "10")),
        ([[1], [0]], [0, 1], ("0", "1"), ("1", "0")),
        ([True, False], [False, True], ("false", "true"), ("true", "false")),
        ([1.0, -1.0], [-1.0, 1.0], ("-1", "1"), ("1", "-1")),
    ],
)
def test_labels_are_sorted_classes_with_the_names_that_a_file_would_have(y, classes, names, labels):
    known = read_labels(y)
    assert known.classes.tolist() == classes
    assert [type(value) for value in known.classes.tolist()] == [type(value) for value in classes]
    assert (known.names, known.labels, known.several) == (names, labels, False)


@pytest.mark.parametrize("kind", [int, bool, float])
def test_a_matrix_of_0_and_1_has_a_label_for_each_column(kind):
    known = read_labels(np.array([[1, 0, 1], [0, 0, 0]], dtype=kind))
    assert known.classes.tolist() == [0, 1, 2]
    assert (known.names, known.labels, known.several) == (("0", "1", "2"), (("0", "2"), ()), True)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0.5, 1.0], r"scikit-learn calls it continuous.*BertRegressor"),
        ([None, "a"], "scikit-learn calls it unknown"),
        ([float("nan"), 1.0], "y has no labels that can be used: Input y contains NaN"),
        ([["a", "b"], ["c", "d"]], "scikit-learn calls it multiclass-multioutput"),
        ([[0, 2], [2, 0]], r"a matrix \[2, 2\] of other numbers than 0 and 1"),
        ([[0], [1, 0]], "y has no labels that can be used"),
        (["a", "a"], "Every label in y is 'a'. Classification needs at least two"),
        ("ab", "y has no labels that can be used"),
    ],
)
def test_what_is_no_label_is_refused(y, message):
    with pytest.raises(InputError, match=message):
        read_labels(y)


@pytest.mark.parametrize("y", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), [[1], [2.5]], Frame([1, 2.5]).to_numpy()])
def test_scores_are_numbers(y):
    assert read_scores(y) == [1.0, 2.5]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", 1], "y has something that is no number: .*'a'"),
        ([[1], [1, 2]], "y has something that is no number"),
        ([1, None], r"y\[1\] is not a finite number"),
        ([1, float("inf")], r"y\[1\] is not a finite number"),
        ([[1, 2], [3, 4]], r"y has the shape \[2, 2\]. Give one number"),
        (3.0, r"y has the shape \[\]"),
    ],
)
def test_what_is_no_score_is_refused(y, message):
    with pytest.raises(InputError, match=message):
        read_scores(y)


def test_there_is_a_label_for_each_example():
    require_same_length(2, 2)
    with pytest.raises(InputError, match=r"X has 3 examples and y 2 labels\. Give one"):
        require_same_length(3, 2)

"""X and y as scikit-learn users have them -> texts and labels; what cannot be used is refused in one sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import ConfigurationError, EstimatorInputError, InputError
from bertsmith.tasks.estimators.inputs import (
    as_value_error,
    read_labels,
    read_scores,
    read_texts,
    require_same_length,
)

NAN = float("nan")


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
        ([{}, {}], "scikit-learn calls it unknown"),
        ([b"a", b"b"], "y has no labels that can be used: Support for labels represented as bytes"),
        ([], "y is empty. Give a label for each example"),
        (None, "requires y to be passed, but the target y is None. Give a label for each example"),
        ([1, "a", 2], r"y\[0\] is 1 and y\[1\] is 'a': give texts or numbers, not both"),
        ([["a"], ["b"], [True]], r"y\[0\]\[0\] is 'a' and y\[2\]\[0\] is True: give texts or numbers, not both"),
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


@pytest.mark.parametrize("missing", [None, NAN, np.float32("nan")], ids=repr)
@pytest.mark.parametrize("others", [("a", "b"), (0, 1), (0.5, 1.5), (True, False)], ids=str)
@pytest.mark.parametrize("read", [read_labels, read_scores])
def test_a_missing_value_is_named_by_its_place(read, others, missing):
    for y in ([missing, *others], [*others, missing]):
        place = 0 if y[0] is missing else 2
        with pytest.raises(
            InputError, match=rf"y\[{place}\] is missing \(it is {missing}\)\. Give a (label|number), or"
        ):
            read(y)
        with pytest.raises(InputError, match=rf"y\[{place}\]\[0\] is missing"):
            read([[value] for value in y])


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (["a", None, "b"], None),
        (["a", NAN, "b"], object),
        (["a", None, "b"], "string"),
        (["a", None, "b"], "category"),
        ([1, None, 2], None),
        ([1, None, 2], "Int64"),
        ([True, None, False], "boolean"),
        ([True, None, False], object),
    ],
    ids=str,
)
@pytest.mark.parametrize("read", [read_labels, read_scores])
def test_a_missing_value_of_pandas_is_named_by_its_place(read, values, dtype):
    pd = pytest.importorskip("pandas")
    y = pd.Series(values, dtype=dtype, index=[7, 8, 9])
    with pytest.raises(InputError, match=r"y\[1\] is missing"):
        read(y)
    if y.dtype != object or isinstance(values[0], str):
        assert read_labels(y.dropna()).classes.tolist() == sorted({values[0], values[2]})


def test_what_pandas_has_for_missing_values_is_told_as_it_shows_them():
    pd = pytest.importorskip("pandas")
    for missing, shown in ((pd.NA, "<NA>"), (pd.NaT, "NaT")):
        for read in (read_labels, read_scores):
            with pytest.raises(InputError, match=rf"y\[1\] is missing \(it is {shown}\)"):
                read([1, missing])


def test_a_missing_value_of_several_labels_is_named_by_its_row_and_column():
    with pytest.raises(InputError, match=r"y\[1\]\[2\] is missing \(it is nan\)\. Give a label"):
        read_labels(np.array([[0, 1, 0], [1, 0, NAN]]))


@pytest.mark.parametrize("y", [[1, 2.5], (1, 2.5), np.array([1, 2.5]), [[1], [2.5]], Frame([1, 2.5]).to_numpy()])
def test_scores_are_numbers(y):
    assert read_scores(y) == [1.0, 2.5]


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", 1], "y has something that is no number: .*'a'"),
        ([[1], [1, 2]], "y has something that is no number"),
        ([], "y is empty. Give a number for each example"),
        (None, "requires y to be passed, but the target y is None. Give a number for each example"),
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


def test_an_estimator_raises_a_value_error_whatever_is_wrong_with_its_input():
    with pytest.raises(ValueError, match="X is empty") as raised, as_value_error():
        read_texts([])
    assert type(raised.value) is EstimatorInputError
    assert isinstance(raised.value, InputError)
    assert raised.traceback[-1].name == "rows_of"  # where it was found, not where it was turned
    with pytest.raises(ConfigurationError), as_value_error():
        raise ConfigurationError("of a parameter")


def test_outside_the_estimators_an_input_error_is_no_value_error():
    assert not issubclass(InputError, ValueError)
    assert not issubclass(ConfigurationError, ValueError)

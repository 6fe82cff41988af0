# ruff: noqa: N803 - X is what scikit-learn calls the examples
"""What scikit-learn calls X and y, as texts and their labels.

Legend: N examples, C classes.
"""

import math
import reprlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils.multiclass import type_of_target

from bertsmith.core.errors import EstimatorInputError, InputError
from bertsmith.tasks.sentences.examples import Label

Text = str | tuple[str, str]

_PANDAS_MISSING = ("NAType", "NaTType")  # by name: pandas need not be installed


@dataclass(frozen=True)
class KnownLabels:
    """The labels of all examples.

    classes  [C]  as scikit-learn has them: sorted, or of several labels the numbers of the columns
    names    [C]  of the classes, in the same order, as a file would name them
    labels   [N]  a name for each example, or several
    several       whether an example may have any number of them
    """

    classes: npt.NDArray[Any]
    names: tuple[str, ...]
    labels: tuple[str | tuple[str, ...], ...]
    several: bool


@contextmanager
def as_value_error() -> Iterator[None]:
    """Whatever is wrong with X or y, raised as scikit-learn expects it."""
    try:
        yield
    except InputError as error:
        raise EstimatorInputError(str(error)).with_traceback(error.__traceback__) from None


def read_texts(X: npt.ArrayLike) -> list[Text]:
    """The texts, or pairs of texts, of a sequence, an array [N], [N, 1] or [N, 2], or what has `to_numpy`.

    raises  InputError for anything else, for nothing at all, and for texts among pairs
    """
    values = rows_of(X, "X", "a sequence of texts, or of pairs of texts")
    texts = [_text(value, place) for place, value in enumerate(values)]
    first = texts[0]
    for place, text in enumerate(texts):
        if isinstance(text, str) != isinstance(first, str):
            raise InputError(
                f"X[0] is {_shown(first)} and X[{place}] is {_shown(text)}: give texts or pairs, not both."
            )
    return texts


def rows_of(values: npt.ArrayLike, name: str, wanted: str) -> list[Any]:
    """The members of a sequence or an array, at least one. Raises InputError with what is wanted."""
    if hasattr(values, "to_numpy"):  # a Series or a DataFrame
        values = values.to_numpy()
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"{name} is {_shown(values)}, not {wanted}.")
    rows = list(values)
    if not rows:
        raise InputError(f"{name} is empty. Give {wanted}.")
    return rows


def require_same_length(num_examples: int, num_labels: int) -> None:
    """Raises InputError if there is not one label for each example."""
    if num_examples != num_labels:
        raise InputError(f"X has {num_examples:,} examples and y {num_labels:,} labels. Give one for each.")


def require_value(value: object, where: str, wanted: str) -> None:
    """Raises InputError with the place if a value is None, NaN, or what pandas has for it."""
    if _is_missing(value):
        raise InputError(f"{where} is missing (it is {_shown(value)}). Give {wanted}, or leave the example out.")


def read_labels(y: npt.ArrayLike) -> KnownLabels:
    """The labels of a sequence [N] of texts, whole numbers or truth values, or of a matrix [N, C] of 0 and 1.

    raises  InputError for anything else, for what is missing, for texts among numbers, and for fewer than two classes
    """
    _require_one_type(_members(y, "a label"))
    kind, values = _kind(y)
    if kind == "multilabel-indicator":
        return _several_labels(values)
    if kind not in ("binary", "multiclass"):
        hint = " For numbers there is BertRegressor." if kind.startswith("continuous") else ""
        raise InputError(
            f"y has no labels that can be used (scikit-learn calls it {kind}). Give a text, a whole number or a truth "
            f"value for each example, or for several labels a matrix of 0 and 1.{hint}"
        )
    classes, indices = np.unique(values.ravel(), return_inverse=True)
    if len(classes) < 2:
        raise InputError(f"Every label in y is {_shown(classes[0])}. Classification needs at least two.")
    names = tuple(_name(value) for value in classes.tolist())
    return KnownLabels(classes, names, tuple(names[index] for index in indices), several=False)


def read_scores(y: npt.ArrayLike) -> list[Label]:
    """The numbers of a sequence [N]. Raises InputError for what is none, missing or not finite."""
    values = _members(y, "a number")
    try:
        scores = values.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError(f"y has something that is no number: {_shown(values)}.") from None
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if scores.ndim != 1:
        raise InputError(f"y has the shape {list(scores.shape)}. Give one number for each example.")
    if not np.isfinite(scores).all():
        raise InputError(f"y[{int(np.argmin(np.isfinite(scores)))}] is not a finite number.")
    return [float(score) for score in scores]


def _text(value: object, place: int) -> Text:
    parts = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,)
    texts = [str(part) for part in parts if isinstance(part, str)]  # numpy's texts become Python's
    if len(texts) != len(parts) or len(texts) not in (1, 2):
        raise InputError(f"X[{place}] is {_shown(value)}, not a text or a pair of texts.")
    return texts[0] if len(texts) == 1 else (texts[0], texts[1])


def _members(y: npt.ArrayLike, wanted: str) -> npt.NDArray[np.object_]:
    """What y holds, as it was given: numpy would make texts of a number or NaN beside a text.

    raises  InputError for nothing at all, and for what is missing
    """
    if y is None:
        raise InputError(f"A fit requires y to be passed, but the target y is None. Give {wanted} for each example.")
    try:
        values = np.asarray(y, dtype=object)
    except ValueError as error:
        raise InputError(f"y has no values that can be used: {error}.") from None
    if values.ndim and not len(values):
        raise InputError(f"y is empty. Give {wanted} for each example.")
    place = next((place for place, value in enumerate(values.flat) if _is_missing(value)), None)
    if place is not None:
        require_value(values.flat[place], _where(place, values), wanted)
    return values


def _where(place: int, values: npt.NDArray[np.object_]) -> str:
    """A member of y by its indices: y[3], or of a matrix y[3][0]."""
    return "y" + "".join(f"[{index}]" for index in np.unravel_index(place, values.shape))


def _is_missing(value: object) -> bool:
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or type(value).__name__ in _PANDAS_MISSING


def _require_one_type(values: npt.NDArray[np.object_]) -> None:
    """Raises InputError for texts among other values."""
    are_texts = [isinstance(value, str) for value in values.flat]
    if len(set(are_texts)) < 2:
        return
    places = 0, are_texts.index(not are_texts[0])
    told = " and ".join(f"{_where(place, values)} is {_shown(values.flat[place])}" for place in places)
    raise InputError(f"{told}: give texts or numbers, not both.")


def _kind(y: npt.ArrayLike) -> tuple[str, npt.NDArray[Any]]:
    """What scikit-learn calls such labels, and the labels as an array."""
    try:
        values = np.asarray(y)
        return type_of_target(values, input_name="y"), values
    except (TypeError, ValueError) as error:
        raise InputError(f"y has no labels that can be used: {error}") from None


def _several_labels(values: npt.NDArray[Any]) -> KnownLabels:
    if not np.isin(values, (0, 1)).all():
        raise InputError(f"y is a matrix {list(values.shape)} of other numbers than 0 and 1: these are no labels.")
    classes = np.arange(values.shape[1])
    names = tuple(map(str, classes.tolist()))
    labels = tuple(tuple(names[index] for index in np.flatnonzero(row)) for row in values)
    return KnownLabels(classes, names, labels, several=True)


def _name(value: object) -> str:
    """A class as a file would name it: true, 2, or the text itself."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def _shown(value: object) -> str:
    return reprlib.repr(value.tolist() if isinstance(value, np.ndarray | np.generic) else value)

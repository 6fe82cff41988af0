"""Files -> examples: the texts and the label of each row, checked."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bertsmith.core.console import console
from bertsmith.core.errors import InputError
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.tables import BadRows, Column, OnError, Row, format_of, read_rows
from bertsmith.tasks.task import Examples

_MOST_LABELS = 1000  # more distinct values than this are not a label set that someone meant
_SEPARATOR = ","  # between the labels of a text that has several

Label = str | float | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SentenceExample:
    """One row: a text or a pair, its label, the line it stands on, and what it is called.

    label  a name, several names, a number; None where unknown
    id     None where the row has none
    """

    text: str
    text_pair: str | None
    label: Label | None
    line: int
    id: str | int | float | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The one text, or both."""
        return (self.text,) if self.text_pair is None else (self.text, self.text_pair)

    @property
    def place(self) -> dict[str, object]:
        """Its line, and its id if it has one: what a line of predictions begins with."""
        return {"line": self.line} | ({} if self.id is None else {"id": self.id})


LabelParser = Callable[[object], Label]


def label_parser(
    labels: Sequence[str] | None, *, score_range: tuple[float, float] | None = None, several: bool = False
) -> LabelParser:
    """What turns a table's label value into a label; raises ValueError with the reason if it cannot.

    labels   those that are known; (): any name will do; None: numbers
    several  whether a text may have any number of labels
    """
    if labels is None:
        return lambda value: _score(value, score_range)
    known = frozenset(labels)

    def parse(value: object) -> str:
        label = any_label(value)
        if known and label not in known:
            shown = ", ".join(labels[:10]) + (", ..." if len(labels) > 10 else "")
            raise ValueError(f"the label '{label}' is not one of {shown}")
        return label

    return (lambda value: tuple(map(parse, _parts(value)))) if several else parse


def _parts(value: object) -> Sequence[object]:
    """The labels of a text that may have several: a list, or names with commas between. None at all is allowed."""
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        return [part.strip() for part in value.split(_SEPARATOR) if part.strip()]
    return [] if value is None else [value]


def any_label(value: object) -> str:
    """A label set is not known yet: any name, whole number or truth value will do."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.strip():
        return value.strip()
    if isinstance(value, int):
        return str(value)
    if value is None or isinstance(value, str):
        raise ValueError("the label is empty")
    raise ValueError(f"the label {value!r} is not a name or a whole number; for scores use --regression")


def _score(value: object, score_range: tuple[float, float] | None) -> float:
    try:
        score = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except ValueError:
        score = math.nan
    if not math.isfinite(score):
        raise ValueError(f"the score '{value}' is not a number")
    if score_range is not None and not score_range[0] <= score <= score_range[1]:
        raise ValueError(f"the score {score:g} is not between {score_range[0]:g} and {score_range[1]:g}")
    return score


def parse_example(row: Row, columns: Columns, parse_label: LabelParser | None) -> SentenceExample:
    """One row as an example; raises ValueError with the reason if it is not one, KeyError if it lacks a column.

    An empty text in a tsv or csv is a text without tokens (QQP has some); a missing or null one in jsonl is refused.
    """
    text = _text(row, columns.text)
    text_pair = None if columns.text_pair is None else _text(row, columns.text_pair)
    label = None
    if parse_label is not None and columns.label is not None:
        label = parse_label(row.values[columns.label])
    return SentenceExample(text, text_pair, label, row.line, _id(row.values.get("id")))


def _id(value: object) -> str | int | float | None:
    """A text or a number as it stands; anything else is no id."""
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _text(row: Row, column: Column) -> str:
    value = row.values[column]
    if not isinstance(value, str):
        raise ValueError(f"column '{column}' holds {value!r}, not a text")
    return value


def read_examples(
    path: Path, columns: Columns, parse_label: LabelParser | None, on_error: OnError = "strict"
) -> Examples[SentenceExample]:
    """All examples of a file. Without `parse_label` they have no labels.

    raises  InputError naming file, line and reason for a row that is not an example (on_error "strict"), for a missing
            column, and for a file without a single example
    """
    bad_rows = BadRows(str(path), on_error)
    examples: list[SentenceExample] = []
    for row in read_rows(path, bad_rows, header=columns.have_names):
        try:
            examples.append(parse_example(row, columns, parse_label))
        except ValueError as error:
            bad_rows.add(row.line, str(error))
        except KeyError as error:
            _report_missing_column(path, row, error.args[0], bad_rows)
    bad_rows.print_summary()
    if not examples:
        raise InputError(f"{path} holds no usable row. Give a file with at least one example.")
    _report_empty_texts(path, examples)
    return Examples(path, examples, bad_rows.skipped)


def _report_missing_column(path: Path, row: Row, column: Column, bad_rows: BadRows) -> None:
    present = ", ".join(f"'{name}'" for name in row.values)
    if format_of(path) == "jsonl":  # each line names its own columns
        bad_rows.add(row.line, f"there is no '{column}' among {present}")
        return
    raise InputError(
        f"{path} has no column '{column}'. It has {present}. Name the right ones with --text, --text-pair and --label."
    )


def _report_empty_texts(path: Path, examples: Sequence[SentenceExample]) -> None:
    empty = [example for example in examples if not all(text.strip() for text in example.texts)]
    if empty:
        console.print(
            f"{path}: {len(empty):,} of {len(examples):,} examples have an empty text (the first on line "
            f"{empty[0].line}); they are kept.",
            markup=False,
            soft_wrap=True,
        )


def infer_labels(examples: Examples[SentenceExample]) -> tuple[str, ...]:
    """The distinct labels: in the order of numbers if all are whole numbers, else in code-point order.

    raises  InputError if there is none or only one, or if they look like scores
    """
    rows = [example.label for example in examples.rows]
    labels = sorted({str(label) for row in rows for label in (row if isinstance(row, tuple) else (row,))})
    if len(labels) < 2:
        has = f"every row has the label '{labels[0]}'" if labels else "no row has a label"
        raise InputError(f"{examples.source}: {has}. Classification needs at least two labels.")
    if len(labels) > _MOST_LABELS or _are_fractions(labels):
        raise InputError(
            f"{examples.source}: the label column has {len(labels):,} distinct values, such as '{labels[0]}' and "
            f"'{labels[-1]}'. If they are scores, use --regression; if not, choose another column with --label."
        )
    try:
        return tuple(sorted(labels, key=int))
    except ValueError:
        return tuple(labels)


def _are_fractions(labels: Sequence[str]) -> bool:
    """Whether all are numbers, and some of them not whole."""
    try:
        numbers = [float(label) for label in labels]
    except ValueError:
        return False
    return any(not number.is_integer() for number in numbers)

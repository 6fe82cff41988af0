"""Files -> examples: the layouts of SWAG, CODAH and DREAM, and one's own questions.

| layout | file | what is where |
|---|---|---|
| swag | csv | columns `sent1` (given), `sent2` (the beginning of what follows), `ending0`, `ending1`, ..., `label` |
| codah | tsv without a header | category, given sentence, four completions, number of the right one |
| dream | json | dialogues, each with its questions: see `dream` |
| jsonl | jsonl | `{"context", "question", "choices": [...], "label": number or text, "id"}` |

A label counts from 0. In JSON lines context, question and id may lack, and a label may be the text of a choice. In
SWAG's layout `xxx` means that nothing stands there (Turkish PLU writes so), and so does an empty field; an ending that
is not there is no choice: a file may have two of them, and a question fewer than another.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from bertsmith.core.console import console
from bertsmith.core.errors import InputError
from bertsmith.tasks.choices.dream import read_dialogues
from bertsmith.tasks.choices.examples import ChoiceExample, number_of_choice, place_of_choice
from bertsmith.tasks.tables import BadRows, OnError, Row, format_of, read_rows
from bertsmith.tasks.task import Examples

Layout = Literal["swag", "codah", "dream", "jsonl"]

_NOTHING = ("", "xxx")
_CODAH_STEM, _CODAH_COMPLETIONS, _CODAH_LABEL = 1, range(2, 6), 6


def read_choices(path: Path, layout: Layout, on_error: OnError, *, labelled: bool = True) -> Examples[ChoiceExample]:
    """All examples of a file.

    raises  InputError naming file, line and reason for a row that is not an example (on_error "strict"), for a missing
            column, and for a file without a single example
    """
    bad_rows = BadRows(str(path), on_error)
    if layout == "dream" and path.suffix.lower() == ".json":
        examples = list(read_dialogues(path, bad_rows, labelled=labelled))
    else:
        examples = list(_read_table(path, layout, bad_rows, labelled=labelled))
    bad_rows.print_summary()
    if not examples:
        raise InputError(f"{path} holds no usable question. Give a file with at least one.")
    _report_bare_choices(path, examples)
    groups = [example.context or number for number, example in enumerate(examples)]
    return Examples(path, examples, bad_rows.skipped, groups)


def example_of_row(row: Row, layout: Layout, *, labelled: bool) -> ChoiceExample:
    """A row of a table, or a JSON object. One with `choices` or with `ending0` is understood whatever the layout.

    raises  ValueError with the reason if it is no example, KeyError for a column that is not there
    """
    parse: Callable[[Row, bool], ChoiceExample]
    if "choices" in row.values:
        parse = _own_example
    elif "ending0" in row.values:
        parse = _swag_example
    else:
        parse = _PARSERS[layout]
    return parse(row, labelled)


def _read_table(path: Path, layout: Layout, bad_rows: BadRows, *, labelled: bool) -> Iterator[ChoiceExample]:
    for row in read_rows(path, bad_rows, header=layout != "codah"):
        try:
            yield example_of_row(row, layout, labelled=labelled)
        except ValueError as error:
            bad_rows.add(row.line, str(error))
        except KeyError as error:
            _report_missing_column(path, row, error.args[0], bad_rows)


def _report_missing_column(path: Path, row: Row, column: str | int, bad_rows: BadRows) -> None:
    present = ", ".join(f"'{name}'" for name in row.values)
    if format_of(path) == "jsonl":  # each line names its own columns
        bad_rows.add(row.line, f"there is no '{column}' among {present}")
        return
    raise InputError(
        f"{path} has no column '{column}'. It has {present}. A table of choices has SWAG's columns sent1, sent2, "
        f"ending0, ending1 and so on, and label; or write your questions as JSON lines, each with choices and label."
    )


def _swag_example(row: Row, labelled: bool) -> ChoiceExample:
    endings = [_filled(row, name) for name in _ending_names(row)]
    while endings and not endings[-1]:
        endings.pop()
    if not all(endings):
        first = endings.index("")
        raise ValueError(f"ending{first} is empty, and a later one is not")
    label = number_of_choice(row.values["label"]) if labelled else None
    return ChoiceExample(_filled(row, "sent1"), _filled(row, "sent2"), tuple(endings), label, row.line)


def _ending_names(row: Row) -> Iterator[str]:
    yield "ending0"
    number = 1
    while (name := f"ending{number}") in row.values:
        yield name
        number += 1


def _filled(row: Row, column: str) -> str:
    """What stands in a column of SWAG's layout, "" if nothing does."""
    text = _text(row, column)
    return "" if text.strip() in _NOTHING else text


def _codah_example(row: Row, labelled: bool) -> ChoiceExample:
    completions = tuple(_text(row, place) for place in _CODAH_COMPLETIONS)
    label = number_of_choice(row.values[_CODAH_LABEL]) if labelled else None
    return ChoiceExample(_text(row, _CODAH_STEM), "", completions, label, row.line)


def _own_example(row: Row, labelled: bool) -> ChoiceExample:
    choices = row.values["choices"]
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise ValueError("'choices' is not a list of texts")
    label = None
    if labelled:
        answer = row.values["label"]
        label = place_of_choice(answer, choices) if isinstance(answer, str) else number_of_choice(answer)
    context, question = (_text(row, key) if row.values.get(key) is not None else "" for key in ("context", "question"))
    name = row.values.get("id")
    return ChoiceExample(context, question, tuple(choices), label, row.line, None if name is None else str(name))


def _text(row: Row, column: str | int) -> str:
    value = row.values[column]
    if not isinstance(value, str):
        raise ValueError(f"column '{column}' holds {value!r}, not a text")
    return value


_PARSERS: Mapping[Layout, Callable[[Row, bool], ChoiceExample]] = {
    "swag": _swag_example,
    "codah": _codah_example,
    "dream": _own_example,
    "jsonl": _own_example,
}


def _report_bare_choices(path: Path, examples: Sequence[ChoiceExample]) -> None:
    bare = [example for example in examples if not (example.context.strip() or example.question.strip())]
    if bare:
        console.print(
            f"{path}: {len(bare):,} of {len(examples):,} examples have neither context nor question (the first on line "
            f"{bare[0].line}); their choices alone are read.",
            markup=False,
            soft_wrap=True,
        )

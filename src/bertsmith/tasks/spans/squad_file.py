"""Files of questions: the official JSON of SQuAD 1.1 and 2.0, and one question a row for prediction.

    {"version": "v2.0",
     "data": [{"title": "...",
               "paragraphs": [{"context": "...",
                               "qas": [{"id": "...", "question": "...", "is_impossible": false,
                                        "answers": [{"text": "...", "answer_start": 269}]}]}]}]}

`answer_start` counts characters of the context. Keys beside these are passed over (`plausible_answers`); an id may be
a whole number, an offset may be written as a string (TQuAD). A question that cannot be used is refused by its path in
the JSON, or skipped and listed; nothing is repaired.

An answer whose text does not stand at its offset says what the answer is, not where it is. Such a question is kept,
since it can be scored by text, and it is listed with the skipped ones, since nothing is learnt from it. One answer of
several that stands where it should is enough to learn from.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from bertsmith.core.console import console
from bertsmith.core.errors import InputError
from bertsmith.tasks.tables import BadRows, OnError, Row, read_rows
from bertsmith.tasks.task import Examples

_LISTED = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """A text and the character of the context at which it begins."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """The first character after it."""
        return self.start + len(self.text)

    def stands_in(self, context: str) -> bool:
        """Whether the context has the text at that place."""
        return self.start >= 0 and context.startswith(self.text, self.start)


@dataclass(frozen=True, slots=True)
class Question:
    """A question on a text.

    answers        as people gave them: any of them is right; () where they are unknown, or where there is none
    is_impossible  whether the text does not answer it (SQuAD 2.0)
    """

    id: str
    context: str
    question: str
    answers: tuple[Answer, ...] = ()
    is_impossible: bool = False
    title: str | None = None

    @property
    def lesson(self) -> Answer | None:
        """The answer that a network learns: the first one that stands at its place in the context."""
        return next((answer for answer in self.answers if answer.stands_in(self.context)), None)


def read_questions(path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[Question]:
    """The questions of a file, in its order.

    labelled  whether they must have answers; without, a table or jsonl with `question` and `context` will do as well
    raises    InputError for a file that cannot be read, for a question that cannot be used (on_error "strict"), and
              for a file without any
    """
    if path.suffix.lower() != ".json":
        if labelled:
            raise InputError(f"{path} is not a .json file. Questions with answers are read from SQuAD's JSON.")
        return _questions_of_table(path, on_error)
    left_out: list[tuple[int, str]] = []
    without_lesson: list[tuple[int, str]] = []
    questions: list[Question] = []
    ids: set[str] = set()
    for number, entry in enumerate(_entries(path), start=1):
        try:
            question = _question(entry, labelled=labelled)
            if question.id in ids:
                raise ValueError(f"an earlier question has the same id, '{question.id}'")
        except ValueError as error:
            if on_error == "strict":
                raise InputError(
                    f"{path}, {entry.place}: {error}. Mend the file, or leave out such questions with --on-error skip "
                    f"(they are counted and listed)."
                ) from None
            left_out.append((number, f"{entry.place}: {error}"))
            continue
        ids.add(question.id)
        questions.append(question)
        if question.answers and question.lesson is None:
            without_lesson.append((number, _without_lesson(question)))
    if not questions:
        raise InputError(f"{path} holds no usable question. Give a file with at least one.")
    _print_summary(path, left_out, "left out")
    _print_summary(path, without_lesson, "not learnt from, but scored")
    return Examples(
        path, questions, sorted(left_out + without_lesson), groups=[question.context for question in questions]
    )


def question_of_row(row: Row) -> Question:
    """A question without answers from a row with the columns `question` and `context`; its id, or else its line.

    raises  ValueError with the reason if it is none, KeyError for a column that is not there
    """
    return Question(
        id=_id(row.values.get("id", row.line)),
        context=_filled_text(row.values["context"], "context"),
        question=_text(row.values["question"], "question"),
    )


def _questions_of_table(path: Path, on_error: OnError) -> Examples[Question]:
    bad_rows = BadRows(str(path), on_error)
    questions = []
    for row in read_rows(path, bad_rows):
        try:
            questions.append(question_of_row(row))
        except ValueError as error:
            bad_rows.add(row.line, str(error))
        except KeyError as error:
            bad_rows.add(row.line, f"there is no '{error.args[0]}'")
    bad_rows.print_summary()
    if not questions:
        raise InputError(f"{path} holds no usable row. Give a file with at least one question.")
    return Examples(path, questions, bad_rows.skipped)


class _Entry(NamedTuple):
    """A question as the file has it, and what it stands in."""

    place: str
    article: Mapping[str, object]
    paragraph: Mapping[str, object]
    content: object


def _entries(path: Path) -> Iterator[_Entry]:
    """The entries of SQuAD's JSON. Raises InputError where it is not that."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
    try:
        for article_place, article in _members(content, "data", ""):
            for paragraph_place, paragraph in _members(article, "paragraphs", article_place):
                for place, question in _members(paragraph, "qas", paragraph_place):
                    yield _Entry(place, article, paragraph, question)
    except ValueError as error:
        raise InputError(f"{path} is not SQuAD's JSON: {error}.") from None


def _members(holder: object, key: str, place: str) -> list[tuple[str, Any]]:
    """The members of a list in an object, each with its place; raises ValueError if there is no such list."""
    values = holder.get(key) if isinstance(holder, dict) else None
    if not isinstance(values, list):
        raise ValueError(f"{place or 'the whole'} is not an object with a list '{key}'")
    return [(f"{place}.{key}[{index}]".lstrip("."), value) for index, value in enumerate(values)]


def _question(entry: _Entry, *, labelled: bool) -> Question:
    if not isinstance(entry.content, dict):
        raise ValueError("it is not an object")
    title, is_impossible = entry.article.get("title"), entry.content.get("is_impossible", False)
    if not isinstance(is_impossible, bool):
        raise ValueError(f"'is_impossible' is {is_impossible!r}, not true or false")
    answers = _answers(entry.content.get("answers", [])) if labelled else ()
    if labelled and is_impossible == bool(answers):
        raise ValueError("it is impossible, and has answers" if answers else "it has no answers")
    return Question(
        id=_id(entry.content.get("id")),
        context=_filled_text(entry.paragraph.get("context"), "context"),
        question=_text(entry.content.get("question"), "question"),
        answers=answers,
        is_impossible=is_impossible and labelled,
        title=title if isinstance(title, str) else None,
    )


def _answers(values: object) -> tuple[Answer, ...]:
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise ValueError("'answers' is not a list of objects")
    return tuple(
        Answer(_filled_text(value.get("text"), "text"), _offset(value.get("answer_start"))) for value in values
    )


def _offset(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise ValueError(f"'answer_start' is {value!r}, not a whole number")


def _id(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError(f"'id' is {value!r}, not a name or a whole number")
    return str(value)


def _text(value: object, key: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"'{key}' is {value!r}, not a text")
    return value


def _filled_text(value: object, key: str) -> str:
    text = _text(value, key)
    if not text.strip():
        raise ValueError(f"'{key}' is empty")
    return text


def _without_lesson(question: Question) -> str:
    answer = question.answers[0]
    return (
        f"question {question.id}: '{answer.text}' does not stand at character {answer.start} of its context, so it is "
        f"scored by its text and nothing is learnt from it"
    )


def _print_summary(path: Path, skipped: list[tuple[int, str]], what: str) -> None:
    if not skipped:
        return
    first = "; ".join(reason for _, reason in skipped[:_LISTED])
    more = f"; and {len(skipped) - _LISTED:,} more" if len(skipped) > _LISTED else ""
    questions = "1 question" if len(skipped) == 1 else f"{len(skipped):,} questions"
    console.print(f"{path}: {questions} {what}. {first}{more}.", markup=False, soft_wrap=True)

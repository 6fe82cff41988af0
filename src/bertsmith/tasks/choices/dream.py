"""DREAM's files: one JSON array of dialogues, each with its questions (Sun et al. 2019).

    [[["W: ...", "M: ..."], [{"question": "...", "choice": ["...", "...", "..."], "answer": "..."}], "14-349"], ...]

The answer is the text of the right choice. A question is called after its dialogue and its number in it: `14-349/1`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from bertsmith.core.errors import InputError
from bertsmith.tasks.choices.examples import ChoiceExample, place_of_choice
from bertsmith.tasks.tables import BadRows

_BLANKS = re.compile(r"[ \t\r\n]*")


def read_dialogues(path: Path, bad_rows: BadRows, *, labelled: bool) -> Iterator[ChoiceExample]:
    """The questions of a file, in order; the context of each is its dialogue, a turn a line.

    raises  InputError for a file that cannot be read or is no JSON array
    """
    for line, dialogue in _items(_text_of(path), path):
        try:
            turns, questions, name = _parts(dialogue)
        except ValueError as error:
            bad_rows.add(line, str(error))
            continue
        for number, question in enumerate(questions, start=1):
            try:
                yield _example("\n".join(turns), question, line, f"{name}/{number}", labelled=labelled)
            except ValueError as error:
                bad_rows.add(line, f"question {number} of dialogue {name}: {error}")


def _text_of(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} cannot be used: byte {error.start:,} is not UTF-8.") from None


def _items(text: str, path: Path) -> Iterator[tuple[int, object]]:
    """The items of a JSON array, each with the line on which it begins (from 1)."""
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: line {error.lineno}: {error.msg}.") from None
    if not isinstance(items, list):
        raise InputError(f"{path} is no JSON array of dialogues, and DREAM's files are.")
    decoder = json.JSONDecoder()
    bracket_or_comma, line, counted = text.index("["), 1, 0
    for item in items:
        start = _after_blanks(text, bracket_or_comma + 1)
        line, counted = line + text.count("\n", counted, start), start
        _, end = decoder.raw_decode(text, start)
        bracket_or_comma = _after_blanks(text, end)
        yield line, item


def _after_blanks(text: str, place: int) -> int:
    blanks = _BLANKS.match(text, place)
    assert blanks is not None  # no blanks match, too
    return blanks.end()


def _parts(dialogue: object) -> tuple[list[str], list[object], str]:
    """Turns, questions and name of a dialogue."""
    if not isinstance(dialogue, list) or len(dialogue) != 3:
        raise ValueError("a dialogue is a list of three: its turns, its questions and its name")
    turns, questions, name = dialogue
    if not isinstance(turns, list) or not all(isinstance(turn, str) for turn in turns):
        raise ValueError("the turns of the dialogue are not a list of texts")
    if not isinstance(questions, list):
        raise ValueError("the questions of the dialogue are not a list")
    return turns, questions, str(name)


def _example(context: str, question: object, line: int, name: str, *, labelled: bool) -> ChoiceExample:
    if not isinstance(question, dict):
        raise ValueError("it is no JSON object")
    needed = ("question", "choice", "answer") if labelled else ("question", "choice")
    missing = [key for key in needed if key not in question]
    if missing:
        raise ValueError(f"it has no '{missing[0]}'")
    asked, choices = question["question"], question["choice"]
    if (
        not isinstance(asked, str)
        or not isinstance(choices, list)
        or not all(isinstance(text, str) for text in choices)
    ):
        raise ValueError("'question' is not a text, or 'choice' not a list of texts")
    label = place_of_choice(question["answer"], choices) if labelled else None
    return ChoiceExample(context, asked, tuple(choices), label, line, name)

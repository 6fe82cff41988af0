"""The verb `predict`: texts or pairs in, a line of JSON out for each, in the order of the input.

The input streams: a window of rows is read, sorted by length (so that texts of similar length share a batch),
predicted, and put back in order before the next window is read. Memory does not grow with the input.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

from pydantic import Field

from bertsmith.core.configuration import Settings
from bertsmith.core.errors import InputError
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.tables import FORMATS, BadRows, OnError, TableFormat, decoded_lines, rows_of_stream
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_model import TaskModel

_WINDOW = 2048  # rows that are sorted by length together

InputFormat = Literal["auto", "jsonl", "csv", "tsv", "lines"]


class PredictConfig(Settings):
    """Predict with a fine-tuned model."""

    model: Path = Field(description="fine-tuned model: the --out folder of `finetune`, or the model/ in it")
    input: Path = Field(Path("-"), description="file with one example a row, or - for standard input")
    format: InputFormat = Field(
        "auto",
        description="auto: by the ending (.jsonl, .csv, .tsv; else lines); lines: a text, or two with a tab between",
    )
    text: str | None = Field(None, description="column of the text; default: the task's")
    text_pair: str | None = Field(None, description="column of the second text; default: the task's")
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")
    max_seq_length: int | None = Field(None, ge=4, description="longest input in tokens; default: as in fine-tuning")
    runtime: InferenceSettings = InferenceSettings()


def predict(config: PredictConfig) -> Iterator[dict[str, object]]:
    """Predict each row: {"line", "label", "probabilities"}, or {"line", "score"} for a regression, in input order.

    raises  InputError for a file, row or column that cannot be used
    """
    model = TaskModel.load(config.model, config.runtime, config.max_seq_length)
    task = model.task.with_columns(ColumnSettings(text=config.text, text_pair=config.text_pair))
    bad_rows = BadRows("standard input" if str(config.input) == "-" else str(config.input), config.on_error)
    with _open_input(config.input) as stream:
        examples = _examples(stream, _input_format(config, stream), task, bad_rows)
        while window := list(islice(examples, _WINDOW)):
            for example, prediction in zip(window, model.predictions(window, config.runtime.batch_size), strict=True):
                yield task.entry(example, prediction)
    bad_rows.print_summary()


@contextmanager
def _open_input(path: Path) -> Iterator[BufferedReader]:
    if str(path) == "-":
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as stream:
            yield stream
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def _input_format(config: PredictConfig, stream: BufferedReader) -> Literal["jsonl", "csv", "tsv", "lines"]:
    """The format that was named, or that the file's ending names; standard input is JSON if it starts with a brace."""
    if config.format != "auto":
        return config.format
    if str(config.input) == "-":
        return "jsonl" if stream.peek(1).lstrip(b"\xef\xbb\xbf \r\n")[:1] == b"{" else "lines"
    if config.input.suffix.lower() == ".txt":
        return "lines"
    return FORMATS.get(config.input.suffix.lower(), "lines")


def _examples(stream: BinaryIO, input_format: str, task: Task[Any, Any], bad_rows: BadRows) -> Iterator[Any]:
    if input_format == "lines":
        yield from _examples_of_lines(stream, task, bad_rows)
        return
    for row in rows_of_stream(stream, cast(TableFormat, input_format), bad_rows, header=task.has_header):
        try:
            yield task.example_of_row(row)
        except ValueError as error:
            bad_rows.add(row.line, str(error))
        except KeyError as error:
            present = ", ".join(f"'{name}'" for name in row.values)
            bad_rows.add(row.line, f"there is no '{error.args[0]}' among {present}; name it with --text or --text-pair")


def _examples_of_lines(stream: BinaryIO, task: Task[Any, Any], bad_rows: BadRows) -> Iterator[Any]:
    for number, line in decoded_lines(stream, bad_rows):
        try:
            yield task.example_of_line(number, line.removesuffix("\n"))
        except ValueError as error:
            bad_rows.add(number, str(error))

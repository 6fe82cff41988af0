"""The verb `predict`: examples of a task in, a line of JSON out for each, in the order of the input.

Tables, JSON lines and plain lines stream: a window of rows is read, sorted by length (so that texts of similar length
share a batch), predicted, and put back in order before the next window is read. Memory does not grow with the input.
A pipe that pauses is answered as far as it has come. A file in the task's own layout is read whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self, cast

from pydantic import Field, model_validator

from bertsmith.core.artefact import require_free
from bertsmith.core.configuration import Settings
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.input_stream import begins_with_columns, guess_format, open_input, windows_of
from bertsmith.tasks.official_files import require_every_row, write_official_files
from bertsmith.tasks.reading import reading_task
from bertsmith.tasks.tables import FORMATS, BadRows, OnError, TableFormat, decoded_lines, rows_of_stream
from bertsmith.tasks.task import Examples, Task
from bertsmith.tasks.task_model import TaskModel, report_cuts

_WINDOW = 2048  # rows that are sorted by length together

InputFormat = Literal["auto", "jsonl", "csv", "tsv", "lines", "task"]


class PredictConfig(Settings):
    """Predict with a fine-tuned model."""

    model: Path = Field(description="fine-tuned model: the --out folder of `finetune`, or the model/ in it")
    input: Path = Field(Path("-"), description="file with one example a row, or - for standard input")
    format: InputFormat = Field(
        "auto",
        description="auto: task if the file is called like one of the task's own (eng.testb), else by the ending "
        "(.jsonl, .csv, .tsv, .json, .conll; else lines); lines: a text, or two with a tab between; task: the task's "
        "own layout (SQuAD's JSON, CoNLL columns, GLUE's test files)",
    )
    text: str | None = Field(None, description="column of the text; default: the task's")
    text_pair: str | None = Field(None, description="column of the second text; default: the task's")
    official: Path | None = Field(
        None, description="new folder for the files that the official evaluation reads; the input is read as `task`"
    )
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")
    max_seq_length: int | None = Field(None, ge=8, description="longest input in tokens; default: as in fine-tuning")
    runtime: InferenceSettings = InferenceSettings()

    @model_validator(mode="after")
    def _leaves_no_row_out(self) -> Self:
        require_every_row(self.official, self.on_error)
        return self


def predict(config: PredictConfig) -> Iterator[dict[str, object]]:
    """Predict each example, in input order, as the task's `entry` says it: {"line", "label", "probabilities"}, ...

    raises  InputError for a file, row or column that cannot be used, after the predictions for the rows before it
    """
    model = TaskModel.load(config.model, config.runtime, config.max_seq_length)
    columns = ColumnSettings(text=config.text, text_pair=config.text_pair)
    task = reading_task(model.task, model.task, columns)
    input_format = "task" if config.official is not None else _named_format(config, task)
    if input_format == "task":
        yield from _predict_whole_file(config, model, task)
        return
    bad_rows = BadRows("standard input" if str(config.input) == "-" else str(config.input), config.on_error)
    with open_input(config.input) as stream:
        input_format = input_format or guess_format(stream)
        if config.format == "auto" and input_format == "lines" and task.kind == "tags":
            _refuse_columns(stream, bad_rows.name)
        windows = windows_of(config.input, stream, _examples(stream, input_format, task, bad_rows), _WINDOW)
        for example, prediction in _answered(model, windows, config.runtime.batch_tokens):
            yield task.entry(example, prediction)
    bad_rows.print_summary()


def _answered(model: TaskModel, windows: Iterable[Sequence[Any]], batch_tokens: int) -> Iterator[tuple[Any, Any]]:
    """Each example with its prediction; at the end, however it comes, say how many were cut."""
    num_inputs = num_cut = 0
    try:
        for window in windows:
            encoded = model.encode(window)
            num_inputs, num_cut = num_inputs + len(window), num_cut + encoded.num_cut
            yield from zip(window, model.predictions(window, encoded, batch_tokens), strict=True)
    finally:
        report_cuts(num_cut, num_inputs, model.limits)


def _predict_whole_file(config: PredictConfig, model: TaskModel, task: Task[Any, Any]) -> Iterator[dict[str, object]]:
    """Read a file in the layout of its task, and write the official files if they are asked for."""
    if str(config.input) == "-":
        raise ConfigurationError(
            "A file in the task's own layout, as --official needs it, is not read from standard input."
        )
    if config.official is not None:
        require_free(config.official)
    examples = task.read(config.input, config.on_error, labelled=False)
    answered: Iterable[tuple[Any, Any]] = _answered(model, _windows_of_file(examples), config.runtime.batch_tokens)
    if config.official is not None:
        answered = list(answered)
        write_official_files(config.official, task, [prediction for _, prediction in answered], examples.rows)
    for example, prediction in answered:
        yield task.entry(example, prediction)


def _windows_of_file(examples: Examples[Any]) -> Iterator[Sequence[Any]]:
    """Windows that part no group: the sentences of a document are each other's context."""
    rows, groups = examples.rows, examples.groups
    start = 0
    while start < len(rows):
        stop = min(start + _WINDOW, len(rows))
        while groups and stop < len(rows) and groups[stop] == groups[stop - 1]:
            stop += 1
        yield rows[start:stop]
        start = stop


def _named_format(config: PredictConfig, task: Task[Any, Any]) -> InputFormat | None:
    """The format that was named, or that the file's name tells; None for standard input."""
    if config.format != "auto":
        return config.format
    if str(config.input) == "-":
        return None
    if config.input.name in {Path(name).name for names in task.files.values() for name in names}:
        return "task"
    ending = config.input.suffix.lower()
    if ending == ".txt":
        return "lines"
    return FORMATS.get(ending, "task" if ending == ".json" or ending in task.endings else "lines")


def _refuse_columns(stream: BufferedReader, name: str) -> None:
    if begins_with_columns(stream):
        raise InputError(
            f"{name} begins like a file in CoNLL's columns, with a word a line, and would be read as if each line were "
            f"a sentence. Give the file's name and --format task; or --format lines, if its lines are sentences."
        )


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

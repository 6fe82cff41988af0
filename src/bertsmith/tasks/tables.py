"""Rows of tsv, csv and jsonl files, each with the line it stands on.

| format | what it is here |
|---|---|
| `.tsv`, `.txt` | one row a line, cut at tabs; a quotation mark is an ordinary character, as GLUE's files need |
| `.csv` | RFC 4180: commas, double quotes, line breaks inside quotes |
| `.jsonl` | one JSON object a line |

All are UTF-8, with or without a byte-order mark, with LF or CRLF. The first row of a tsv or csv names the columns,
unless the task says that there is none (CoLA). Blank lines hold no row and are passed over. A row that cannot be used
is refused by file, line and reason, or skipped and listed (`BadRows`); it is never repaired, never dropped in silence.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from bertsmith.core.console import console
from bertsmith.core.errors import InputError

OnError = Literal["strict", "skip"]
TableFormat = Literal["tsv", "csv", "jsonl"]
Column = str | int  # a column by its name, or by its place (from 0) in a file without a header

FORMATS: Mapping[str, TableFormat] = {".tsv": "tsv", ".csv": "csv", ".jsonl": "jsonl", ".txt": "tsv"}

_FIELD_LIMIT = 1 << 26  # characters of one csv field; the library's default of 131,072 is shorter than a long document
_LISTED = 5


class Row(NamedTuple):
    """One row: the line it starts on (from 1) and its values by column."""

    line: int
    values: Mapping[Column, object]


@dataclass
class BadRows:
    """What becomes of rows that cannot be used: "strict" refuses the first, "skip" lists them all."""

    name: str
    on_error: OnError = "strict"
    skipped: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, reason: str) -> None:
        """Report the row on `line`; raises InputError unless bad rows are to be skipped."""
        if self.on_error == "strict":
            raise InputError(
                f"{self.name}, line {line}: {reason}. Mend the line, or leave out such rows with --on-error skip "
                f"(they are counted and listed)."
            )
        self.skipped.append((line, reason))

    def print_summary(self) -> None:
        """Say on the screen how many rows were skipped, and the first few with their reasons."""
        if not self.skipped:
            return
        first = "; ".join(f"line {line}: {reason}" for line, reason in self.skipped[:_LISTED])
        more = f"; and {len(self.skipped) - _LISTED:,} more" if len(self.skipped) > _LISTED else ""
        rows = "1 row" if len(self.skipped) == 1 else f"{len(self.skipped):,} rows"
        console.print(f"{self.name}: {rows} skipped. {first}{more}.", markup=False, soft_wrap=True)


def format_of(path: Path) -> TableFormat:
    """The format that a file's name announces."""
    try:
        return FORMATS[path.suffix.lower()]
    except KeyError:
        raise InputError(
            f"{path} has an ending that says nothing about its format. Use a name that ends in .tsv, .csv or .jsonl."
        ) from None


def read_rows(path: Path, bad_rows: BadRows, *, header: bool = True) -> Iterator[Row]:
    """The rows of a tsv, csv or jsonl file, one at a time. Raises InputError for a file that cannot be read."""
    table_format = format_of(path)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    with stream:
        yield from rows_of_stream(stream, table_format, bad_rows, header=header)


def rows_of_stream(
    stream: BinaryIO, table_format: TableFormat, bad_rows: BadRows, *, header: bool = True
) -> Iterator[Row]:
    """The rows of an open table, one at a time, as they arrive."""
    if table_format == "jsonl":
        return _json_rows(stream, bad_rows)
    records = _csv_records(stream, bad_rows) if table_format == "csv" else _tsv_records(stream, bad_rows)
    return _named_rows(records, bad_rows, header=header)


def decoded_lines(stream: BinaryIO, bad_rows: BadRows) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line, ending in LF even if it ended in CRLF. A byte-order mark is not text."""
    for number, line in enumerate(stream, start=1):
        content = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if content.endswith(b"\r\n"):
            content = content[:-2] + b"\n"
        try:
            yield number, content.decode("utf-8")
        except UnicodeDecodeError as error:
            bad_rows.add(number, f"byte {error.start + 1} of the line is not UTF-8")


def _tsv_records(stream: BinaryIO, bad_rows: BadRows) -> Iterator[tuple[int, list[str]]]:
    for number, text in decoded_lines(stream, bad_rows):
        if line := text.removesuffix("\n"):
            yield number, line.split("\t")


def _csv_records(stream: BinaryIO, bad_rows: BadRows) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(_FIELD_LIMIT)
    last_line = 0

    def texts() -> Iterator[str]:
        nonlocal last_line
        for last_line, text in decoded_lines(stream, bad_rows):  # noqa: B007 - read below: where a record ends
            yield text

    reader = csv.reader(texts(), strict=True)
    while True:
        first_line = last_line + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad_rows.add(first_line, f"not a row of a csv file ({error})")
            continue
        if record:
            yield first_line, record


def _named_rows(records: Iterator[tuple[int, list[str]]], bad_rows: BadRows, *, header: bool) -> Iterator[Row]:
    columns: list[Column] | None = None
    for line, record in records:
        if columns is None:
            columns = _columns(record, bad_rows.name) if header else list(range(len(record)))
            if header:
                continue
        if len(record) != len(columns):
            bad_rows.add(line, f"it has {_count(len(record))} where the first line has {len(columns)}")
            continue
        yield Row(line, dict(zip(columns, record, strict=True)))


def _columns(record: list[str], name: str) -> list[Column]:
    columns = [column.strip() for column in record]
    repeated = sorted({column for column in columns if columns.count(column) > 1})
    if repeated:
        raise InputError(f"{name}: the first line names the column '{repeated[0]}' twice. Give each its own name.")
    return list(columns)


def _count(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"


def _json_rows(stream: BinaryIO, bad_rows: BadRows) -> Iterator[Row]:
    for number, text in decoded_lines(stream, bad_rows):
        if not text.strip():
            continue
        try:
            values = json.loads(text)
        except ValueError as error:
            bad_rows.add(number, f"not JSON ({error})")
            continue
        except RecursionError:
            bad_rows.add(number, "its JSON is nested too deeply")
            continue
        if not isinstance(values, dict):
            bad_rows.add(number, f"a JSON {type(values).__name__}, not an object with named columns")
            continue
        yield Row(number, values)

"""Texts out of records: JSON lines and parquet."""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from bertsmith.core.errors import InputError
from bertsmith.text.decoding import clean_text
from bertsmith.text.formats import compression_of_content
from bertsmith.text.reading_report import OnError, ReadingFinding, ReadingReport
from bertsmith.text.sources import Source

MAX_JSON_LINE_CHARACTERS = 1 << 25  # 32 Mi: a line has to be in memory as a whole
_PARQUET_ROWS = 64  # at a time
_TEXT_TYPES = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_binary_view,
)


def jsonl_texts(
    lines: Iterable[tuple[str, bool]], name: str, text_field: str, on_error: OnError, report: ReadingReport
) -> Iterator[str]:
    """The text of each JSON object, one a line; blank lines are no records.

    raises  InputError under `strict` for a line that is no JSON object, is over 32 Mi characters, or lacks the text
    """
    for number, line in enumerate(_whole_lines(lines), start=1):
        where = f"{name}, line {number:,}"
        if line is None:
            limit = f"{where} has more than {MAX_JSON_LINE_CHARACTERS >> 20} Mi characters, the most that is read."
            report.damage(ReadingFinding.LONG_LINE, where, on_error, limit)
        elif line and not line.isspace():
            text = _text_of_line(line, where, text_field, on_error, report)
            if text is not None:
                yield text


def _text_of_line(line: str, where: str, text_field: str, on_error: OnError, report: ReadingReport) -> str | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "too large a number, or nested too deeply"
        report.damage(ReadingFinding.NOT_JSON, where, on_error, f"{where} is not JSON: {reason}.")
        return None
    if not isinstance(record, dict):
        report.damage(ReadingFinding.NOT_JSON, where, on_error, f"{where} is not a JSON object.")
        return None
    text = record.get(text_field)
    if not isinstance(text, str):
        fields = ", ".join(list(record)[:8]) or "none"
        explanation = f"{where} has no text in the field '{text_field}'; its fields are: {fields}. See --text-field."
        report.damage(ReadingFinding.NO_TEXT_FIELD, where, on_error, explanation)
        return None
    return clean_text(text, where, on_error, report)


def _whole_lines(pieces: Iterable[tuple[str, bool]]) -> Iterator[str | None]:
    """Put the pieces of long lines together; None for a line that is too long."""
    parts: list[str] = []
    size = 0
    for piece, ends in pieces:
        size += len(piece)
        if size <= MAX_JSON_LINE_CHARACTERS:
            parts.append(piece)
        else:
            parts.clear()
        if ends:
            yield "".join(parts) if size <= MAX_JSON_LINE_CHARACTERS else None
            parts, size = [], 0


def parquet_texts(
    source: Source, blocks: Iterable[bytes], text_field: str, on_error: OnError, report: ReadingReport
) -> Iterator[str]:
    """The text of each row, a few rows at a time; rows without text are counted.

    raises  InputError if the column is not there or holds no text, and under `strict` if the file is damaged
    """
    begun = report.stored_bytes_read
    try:
        with _seekable(source, blocks) as stream, pq.ParquetFile(stream, buffer_size=1 << 20) as file:
            _check_column(file.schema_arrow, source.name, text_field)
            row = 0
            for batch in file.iter_batches(_PARQUET_ROWS, columns=[text_field], use_threads=False):
                for value in _as_bytes(batch.column(0)):
                    row += 1
                    text = _text_of_value(value, f"{source.name}, row {row:,}", on_error, report)
                    if text is not None:
                        yield text
                report.stored_bytes_read = begun + (source.size or 0) * row // file.metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's or the network's, not the data's
            raise InputError(f"{source.name} cannot be read: {error.strerror}.") from None
        explanation = f"{source.name} is cut short or damaged: it cannot be read to its end ({error})."
        report.damage(ReadingFinding.DAMAGED_PARQUET, source.name, on_error, explanation)


def _text_of_value(value: bytes | None, where: str, on_error: OnError, report: ReadingReport) -> str | None:
    if value is None:
        report.damage(ReadingFinding.NO_TEXT_FIELD, where, on_error, f"{where} has no text (null).")
        return None
    report.bytes_read += len(value)
    return clean_text(value.decode("utf-8", "surrogateescape"), where, on_error, report)


def _check_column(schema: pa.Schema, name: str, text_field: str) -> None:
    if text_field not in schema.names:
        columns = ", ".join(schema.names[:12])
        raise InputError(f"{name} has no column '{text_field}'; its columns are: {columns}. Set --text-field.")
    column = schema.field(text_field).type
    if pa.types.is_dictionary(column):
        column = column.value_type
    if not any(is_text(column) for is_text in _TEXT_TYPES):
        raise InputError(f"The column '{text_field}' of {name} holds {column}, not text. Set --text-field.")


def _as_bytes(column: pa.Array) -> list[bytes | None]:
    """Values undecoded: what is not UTF-8 is ours to judge."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    values: list[bytes | None] = column.cast(pa.large_binary()).to_pylist()
    return values


@contextmanager
def _seekable(source: Source, blocks: Iterable[bytes]) -> Iterator[BinaryIO]:
    """The file itself; or, of compressed data or a pipe, a copy on the disk, for parquet is read from its end."""
    if source.size is not None:
        with source.open() as stored:
            if compression_of_content(stored.peek(4)) is None:
                yield stored
                return
    with tempfile.TemporaryFile() as copy:
        copy.writelines(blocks)
        copy.seek(0)
        yield copy

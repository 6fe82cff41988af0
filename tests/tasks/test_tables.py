"""Rows of tsv, csv and jsonl: what is read, what is refused, and with which words."""

import io

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.tables import BadRows, read_rows, rows_of_stream


def rows(content: bytes, table_format, on_error="strict", header=True):
    bad_rows = BadRows("FILE", on_error)
    return [
        (row.line, row.values) for row in rows_of_stream(io.BytesIO(content), table_format, bad_rows, header=header)
    ], bad_rows.skipped


@pytest.mark.parametrize(
    ("table_format", "content", "expected"),
    [
        ("tsv", b"a\tb\n1\t2\n", [(2, {"a": "1", "b": "2"})]),
        ("tsv", b"a\tb\r\n1\t2\r\n", [(2, {"a": "1", "b": "2"})]),
        ("tsv", b"\xef\xbb\xbfa\tb\n1\t2", [(2, {"a": "1", "b": "2"})]),
        ("tsv", b'a\tb\n"1\t2"\n\n3\t\n', [(2, {"a": '"1', "b": '2"'}), (4, {"a": "3", "b": ""})]),
        ("tsv", "a\tb\nx\u2028y\t\x85\n".encode(), [(2, {"a": "x\u2028y", "b": "\x85"})]),
        ("csv", b'a,b\n"1,\n""x""",2\n3,4\n', [(2, {"a": '1,\n"x"', "b": "2"}), (4, {"a": "3", "b": "4"})]),
        ("csv", b"\xef\xbb\xbfa,b\r\n1,\r\n", [(2, {"a": "1", "b": ""})]),
        ("jsonl", b'{"a": "1", "b": 2}\n\n{"a": "\\n"}\n', [(1, {"a": "1", "b": 2}), (3, {"a": "\n"})]),
    ],
)
def test_a_row_has_its_line_and_its_values_by_column(table_format, content, expected):
    assert rows(content, table_format) == (expected, [])


def test_without_a_header_columns_are_places():
    assert rows(b"x\t1\ny\t0\n", "tsv", header=False)[0] == [(1, {0: "x", 1: "1"}), (2, {0: "y", 1: "0"})]


@pytest.mark.parametrize(
    ("table_format", "content", "line", "reason"),
    [
        ("tsv", b"a\tb\n1\t2\n1\n", 3, "it has 1 column where the first line has 2"),
        ("tsv", b"a\tb\n1\t2\t3\n", 2, "it has 3 columns where the first line has 2"),
        ("tsv", b"a\tb\n1\t\xff\n", 2, "byte 3 of the line is not UTF-8"),
        ("csv", b'a,b\n1,2\n"1"x,2\n', 3, "not a row of a csv file"),
        ("csv", b'a,b\n"1\n2"\n', 2, "it has 1 column where the first line has 2"),
        ("csv", b'a,b\n1,"2\n', 2, "not a row of a csv file"),
        ("jsonl", b'{"a": 1}\n{"a": \n', 2, "not JSON"),
        ("jsonl", b'["a"]\n', 1, "a JSON list, not an object"),
        ("jsonl", b'{"a": 1}\n' + b"[" * 100_000 + b"]" * 100_000, 2, "its JSON is nested too deeply"),
    ],
)
def test_a_bad_row_is_refused_by_line_and_reason_or_skipped_and_listed(table_format, content, line, reason):
    with pytest.raises(InputError, match=f"^FILE, line {line}: .*{reason}"):
        rows(content, table_format)
    _, skipped = rows(content, table_format, on_error="skip")
    assert len(skipped) == 1
    assert skipped[0][0] == line
    assert reason in skipped[0][1]


def test_good_rows_around_a_bad_one_are_kept():
    assert rows(b"a\n1\n2\t3\n4\n", "tsv", "skip")[0] == [(2, {"a": "1"}), (4, {"a": "4"})]
    assert rows(b'a\n1\n"2"x\n4\n', "csv", "skip")[0] == [(2, {"a": "1"}), (4, {"a": "4"})]


def test_a_column_named_twice_is_refused():
    with pytest.raises(InputError, match="names the column 'a' twice"):
        rows(b"a\ta\n1\t2\n", "tsv")


def test_a_long_document_in_a_csv_field_is_read():
    text = "word " * 100_000
    assert rows(f"a\n{text}\n".encode(), "csv")[0] == [(2, {"a": text})]


def test_a_missing_file_and_an_unknown_ending_are_errors_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        list(read_rows(tmp_path / "none.tsv", BadRows("none")))
    with pytest.raises(InputError, match=r"Use a name that ends in \.tsv, \.csv or \.jsonl"):
        list(read_rows(tmp_path / "data.xlsx", BadRows("data")))

"""Documents out of every format, clean and dirty, under every policy."""

import gzip
import json
import os
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sources import plant, zstd

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.text import decoding, documents, records
from bertsmith.text.documents import ReadingSettings, read_source
from bertsmith.text.reading_report import ReadingFinding, ReadingReport
from bertsmith.text.sources import find_sources

POLICIES = ("strict", "replace", "skip")


def read(*inputs, report=None, **setting) -> list[str]:
    """The text of each document, its pieces joined by '|'."""
    texts: list[str] = []
    settings, report = ReadingSettings(inputs=tuple(map(str, inputs)), **setting), report or ReadingReport()
    sources = find_sources(settings.inputs, settings.format, report)
    for piece in (piece for source in sources for piece in read_source(source, settings, report)):
        if piece.continues:
            texts[-1] += "|" + piece.text
        else:
            texts.append(piece.text)
    return texts


def read_content(tmp_path, name: str, content: bytes | str, report=None, **setting) -> list[str]:
    plant(tmp_path, {name: content})
    return read(tmp_path / name, report=report, **setting)


def counts(report: ReadingReport) -> dict[ReadingFinding, int]:
    return {finding: found.count for finding, found in report.findings.items()}


WIKI = """<doc id="12" url="https://en.wikipedia.org/wiki?curid=12" title="Rock &amp; Roll">
Rock &amp; Roll

Music.
History.
It began &lt;early&gt; in the last century.
The second paragraph comes after it.<br>
Early life.
Songs.
Many.

See also.
</doc>
<doc id="13" url="u" title="Empty">
Empty

</doc>
<doc id="14" url="u" title="A stub">
A stub

Short but no heading.
References.
<br>

</doc>
"""

LAYOUTS = [  # format, content, documents
    ("text", "One.\nTwo.\n\nThree.\n", ["One.\nTwo.\nThree."]),
    ("text", "One.", ["One."]),
    ("blocks", "One.\nTwo.\n\n\n \nThree.\nFour.", ["One.\nTwo.", "Three.\nFour."]),
    ("blocks", "\n\nOne.\n\n", ["One."]),
    ("lines", "One. Two.\nThree.\n\nFour.", ["One. Two.", "Three.", "Four."]),
    (
        "wiki",
        WIKI,
        [
            "Music.\nIt began <early> in the last century.\nThe second paragraph comes after it.\nMany.\nSee also.",
            "Short but no heading.",
        ],
    ),
    ("jsonl", '{"text": "One.\\nTwo.", "id": 1}\n\n{"text": "Three."}', ["One.\nTwo.", "Three."]),
]


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode()), lambda t: zstd(t.encode())])
@pytest.mark.parametrize(("layout", "content", "expected"), LAYOUTS)
def test_each_format_gives_its_documents_plain_or_compressed(tmp_path, layout, content, expected, pack):
    assert read_content(tmp_path, "corpus", pack(content), format=layout) == expected


@pytest.mark.parametrize(("layout", "content", "expected"), LAYOUTS)
def test_bytes_from_windows_give_the_same_documents(tmp_path, layout, content, expected):
    dirty = b"\xef\xbb\xbf" + content.replace("\n", "\r\n").replace("One", "O\0ne").encode()
    report = ReadingReport()
    assert read_content(tmp_path, "corpus", dirty, report, format=layout) == expected
    assert report.findings[ReadingFinding.BYTE_ORDER_MARK].count == 1


@pytest.mark.parametrize(
    ("name", "content", "decided"),
    [
        ("a.txt", "One.\n\nTwo.", "text"),
        ("wiki_00", WIKI, "wiki"),
        ("wiki_00.txt", "\ufeff\n" + WIKI, "wiki"),
        ("a.jsonl", '{"text": "One."}', "jsonl"),
        ("a.ndjson.gz", gzip.compress(b'{"text": "One."}\n', mtime=0), "jsonl"),
        ("wiki_00", '{"id": 1, "text": "One."}\n{"id": 2, "text": "Two."}\n', "jsonl"),
        ("one_long_line", '{"text": "' + 100_000 * "a " + '"}', "jsonl"),
        ("program.txt", "{\n  int text;\n}\n", "text"),
    ],
)
def test_auto_decides_by_name_and_first_bytes_and_says_so(tmp_path, capsys, name, content, decided):
    report = ReadingReport()
    assert read_content(tmp_path, name, content, report)
    assert report.formats == {decided: 1}
    assert documents._DECISION[decided] in capsys.readouterr().err


def test_parquet_is_read_plain_compressed_and_from_a_url(tmp_path):
    table = pa.table({"text": ["One.\nTwo.", "Three."] * 100, "id": range(200)})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=30)
    content = (tmp_path / "a.parquet").read_bytes()
    fsspec.filesystem("memory").pipe("/documents/a.parquet", content)
    expected = ["One.\nTwo.", "Three."] * 100
    assert read(tmp_path / "a.parquet") == expected
    assert read("memory://documents/a.parquet") == expected
    assert read_content(tmp_path, "a.parquet.gz", gzip.compress(content)) == expected
    assert read_content(tmp_path, "unnamed", zstd(content)) == expected
    report = ReadingReport()
    read(tmp_path / "a.parquet", report=report)
    assert report.bytes_read == 100 * len("One.\nTwo.Three.")
    assert report.stored_bytes_read == len(content)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_every_kind_of_text_column_is_read(tmp_path, kind):
    column = pa.array(["One.", "Two.", None, "One."], pa.string()).cast(kind)
    pq.write_table(pa.table({"body": column}), tmp_path / "a.parquet")
    report = ReadingReport()
    assert read(tmp_path / "a.parquet", report=report, text_field="body", on_error="skip") == ["One.", "Two.", "One."]
    assert counts(report) == {ReadingFinding.NO_TEXT_FIELD: 1}
    with pytest.raises(InputError, match=r"a\.parquet, row 3 has no text"):
        read(tmp_path / "a.parquet", text_field="body")


@pytest.mark.parametrize(
    ("field", "message"), [("body", "no column 'body'; its columns are: id, text"), ("id", "int64")]
)
def test_a_column_that_is_not_there_or_holds_no_text_is_named_with_what_there_is(tmp_path, field, message):
    pq.write_table(pa.table({"id": [1], "text": ["One."]}), tmp_path / "a.parquet")
    for on_error in POLICIES:
        with pytest.raises(InputError, match=message):
            read(tmp_path / "a.parquet", text_field=field, on_error=on_error)


def test_a_piece_has_at_most_so_many_characters_and_ends_with_a_paragraph(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "PIECE_CHARACTERS", 12)
    monkeypatch.setattr(decoding, "MAX_LINE_CHARACTERS", 12)
    content = "aaaa\nbbbb\ncccc\ndddd dddd dddd dddd\neeee\n\nffff"
    assert read_content(tmp_path, "a.txt", content, format="blocks") == [
        "aaaa\nbbbb|cccc|dddd dddd |dddd dddd|eeee",
        "ffff",
    ]
    assert read_content(tmp_path, "a.txt", content, format="lines")[3:5] == ["dddd dddd |dddd dddd", "eeee"]
    record = json.dumps({"text": "gggg gggg gggg gggg\nhhhh"}) + "\n"
    assert read_content(tmp_path, "a.jsonl", 2 * record) == 2 * ["gggg gggg |gggg gggg|hhhh"]


@pytest.mark.parametrize("on_error", POLICIES)
def test_empty_files_and_documents_are_left_out_and_counted_under_every_policy(tmp_path, on_error):
    report = ReadingReport()
    files = {"1.txt": "", "2.txt": " \n\t\n", "3.jsonl": '{"text": ""}\n{"text": "One."}', "4.gz": gzip.compress(b"")}
    plant(tmp_path, {"5": WIKI} | files)
    given_files = [tmp_path / name for name in (*files, "5")]
    assert len(read(*given_files, report=report, on_error=on_error)) == 3
    assert counts(report) | {ReadingFinding.WIKI_HEADING: 0} == {
        ReadingFinding.EMPTY_FILE: 2,
        ReadingFinding.EMPTY_DOCUMENT: 3,
        ReadingFinding.WIKI_HEADING: 0,
    }
    assert report.documents == 3


DIRTY = [  # name, format, content, documents under "replace", under "skip", what is counted under "skip", message
    (
        "a.txt",
        "text",
        b"One.\nT\xffo.\nThree.",
        ["One.\nT\ufffdo.\nThree."],
        ["One.\nThree."],
        "DAMAGED_LINE",
        "byte 6",
    ),
    ("a.txt", "lines", b"One.\nT\xffo.", ["One.", "T\ufffdo."], ["One."], "DAMAGED_LINE", "byte 6: not UTF-8"),
    ("a.txt", "blocks", b"1\n\xff\n\n3", ["1\n\ufffd", "3"], ["1", "3"], "DAMAGED_LINE", "byte 2: not UTF-8"),
    ("a.txt", "text", "One.".encode("utf-16"), [], [], "NOT_TEXT", "is UTF-16 text"),
    ("a.txt", "text", b"%PDF-1.7 ...", [], [], "NOT_TEXT", "is a PDF"),
    (
        "a.txt.gz",
        "auto",
        gzip.compress(bytes(257) + b"ustar" + bytes(250), mtime=0),
        [],
        [],
        "NOT_TEXT",
        "is a tar archive",
    ),
    ("a.jsonl", "auto", b'{"text": "1"}\nno\n', ["1"], ["1"], "NOT_JSON", "line 2 is not JSON: Expecting value"),
    ("a.jsonl", "auto", b"[1]\n" + b"[" * 100_000, [], [], "NOT_JSON", "line 1 is not a JSON object"),
    ("a.jsonl", "auto", b"[" * 100_000, [], [], "NOT_JSON", "line 1 is not JSON"),
    ("a.jsonl", "auto", b'{"text": ' + b"9" * 5000 + b"}", [], [], "NOT_JSON", "line 1 is not JSON"),
    ("a.jsonl", "auto", b'{"id": 1}', [], [], "NO_TEXT_FIELD", "no text in the field 'text'; its fields are: id"),
    ("a.jsonl", "auto", b'{"text": null}', [], [], "NO_TEXT_FIELD", "line 1 has no text in the field 'text'"),
    ("a.jsonl", "auto", b'{"text": "\\ud800!"}', ["\ufffd!"], [], "DAMAGED_LINE", "text that is not Unicode"),
    ("a.jsonl", "auto", b'{"text": "a\xffb"}', ["a\ufffdb"], [], "DAMAGED_LINE", "byte 11: not UTF-8"),
    (
        "a",
        "wiki",
        b'<doc id="1">\nOne.\n\n<doc id="2">\nTwo.\n\n</doc>',
        ["One.", "Two."],
        None,
        "UNCLOSED_DOC",
        "line 4",
    ),
    ("a", "wiki", b'<doc id="1">\nOne.\n\n', ["One."], ["One."], "UNCLOSED_DOC", "is the file cut short"),
    ("a", "wiki", b"stray\n\n<doc>\nOne.\n\n</doc>", ["One."], ["One."], "OUTSIDE_DOC", "line 1 stands outside"),
    ("a.parquet", "auto", b"PAR1 nothing else", [], [], "DAMAGED_PARQUET", "cut short or damaged"),
    (
        "a.txt.gz",
        "text",
        gzip.compress(b"One.\nTwo.", mtime=0)[:-6],
        ["One.\nTwo."],
        None,
        "DAMAGED_COMPRESSION",
        "cut short",
    ),
]


@pytest.mark.parametrize(("name", "layout", "content", "replaced", "skipped", "finding", "message"), DIRTY)
def test_damage_stops_strict_is_mended_by_replace_and_left_out_by_skip(
    tmp_path, name, layout, content, replaced, skipped, finding, message
):
    with pytest.raises(InputError, match=message):
        read_content(tmp_path, name, content, format=layout)
    assert read_content(tmp_path, name, content, format=layout, on_error="replace") == replaced
    report = ReadingReport()
    expected = replaced if skipped is None else skipped
    assert read_content(tmp_path, name, content, report, format=layout, on_error="skip") == expected
    assert report.findings[ReadingFinding[finding]].count >= 1
    assert name in report.findings[ReadingFinding[finding]].first


def test_a_json_line_that_is_too_long_is_refused_or_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "MAX_JSON_LINE_CHARACTERS", 100)
    monkeypatch.setattr(decoding, "MAX_LINE_CHARACTERS", 30)
    lines = [json.dumps({"text": "a" * length}) for length in (20, 89, 1000, 50)]
    content = "\n".join(lines)
    with pytest.raises(InputError, match="line 2 has more than"):
        read_content(tmp_path, "a.jsonl", content)
    report = ReadingReport()
    assert read_content(tmp_path, "a.jsonl", content, report, on_error="skip") == ["a" * 20, "a" * 50]
    assert counts(report) == {ReadingFinding.LONG_LINE: 2}


def test_bytes_in_parquet_that_are_not_utf8_are_judged_by_the_row(tmp_path):
    column = pa.array([b"One.", b"T\xffo."], pa.binary())
    pq.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="row 2 holds text that is not Unicode"):
        read(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet", on_error="replace") == ["One.", "T\ufffdo."]
    assert read(tmp_path / "a.parquet", on_error="skip") == ["One."]


def test_wrapped_lines_are_joined_in_text_and_records_but_not_where_a_line_has_a_meaning(tmp_path):
    wrapped = "\n".join(["The quick brown fox jumps over the lazy dog and then it goes"] * 12)
    joined = wrapped.replace("\n", " ")
    assert read_content(tmp_path, "a.txt", wrapped) == [joined]
    assert read_content(tmp_path, "a.jsonl", json.dumps({"text": wrapped})) == [joined]
    assert read_content(tmp_path, "a.txt", wrapped, format="blocks") == [wrapped]
    assert len(read_content(tmp_path, "a.txt", wrapped, format="lines")) == 12


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["Plain words, and more. ", "Привет, мир. Как дела? "])
def test_utf16_without_a_mark_is_no_text(tmp_path, encoding, text):
    (tmp_path / "a.txt").write_bytes((text * 40).encode(encoding))
    with pytest.raises(InputError, match=r"a\.txt is UTF-16 text without a byte order mark"):
        read(tmp_path / "a.txt")


def test_a_few_nuls_are_only_removed(tmp_path):
    assert read_content(tmp_path, "a.txt", "one\0two " * 3 + "and a long rest of ordinary text " * 9)


def test_a_file_whose_name_is_not_utf8_can_be_read(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.txt"
    Path(os.fsdecode(path)).write_text("One.")
    assert read(tmp_path) == ["One."]


@pytest.mark.parametrize("wrong", [{"inputs": ()}, {"inputs": ("a",), "on_error": "ignore"}, {"format": "docx"}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ConfigurationError):
        ReadingSettings.from_layers({"inputs": ("a.txt",)} | wrong)


NAMES = ("a.txt", "a.txt.gz", "a.zst", "a.jsonl", "a.jsonl.gz", "a.parquet", "a", "a.json")
STARTS = (b"", b"<doc ", b'{"text": "', b"PAR1", b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd", b"\xef\xbb\xbf", b"\xff\xfe")


@given(
    st.sampled_from(NAMES),
    st.sampled_from(["auto", "text", "blocks", "lines", "wiki", "jsonl", "parquet"]),
    st.sampled_from(POLICIES),
    st.sampled_from(STARTS),
    st.binary(max_size=200),
    st.sampled_from([bytes, gzip.compress, zstd]),
)
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_bytes_give_documents_or_an_input_error(tmp_path, name, layout, on_error, start, rest, pack):
    try:
        texts = read_content(tmp_path, name, pack(start + rest), format=layout, on_error=on_error)
    except InputError as error:
        assert name in str(error)
        return
    for text in texts:
        assert text.strip()
        assert not set("\0\r\ufeff") & set(text)
        text.encode()  # no lone surrogates


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_damage_of_a_real_parquet_or_compressed_file_gives_documents_or_an_input_error(tmp_path, data):
    lines = [f"This is line {number} of some text that compresses." for number in range(40)]
    pq.write_table(pa.table({"text": lines}), tmp_path / "a.parquet", compression="zstd")
    text = "\n".join(lines).encode()
    originals = {"a.parquet": (tmp_path / "a.parquet").read_bytes(), "a.gz": gzip.compress(text), "a.zst": zstd(text)}
    name = data.draw(st.sampled_from(sorted(originals)))
    content = bytearray(originals[name])
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] ^= data.draw(st.integers(1, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    for on_error in POLICIES:
        try:
            read_content(tmp_path, name, bytes(content), on_error=on_error)
        except InputError as error:
            assert name in str(error)

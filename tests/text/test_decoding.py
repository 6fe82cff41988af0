"""Bytes to text and text to lines, with each policy for what is not UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import InputError
from bertsmith.text import decoding
from bertsmith.text.decoding import clean_text, cut_text, split_lines, text_blocks, without_damage
from bertsmith.text.reading_report import ReadingFinding, ReadingReport


def decode(content: bytes, on_error="strict", block=3, report=None) -> str:
    blocks = [content[start : start + block] for start in range(0, len(content), block)]
    return "".join(text_blocks(blocks, "file.txt", on_error, report or ReadingReport()))


def counts(report: ReadingReport) -> dict[ReadingFinding, int]:
    return {finding: found.count for finding, found in report.findings.items()}


@pytest.mark.parametrize("block", [1, 2, 3, 64])
@pytest.mark.parametrize(
    ("content", "text", "expected"),
    [
        (b"", "", {}),
        (b"plain\n", "plain\n", {}),
        ("Żółć 中文 😀".encode(), "Żółć 中文 😀", {}),
        (b"\xef\xbb\xbfmarked", "marked", {ReadingFinding.BYTE_ORDER_MARK: 1}),
        (b"a\n\xef\xbb\xbfb", "a\nb", {ReadingFinding.BYTE_ORDER_MARK: 1}),
        (b"\x00a\x00\x00b", "ab", {ReadingFinding.NUL: 3}),
        (b"a\r\nb\r\n", "a\nb\n", {ReadingFinding.LINE_END: 2}),
        (b"a\rb\r", "a\nb\n", {ReadingFinding.LINE_END: 2}),
        (b"a\r\r\nb\n\rc", "a\n\nb\n\nc", {ReadingFinding.LINE_END: 3}),
    ],
)
def test_what_is_no_damage_is_settled_in_the_same_way_under_every_policy(content, text, expected, block):
    for on_error in ("strict", "replace", "skip"):
        report = ReadingReport()
        assert decode(content, on_error, block, report) == text
        assert counts(report) == expected
        assert report.bytes_read == len(content)


DAMAGED = [  # content, offset of the first byte that is wrong, what "replace" gives
    (b"caf\xe9 au lait", 3, "caf\ufffd au lait"),
    (b"\xff\xfe\xfd", 0, "\ufffd\ufffd\ufffd"),
    (b"abc\xe2\x82", 3, "abc\ufffd"),
    (b"a\xe2\x82b\xe2\x82\xacc", 1, "a\ufffdb€c"),
    (b"\xed\xa0\x80", 0, "\ufffd\ufffd\ufffd"),
    (b"\xc0\x80 overlong", 0, "\ufffd\ufffd overlong"),
    ("ok € ".encode() + b"\xf0\x9f\x98", 7, "ok € \ufffd"),
]


@pytest.mark.parametrize("block", [1, 2, 64])
@pytest.mark.parametrize(("content", "offset", "replaced"), DAMAGED)
def test_strict_names_the_file_and_the_offset_of_the_first_byte_that_is_not_utf8(content, offset, replaced, block):
    with pytest.raises(InputError, match=rf"file\.txt, byte {offset}: not UTF-8"):
        decode(content, "strict", block)


@pytest.mark.parametrize("block", [1, 2, 64])
@pytest.mark.parametrize(("content", "offset", "replaced"), DAMAGED)
def test_replace_puts_the_replacement_character_and_counts_it(content, offset, replaced, block):
    report = ReadingReport()
    assert decode(content, "replace", block, report) == replaced
    assert counts(report) == {ReadingFinding.INVALID_UTF8: replaced.count("\ufffd")}
    assert report.findings[ReadingFinding.INVALID_UTF8].first == f"file.txt, byte {offset}"


@given(st.binary(max_size=40), st.integers(1, 5))
def test_replace_gives_what_python_gives_wherever_the_blocks_end(content, block):
    expected = content.decode("utf-8", "replace").replace("\ufeff", "").replace("\0", "")
    assert decode(content, "replace", block) == expected.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("block", [1, 5, 64])
def test_skip_leaves_out_the_lines_that_are_damaged_and_counts_them(block):
    content = b"one\ntw\xffo\n\xe2\x82\nthree\nfo\xffur"
    blocks = [content[start : start + block] for start in range(0, len(content), block)]
    report = ReadingReport()
    lines = split_lines(text_blocks(blocks, "file.txt", "skip", report))
    assert list(without_damage(lines, "file.txt", report)) == [("one", True), ("three", True)]
    assert counts(report) == {ReadingFinding.DAMAGED_LINE: 3}
    assert report.findings[ReadingFinding.DAMAGED_LINE].first == "file.txt, line 2"


@given(st.lists(st.text("ab\n ", max_size=6)))
def test_lines_are_those_of_the_text_wherever_the_blocks_end(blocks):
    text = "".join(blocks)
    expected = text.split("\n")
    if expected[-1] == "":
        expected.pop()
    assert list(split_lines(blocks)) == [(line, True) for line in expected]


def test_a_long_line_comes_in_pieces_cut_after_a_blank(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_LINE_CHARACTERS", 8)
    assert list(split_lines(["aaa bbb ccc ddd\n", "e\n", "fffffffff", "fffffff g"])) == [
        ("aaa bbb ", False),
        ("ccc ddd", True),
        ("e", True),
        ("ffffffff", False),
        ("ffffffff", False),
        (" g", True),
    ]


def test_a_damaged_piece_of_a_long_line_goes_and_the_line_still_ends(monkeypatch):
    monkeypatch.setattr(decoding, "MAX_LINE_CHARACTERS", 4)
    report = ReadingReport()
    lines = split_lines(["aaa b\udcffb ccc\n", "aaa \udcff\n", "d"])
    kept = [("aaa ", False), ("ccc", True), ("aaa ", False), ("", True), ("d", True)]
    assert list(without_damage(lines, "file.txt", report)) == kept
    assert report.findings[ReadingFinding.DAMAGED_LINE].count == 2


@given(st.text("a ", max_size=30), st.integers(1, 10))
def test_cut_text_loses_nothing_and_keeps_to_the_limit(text, limit):
    pieces = cut_text(text, limit)
    assert "".join(pieces) == text
    assert all(len(piece) <= limit for piece in pieces)


@pytest.mark.parametrize(
    ("text", "on_error", "expected"),
    [
        ("a\r\nb\0\ufeff", "strict", "a\nb"),
        ("half \ud83d pair", "replace", "half \ufffd pair"),
        ("bytes \udcff\udce2\udc82", "replace", "bytes \ufffd\ufffd"),
        ("half \ud83d pair", "skip", None),
        ("whole 😀 pair", "skip", "whole 😀 pair"),
    ],
)
def test_text_that_came_as_a_string_gets_the_same_treatment(text, on_error, expected):
    assert clean_text(text, "file.jsonl, line 3", on_error, ReadingReport()) == expected


def test_half_a_surrogate_pair_stops_strict_reading():
    with pytest.raises(InputError, match=r"file\.jsonl, line 3 holds text that is not Unicode"):
        clean_text("half \ud83d", "file.jsonl, line 3", "strict", ReadingReport())

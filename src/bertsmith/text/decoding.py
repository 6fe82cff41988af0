"""Bytes to text: UTF-8 in blocks, with the policy for what is not UTF-8; and text to lines of bounded length.

Under `skip` a byte that is not UTF-8 passes as a lone surrogate (Python's "surrogateescape"; no valid text has one), so
that whoever knows what a line or a row is can leave it out. Under the other policies no surrogate is ever seen here.
"""

import codecs
import io
import re
from collections.abc import Iterable, Iterator

from bertsmith.core.errors import InputError
from bertsmith.text.reading_report import OnError, ReadingFinding, ReadingReport

MAX_LINE_CHARACTERS = 1 << 20  # a longer line is handed on in pieces

_DAMAGE = re.compile("[\ud800-\udfff]+")
_BYTE_ORDER_MARK = "\ufeff"


def text_blocks(blocks: Iterable[bytes], name: str, on_error: OnError, report: ReadingReport) -> Iterator[str]:
    """Decode blocks of bytes as they come. `name` is what messages call the file.

    raises  InputError under `strict`, with the offset of the first byte that is not UTF-8
    """
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    undecoded, offset = b"", 0  # bytes of a character whose rest is to come, and where they stand in the file
    for block in blocks:
        report.bytes_read += len(block)
        undecoded += block
        text, consumed = _decode(undecoded, offset, name, on_error, report, final=False)
        undecoded, offset = undecoded[consumed:], offset + consumed
        if text:
            yield newlines.decode(_tidy(text, name, report))
    text, _ = _decode(undecoded, offset, name, on_error, report, final=True)
    rest = newlines.decode(_tidy(text, name, report), final=True)
    if rest:
        yield rest


def clean_text(text: str, where: str, on_error: OnError, report: ReadingReport) -> str | None:
    """Give text that came as a string (of JSON) or as one value (of parquet) the same treatment. None: leave it out.

    Such text may hold lone surrogates: an escape that is half of a pair, or our own marks of bytes that
    are not UTF-8.
    """
    text = _tidy(text, where, report)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() or not is_damaged(text):
        return text
    if on_error == "replace":
        text, replaced = _replace_damage(text)
        report.note(ReadingFinding.INVALID_UTF8, where, replaced)
        return text
    report.damage(ReadingFinding.DAMAGED_LINE, where, on_error, f"{where} holds text that is not Unicode.")
    return None


def is_damaged(text: str) -> bool:
    """Whether the text holds a lone surrogate, which is what a byte that is not UTF-8 has become."""
    return _DAMAGE.search(text) is not None


def split_lines(blocks: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Yield (line, True) for each line; for each piece of a line beyond 1 MiB (piece, whether the line ends here)."""
    begun = ""
    for block in blocks:
        lines = block.split("\n")
        lines[0] = begun + lines[0]
        begun = lines.pop()
        for line in lines:
            if len(line) <= MAX_LINE_CHARACTERS:
                yield line, True
            else:
                yield from _in_pieces(line)
        if len(begun) > MAX_LINE_CHARACTERS:
            *pieces, begun = cut_text(begun, MAX_LINE_CHARACTERS)
            for piece in pieces:
                yield piece, False
    if begun:
        yield from _in_pieces(begun)


def cut_text(text: str, limit: int) -> list[str]:
    """Cut text into pieces of at most `limit` characters, after a blank where there is one."""
    pieces, start = [], 0
    while len(text) - start > limit:
        blank = text.rfind(" ", start, start + limit)
        stop = blank + 1 if blank > start else start + limit
        pieces.append(text[start:stop])
        start = stop
    return [*pieces, text[start:]]


def without_damage(pieces: Iterable[tuple[str, bool]], name: str, report: ReadingReport) -> Iterator[tuple[str, bool]]:
    """Leave out lines, or pieces of very long lines, that hold bytes that are not UTF-8."""
    number, begun = 1, False  # of the line; whether a piece of it was handed on
    for piece, ends in pieces:
        if piece.isascii() or not is_damaged(piece):
            yield piece, ends
            begun = not ends
        else:
            report.note(ReadingFinding.DAMAGED_LINE, f"{name}, line {number:,}")
            if begun and ends:
                yield "", True
                begun = False
        number += ends


def _in_pieces(line: str) -> Iterator[tuple[str, bool]]:
    *pieces, last = cut_text(line, MAX_LINE_CHARACTERS)
    for piece in pieces:
        yield piece, False
    yield last, True


def _decode(
    data: bytes, offset: int, name: str, on_error: OnError, report: ReadingReport, *, final: bool
) -> tuple[str, int]:
    """Decode as many bytes as form whole characters; return the text and how many bytes that were."""
    try:
        return codecs.utf_8_decode(data, "strict", final)
    except UnicodeDecodeError as error:
        where = f"{name}, byte {offset + error.start:,}"
    if on_error == "strict":
        raise InputError(
            f"{where}: not UTF-8. Convert the file (iconv -f LATIN1 -t UTF-8, if that is what it is), or choose "
            f"--on-error replace or skip."
        )
    text, consumed = codecs.utf_8_decode(data, "surrogateescape", final)
    if on_error == "replace":
        text, replaced = _replace_damage(text)
        report.note(ReadingFinding.INVALID_UTF8, where, replaced)
    return text, consumed


def _replace_damage(text: str) -> tuple[str, int]:
    """Replace lone surrogates by U+FFFD, as many as Python's "replace" would; return the text and how many."""
    replaced = 0

    def mend(run: re.Match[str]) -> str:
        nonlocal replaced
        try:
            mended = run[0].encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        except UnicodeEncodeError:  # surrogates that stood in the text as such, not bytes
            mended = "\ufffd" * len(run[0])
        replaced += len(mended)
        return mended

    return _DAMAGE.sub(mend, text), replaced


def _tidy(text: str, where: str, report: ReadingReport) -> str:
    """Remove NULs and byte order marks, and count them and the line ends that are changed."""
    if _BYTE_ORDER_MARK in text:
        report.note(ReadingFinding.BYTE_ORDER_MARK, where, text.count(_BYTE_ORDER_MARK))
        text = text.replace(_BYTE_ORDER_MARK, "")
    if "\0" in text:
        report.note(ReadingFinding.NUL, where, text.count("\0"))
        text = text.replace("\0", "")
    if "\r" in text:
        report.note(ReadingFinding.LINE_END, where, text.count("\r"))
    return text

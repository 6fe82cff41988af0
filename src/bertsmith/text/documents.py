"""Documents out of files of every format, in pieces of bounded size.

Each format is a function from the file's content to a stream of paragraphs with `None` after the last paragraph of each
document; one function, `_pieces`, makes pieces of documents of any such stream. A paragraph has no line break in it, a
piece is paragraphs joined by line breaks, and no sentence crosses one. `formats` says what the formats are.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Literal

from pydantic import Field

from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.text.decoding import cut_text, split_lines, text_blocks, without_damage
from bertsmith.text.formats import Format, decide_format, foreign_content
from bertsmith.text.reading_report import OnError, ReadingFinding, ReadingReport
from bertsmith.text.records import jsonl_texts, parquet_texts
from bertsmith.text.sources import Source, byte_blocks
from bertsmith.text.wikipedia import wiki_paragraphs
from bertsmith.text.wrapping import join_wrapped

PIECE_CHARACTERS = 1 << 20

_DECISION = {
    "text": "plain text, a document a file",
    "wiki": "WikiExtractor output, a document each <doc>",
    "jsonl": "JSON lines, a document a line",
    "parquet": "parquet, a document a row",
}


class ReadingSettings(Settings):
    """What to read, and how."""

    inputs: tuple[str, ...] = Field(min_length=1, description="files, folders, globs or URLs of text")
    format: Literal["auto"] | Format = Field(
        "auto",
        description="text: a document per file; blocks: blank lines between documents; lines: a document per line; "
        "wiki: WikiExtractor's; auto: text, wiki, jsonl or parquet, by name and content",
    )
    text_field: str = Field("text", description="field of the JSON objects, or column of the parquet files, to read")
    on_error: OnError = Field(
        "strict",
        description="damaged text: strict stops; replace mends it with U+FFFD; skip leaves out the line or row",
    )


@dataclass(frozen=True)
class DocumentPiece:
    """A document, or a part of one: paragraphs joined by line breaks, at most 1 MiB of characters.

    continues  more of the document of the piece before
    """

    text: str
    continues: bool


def read_source(
    source: Source, settings: ReadingSettings, report: ReadingReport, *, keep_lines: bool = False
) -> Iterator[DocumentPiece]:
    """Read the documents of one file in order, in bounded memory; `report` is filled on the way.

    keep_lines  each line is a paragraph, because it is a sentence; else lines that were wrapped are joined
    raises  InputError for what cannot be read, and under `strict` for the first damage
    """
    begun = report.stored_bytes_read
    blocks = byte_blocks(source, settings.on_error, report)
    head = next(blocks, b"")
    if not head:
        report.note(ReadingFinding.EMPTY_FILE, source.name)
        return
    foreign = foreign_content(head)
    if foreign is not None:
        explanation = f"{source.name} is {foreign}, not text that bertsmith reads. Convert it to UTF-8 text."
        report.damage(ReadingFinding.NOT_TEXT, source.name, settings.on_error, explanation)
        return
    decided = decide_format(source.name, head) if settings.format == "auto" else settings.format
    if settings.format == "auto" and decided not in report.formats:
        console.print(f"{source.name}: {_DECISION[decided]}", markup=False, soft_wrap=True)
    report.files += 1
    report.formats[decided] = report.formats.get(decided, 0) + 1
    paragraphs = _paragraphs(decided, source, chain([head], blocks), settings, report, keep_lines=keep_lines)
    yield from _pieces(paragraphs, source.name, report)
    report.stored_bytes_read = begun + (source.size or 0)


def _paragraphs(
    decided: Format,
    source: Source,
    blocks: Iterator[bytes],
    settings: ReadingSettings,
    report: ReadingReport,
    *,
    keep_lines: bool,
) -> Iterator[str | None]:
    """Paragraphs of a file, None after each document."""
    paragraphs_of: Callable[[Iterable[str]], Iterable[str]] = iter if keep_lines else join_wrapped
    if decided == "parquet":
        texts = parquet_texts(source, blocks, settings.text_field, settings.on_error, report)
        return _texts_paragraphs(texts, paragraphs_of)
    lines = split_lines(text_blocks(blocks, source.name, settings.on_error, report))
    if decided == "jsonl":
        texts = jsonl_texts(lines, source.name, settings.text_field, settings.on_error, report)
        return _texts_paragraphs(texts, paragraphs_of)
    if settings.on_error == "skip":
        lines = without_damage(lines, source.name, report)
    match decided:
        case "text":
            return chain(paragraphs_of(line for line, _ in lines), [None])
        case "blocks":
            return _block_paragraphs(lines)
        case "lines":
            return _line_paragraphs(lines)
        case "wiki":
            return wiki_paragraphs((line for line, _ in lines), source.name, settings.on_error, report)


def _texts_paragraphs(
    texts: Iterable[str], paragraphs_of: Callable[[Iterable[str]], Iterable[str]]
) -> Iterator[str | None]:
    """A document a text."""
    for text in texts:
        yield from paragraphs_of(text.split("\n"))
        yield None


def _line_paragraphs(lines: Iterable[tuple[str, bool]]) -> Iterator[str | None]:
    """A document a line, however many pieces the line has."""
    for line, ends in lines:
        yield line
        if ends:
            yield None


def _block_paragraphs(lines: Iterable[tuple[str, bool]]) -> Iterator[str | None]:
    """A document ends at a blank line, or several."""
    at_line_start, begun = True, False
    for line, ends in lines:
        if line and not line.isspace():
            yield line
            begun = True
        elif at_line_start and ends and begun:
            yield None
            begun = False
        at_line_start = ends
    if begun:
        yield None


def _pieces(paragraphs: Iterable[str | None], name: str, report: ReadingReport) -> Iterator[DocumentPiece]:
    """Collect paragraphs into pieces of documents; count documents, and those without text."""
    collected: list[str] = []
    size, continues = 0, False
    for paragraph in paragraphs:
        if paragraph is None:
            if collected:
                yield DocumentPiece("\n".join(collected), continues)
            if collected or continues:
                report.documents += 1
            else:
                report.note(ReadingFinding.EMPTY_DOCUMENT, name)
            collected, size, continues = [], 0, False
        elif paragraph and not paragraph.isspace():
            for part in [paragraph] if len(paragraph) <= PIECE_CHARACTERS else cut_text(paragraph, PIECE_CHARACTERS):
                if collected and size + len(part) > PIECE_CHARACTERS:
                    yield DocumentPiece("\n".join(collected), continues)
                    collected, size, continues = [], 0, True
                collected.append(part)
                size += len(part) + 1
                report.characters += len(part)

"""Files in CoNLL's columns: a word a line, a blank line after each sentence.

    -DOCSTART- -X- O O          a document begins

    EU NNP I-NP I-ORG           the word, two columns that nobody asks for, the tag
    rejects VBZ I-VP O

What holds of all of them here:

- UTF-8, with or without a byte-order mark, with LF or CRLF.
- Columns are cut at tabs if any line has one, else at blanks. Blanks around a word are not part of it; blanks and tabs
  at the end of a line are no column.
- A line of nothing but blanks and tabs ends a sentence.
- A line that begins with `-DOCSTART-` begins a document. Without such lines the file is one document.
- Comments begin with `#` and stand between sentences. Where words are in another column than the first (GermEval,
  CoNLL-U), every such line is one. Where they are in the first, `#` may be a word (and in tweets it is): then a comment
  is a line of a file with tabs that begins with `# ` or `## `, which no row does.
- All rows have as many columns as the first one. A word is not empty and has no blank in it, but for the blanks among
  the words of a file that tags characters.

A row that is none is refused by file, line and reason, or listed; its sentence is then left out as a whole, since
without one of its words it would be another sentence. So is one in or beside which a line is not UTF-8.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from bertsmith.core.errors import InputError
from bertsmith.tasks.tables import BadRows, decoded_lines
from bertsmith.tasks.tags.sentence import Sentence

DOCUMENT_START = "-DOCSTART-"
_BLANKS = " \t"
_COMMENT_BESIDE_WORDS = re.compile(r"#+ ")

Lines = Sequence[tuple[int, str]]


def read_conll(
    path: Path, bad_rows: BadRows, *, word_column: int = 0, tag_column: int | None = -1, blank_words: bool = False
) -> list[Sentence]:
    """The sentences of a file, with the tags as they are.

    word_column, tag_column  places from 0; -1 is the last; no tag column: the tags are not read
    blank_words              whether a blank may be a word, as in files that tag characters (KLUE)
    raises                   InputError for a file that cannot be read or lacks a column, and as `bad_rows` does
    """
    lines = _read_lines(path, bad_rows)
    missing = {number for number, _ in bad_rows.skipped}
    has_tabs = any(
        "\t" in line for _, line in lines if line.strip(_BLANKS) and not _is_comment(line, True, word_column)
    )
    rows = _Rows(path, has_tabs, word_column, tag_column, blank_words, bad_rows)
    sentences = []
    for document, block in _blocks(lines, has_tabs, word_column):
        is_whole = missing.isdisjoint(range(block[0][0] - 1, block[-1][0] + 2))
        sentence = rows.sentence(document, block)
        if sentence is not None and is_whole:
            sentences.append(sentence)
    return sentences


def _read_lines(path: Path, bad_rows: BadRows) -> Lines:
    try:
        with path.open("rb") as stream:
            return [(number, line.removesuffix("\n")) for number, line in decoded_lines(stream, bad_rows)]
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None


def _blocks(lines: Lines, has_tabs: bool, word_column: int) -> Iterator[tuple[int, Lines]]:
    """The lines of each sentence, and the number of its document."""
    document = 0
    block: list[tuple[int, str]] = []
    for number, line in chain(lines, [(0, "")]):
        begins_document = line.startswith(DOCUMENT_START)
        if begins_document or not line.strip(_BLANKS):
            if block:
                yield document, block
            block = []
            document += begins_document
        elif block or not _is_comment(line, has_tabs, word_column):
            block.append((number, line))


def _is_comment(line: str, has_tabs: bool, word_column: int) -> bool:
    if word_column != 0:
        return line.startswith("#")
    return has_tabs and _COMMENT_BESIDE_WORDS.match(line) is not None


class _Rows:
    """What makes a sentence of its lines, and knows how many columns the file has."""

    def __init__(
        self,
        path: Path,
        has_tabs: bool,
        word_column: int,
        tag_column: int | None,
        blank_words: bool,
        bad_rows: BadRows,
    ):
        self._path = path
        self._has_tabs = has_tabs
        self._word_column = word_column
        self._tag_column = tag_column
        self._blank_words = blank_words
        self._bad_rows = bad_rows
        self._num_columns = 0  # not known yet

    def sentence(self, document: int, lines: Lines) -> Sentence | None:
        """The sentence of these lines; None if one of them is no row."""
        words, tags, is_whole = [], [], True
        for number, line in lines:
            try:
                word, tag = self._row(number, line)
            except ValueError as error:
                self._bad_rows.add(number, str(error))
                is_whole = False
                continue
            words.append(word)
            tags.append(tag)
        if not is_whole:
            return None
        return Sentence(tuple(words), None if self._tag_column is None else tuple(tags), lines[0][0], document)

    def _row(self, number: int, line: str) -> tuple[str, str]:
        columns = self._columns(line)
        if not self._num_columns:
            self._require_columns(number, len(columns))
            self._num_columns = len(columns)
        if len(columns) != self._num_columns:
            raise ValueError(f"it has {_count(len(columns))} where the first row has {self._num_columns}")
        word = self._word(columns[self._word_column])
        tag = "" if self._tag_column is None else columns[self._tag_column].strip(" ")
        if not tag and self._tag_column is not None:
            raise ValueError("its tag is empty")
        return word, tag

    def _columns(self, line: str) -> list[str]:
        if self._has_tabs:
            return line.rstrip(_BLANKS).split("\t")
        return [column for column in line.split(" ") if column]

    def _word(self, column: str) -> str:
        word = column.strip(" ")
        if word and " " not in word:
            return word
        if word:
            raise ValueError(f"its word '{word}' has a blank in it")
        if not (column and self._blank_words):
            raise ValueError("its word is empty")
        return column

    def _require_columns(self, number: int, count: int) -> None:
        """Refuse a file without the columns that are asked for."""
        asked = [place for place in (self._word_column, self._tag_column) if place is not None]
        missing = next((place for place in asked if not -count <= place < count), None)
        told = f"{self._path}, line {number}: the first row has {_count(count)}"
        if missing is not None:
            raise InputError(
                f"{told}, so there is none at place {missing}. Places count from 0, and -1 is the last; say where the "
                f"words and the tags are with --text and --label."
            )
        if len({place % count for place in asked}) < len(asked):
            raise InputError(
                f"{told}, and the words would be their own tags. Give a file with tags, or say where the words and the "
                f"tags are with --text and --label."
            )


def _count(columns: int) -> str:
    return "1 column" if columns == 1 else f"{columns} columns"

"""WikiExtractor's output: articles between `<doc ... title="...">` and `</doc>`, a paragraph a line.

Of Wikipedia "we extract only the text passages and ignore lists, tables, and headers" (BERT 3.1). WikiExtractor has
dropped lists and tables; the title (the first line) and section headings are left out here. A heading looks like a
very short paragraph ("Early life."), for WikiExtractor gives it a full stop; what tells it from one is that another
line follows without a blank line between, and that it is not the first of its article. A short paragraph may be lost by
that now and then; each is counted. What remains of markup (<br>) goes, and escapes (&amp;) are resolved.
"""

import html
import re
from collections.abc import Iterable, Iterator

from bertsmith.text.reading_report import OnError, ReadingFinding, ReadingReport

_TITLE = re.compile(r'\btitle="([^"]*)"')
_BREAK_TAG = re.compile(r"<br\s*/?>")
_HEADING_WORDS = 5
_HEADING_CHARACTERS = 60


def wiki_paragraphs(lines: Iterable[str], name: str, on_error: OnError, report: ReadingReport) -> Iterator[str | None]:
    """Paragraphs of all articles of a file, None after each article.

    raises  InputError under `strict` for text outside an article, and for an article without its end
    """
    article: _Article | None = None
    number = 0
    for number, line in enumerate(lines, start=1):
        if line.startswith(("<doc ", "<doc>")):
            if article is not None:
                _report_unclosed(f"{name}, line {number:,}", on_error, report)
                yield from article.end()
                yield None
            article = _Article(line, f"{name}, line {number:,}", report)
        elif article is None:
            if line and not line.isspace():
                where = f"{name}, line {number:,}"
                explanation = f"{where} stands outside <doc> ... </doc>: is this WikiExtractor's output?"
                report.damage(ReadingFinding.OUTSIDE_DOC, where, on_error, explanation)
        elif line.startswith("</doc>"):
            yield from article.end()
            yield None
            article = None
        else:
            yield from article.add(line)
    if article is not None:
        _report_unclosed(f"{name}, line {number:,}", on_error, report)
        yield from article.end()
        yield None


class _Article:
    """Keeps a line that may be a heading until the next line tells."""

    def __init__(self, start: str, where: str, report: ReadingReport):
        title = _TITLE.search(start)
        self._title = html.unescape(title[1]).strip() if title else None  # until the first line has come
        self._candidate: str | None = None
        self._has_text = False
        self._where = where
        self._report = report

    def add(self, line: str) -> Iterator[str]:
        """Take a line; yield the paragraphs that are now certain."""
        text = line.strip()
        if self._candidate is not None:
            if text:
                self._report.note(ReadingFinding.WIKI_HEADING, self._where)
            else:
                yield self._candidate
            self._candidate = None
        if not text:
            return
        title, self._title = self._title, None
        if html.unescape(text) == title:
            self._report.note(ReadingFinding.WIKI_HEADING, self._where)
            return
        if "<" in text:
            text = _BREAK_TAG.sub(" ", text).strip()
        if "&" in text:
            text = html.unescape(text)
        if self._has_text and _may_be_heading(text):
            self._candidate = text
        elif text:
            self._has_text = True
            yield text

    def end(self) -> Iterator[str]:
        """Yield what is still kept."""
        if self._candidate is not None:
            yield self._candidate


def _may_be_heading(text: str) -> bool:
    return text.endswith(".") and len(text) <= _HEADING_CHARACTERS and text.count(" ") < _HEADING_WORDS


def _report_unclosed(where: str, on_error: OnError, report: ReadingReport) -> None:
    explanation = f"{where}: a <doc> has no </doc>; is the file cut short?"
    report.damage(ReadingFinding.UNCLOSED_DOC, where, on_error, explanation)

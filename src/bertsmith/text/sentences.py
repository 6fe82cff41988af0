"""Paragraphs to sentences, by sentencex (a rule-based splitter of Wikimedia's for some 240 languages) or by line.

Two weaknesses of sentencex are kept from mattering. Its time grows with the square of a paragraph's length (600,000
characters of Chinese: three minutes), so a long paragraph is given to it in windows of 16,384 characters; the last
sentence of a window, which may be cut, begins the next. And it panics at some full stops behind a white space that is
not ASCII (say, a no-break space), so that white space is made a blank, one character for one; to the tokenizer all
white space is the same. A paragraph at which it panics all the same is one sentence.
"""

import re
from typing import Literal

import sentencex

from bertsmith.text.decoding import cut_text

Splitter = Literal["sentencex", "newline"]

MAX_SENTENCE_CHARACTERS = 1 << 14  # a longer one is cut at a blank

_WIDE_SPACE_BEFORE_STOP = re.compile(r"[^\S\x00-\x7f](?=\.)")


def split_sentences(text: str, splitter: Splitter, language: str) -> list[str]:
    """Split text into sentences without white space around them; none is empty, none crosses a line break.

    splitter  "newline": every line is a sentence
    language  code that sentencex knows ("en"; an unknown one is treated as its nearest, in the end English)
    """
    sentences: list[str] = []
    for paragraph in text.split("\n"):
        if splitter == "newline":
            found = cut_text(paragraph, MAX_SENTENCE_CHARACTERS)
        elif len(paragraph) <= MAX_SENTENCE_CHARACTERS:
            found = _segment(paragraph, language)
        else:
            found = _segment_long(paragraph, language)
        sentences += filter(None, map(str.strip, found))
    return sentences


def _segment(paragraph: str, language: str) -> list[str]:
    if not paragraph.isascii():
        paragraph = _WIDE_SPACE_BEFORE_STOP.sub(" ", paragraph)
    try:
        segments: list[str] = sentencex.segment(language, paragraph)
    except BaseException as error:
        if not _is_panic(error):
            raise
        return [paragraph]
    return segments


def _is_panic(error: BaseException) -> bool:
    """Whether Rust code panicked. PyO3 raises that past `except Exception`, as a class that no module exports."""
    return (type(error).__module__, type(error).__name__) == ("pyo3_runtime", "PanicException")


def _segment_long(paragraph: str, language: str) -> list[str]:
    """Segment window by window; a window without a sentence end is cut at a blank."""
    sentences: list[str] = []
    start = 0
    while len(paragraph) - start > MAX_SENTENCE_CHARACTERS:
        window = paragraph[start : start + MAX_SENTENCE_CHARACTERS]
        found = _segment(window, language)[:-1] or cut_text(window, MAX_SENTENCE_CHARACTERS - 1)[:1]
        sentences += found
        start += sum(map(len, found))
    return sentences + _segment(paragraph[start:], language)

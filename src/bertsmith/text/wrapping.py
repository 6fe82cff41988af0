"""Paragraphs from lines that were wrapped at a fixed width, as e-mail and many electronic books are.

A line break was made by wrapping if the next word had no room on the line; otherwise its author meant it. So the same
test finds out whether a text is wrapped at all (many breaks are within a sentence, and most of these have the reason
"no room") and, in a text that is, where its paragraphs end: at a blank line, or where the next word would have fitted
and does not begin with a small letter. In a text that is not wrapped every line is a paragraph.

Lines are joined by a blank. A word that was divided at the line's end keeps its hyphen: "well-" + "known" and
"impor-" + "tant" look alike.
"""

from collections.abc import Iterable, Iterator
from itertools import chain, pairwise

_SAMPLE_CHARACTERS = 1 << 18
_MIN_BREAKS = 8  # within sentences
_SHARE_OF_BREAKS = 0.25  # within sentences, among all breaks between two lines
_NARROWEST, _WIDEST = 40, 130  # characters
_FULL = 0.85  # of the width: what a line may lack, next word included, and still be called full
_SHARE_OF_FULL_LINES = 0.6
_SENTENCE_ENDS = tuple(".!?:;\"'”’»)]。！？；：」』）")  # noqa: RUF001 - those of Chinese are meant
_LONGEST_WORD = 20  # so that a line of Chinese, which is one word, does not look as if it had had no room
_MAX_PARAGRAPH_CHARACTERS = 1 << 18


def join_wrapped(lines: Iterable[str]) -> Iterator[str]:
    """Lines to paragraphs; blank lines vanish. Holds 256 Ki characters at most."""
    lines = iter(lines)
    sample, size = [], 0
    for line in lines:
        sample.append(line)
        size += len(line)
        if size > _SAMPLE_CHARACTERS:
            break
    width = wrapped_width(sample)
    lines = chain(sample, lines)
    if width is None:
        yield from (line for line in lines if line and not line.isspace())
        return
    paragraph: list[str] = []
    size = 0
    for line in map(str.strip, lines):
        goes_on = line[:1].islower() or (paragraph and _is_full(paragraph[-1], line, width))
        if paragraph and (not goes_on or size > _MAX_PARAGRAPH_CHARACTERS):
            yield " ".join(paragraph)
            paragraph, size = [], 0
        if line:
            paragraph.append(line)
            size += len(line)
    if paragraph:
        yield " ".join(paragraph)


def wrapped_width(lines: Iterable[str]) -> int | None:
    """The width in characters at which lines were wrapped; None if they were not."""
    stripped = [line.strip() for line in lines]
    breaks = [(line, after) for line, after in pairwise(stripped) if line and after]
    within = [(line, after) for line, after in breaks if not line.endswith(_SENTENCE_ENDS)]
    if len(within) < max(_MIN_BREAKS, _SHARE_OF_BREAKS * len(breaks)):
        return None
    lengths = sorted(len(line) for line in stripped if line)
    width = lengths[int(0.9 * len(lengths))]
    if not _NARROWEST <= width <= _WIDEST:
        return None
    full = sum(_is_full(line, after, width) for line, after in within)
    return width if full >= _SHARE_OF_FULL_LINES * len(within) else None


def _is_full(line: str, after: str, width: int) -> bool:
    """Whether the line after it begins with a word that had no room on the line."""
    if not after:
        return False
    word = after.find(" ", 0, _LONGEST_WORD)
    room = len(line) + 1 + (word if word >= 0 else min(len(after), _LONGEST_WORD))
    return _FULL * width < room and len(line) <= 1.5 * width

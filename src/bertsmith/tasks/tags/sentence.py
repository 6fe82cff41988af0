"""A sentence as words with their tags, and how one is made of a plain text, of given words, or of a JSON object."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokenizers import PreTokenizedString

from bertsmith.tasks.tables import Column
from bertsmith.text.tokenizer import word_stages

_SURROGATE = re.compile("[\ud800-\udfff]")
_CLEAN, _SPLIT = word_stages(lowercase=False, strip_accents=False, handle_chinese_chars=True)


@dataclass(frozen=True, slots=True)
class Sentence:
    """Words, and what is known of them. Legend: W words.

    words     [W]  none of them empty
    tags      [W]  None where unknown
    line      of its file, from 1: where its first word stands
    document  number of its document in the file; neighbours with the same number are each other's context.
              None: it stands alone
    text      the text that the words were cut from, if they were
    offsets   [W]  where each word begins and ends in `text`, in characters
    """

    words: tuple[str, ...]
    tags: tuple[str, ...] | None
    line: int
    document: int | None = None
    text: str | None = None
    offsets: tuple[tuple[int, int], ...] | None = None


def sentence_of_text(text: str, line: int) -> Sentence:
    """A plain text, cut into words as the tokenizer cuts it: at white space, around punctuation and CJK characters.

    A text without a word gives a sentence without words.
    """
    pieces = PreTokenizedString(_SURROGATE.sub("\ufffd", text))  # Rust has no half of a surrogate pair
    pieces.normalize(_CLEAN.normalize)
    _SPLIT.pre_tokenize(pieces)
    splits = pieces.get_splits(offset_referential="original", offset_type="char")
    offsets = tuple((begin, end) for _, (begin, end), _ in splits)
    return Sentence(tuple(text[begin:end] for begin, end in offsets), None, line, text=text, offsets=offsets)


def sentence_of_words(words: Sequence[object], line: int, tags: Sequence[object] | None = None) -> Sentence:
    """Words that are given one by one. Raises ValueError with the reason if one of them, or a tag, is none."""
    checked = tuple(_name(word, "word", place) for place, word in enumerate(words, start=1))
    if tags is None:
        return Sentence(checked, None, line)
    if len(tags) != len(words):
        raise ValueError(f"it has {len(words)} words and {len(tags)} tags")
    return Sentence(checked, tuple(_name(tag, "tag", place) for place, tag in enumerate(tags, start=1)), line)


def sentence_of_values(values: Mapping[Column, object], line: int, *, labelled: bool) -> Sentence:
    """A JSON object or a row of a table with "words", a list, or "text"; if it is labelled, with "words" and "tags".

    raises  ValueError with the reason if it is no sentence, KeyError for what it lacks
    """
    if labelled or "words" in values:
        return sentence_of_words(_list(values, "words"), line, _list(values, "tags") if labelled else None)
    text = values["text"]
    if not isinstance(text, str):
        raise ValueError(f"'text' is {text!r}, not a text")
    return sentence_of_text(text, line)


def _list(values: Mapping[Column, object], key: str) -> Sequence[object]:
    value = values[key]
    if not isinstance(value, list):
        raise ValueError(f"'{key}' is {value!r}, not a list")
    return value


def _name(value: object, what: str, place: int) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} {place} is {value!r}, not a text")
    if not value:
        raise ValueError(f"{what} {place} is empty")
    return value

"""Encode each distinct word once: the same ids as the tokenizer gives, about ten times as fast on ordinary text.

Every stage of the tokenizer treats a character by itself, or looks at most at neighbours within a word: no rule reaches
across a blank. So the ids of a text are the ids of its words, one after the other, where a word is what stands between
two blanks, punctuation included. A text repeats its words, and what was encoded is kept, up to a bound.
"""

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from bertsmith.text.tokenizer import Tokenizer

MAX_WORDS = 1 << 19
MAX_CHARACTERS = 1 << 23  # of all of them: about 100 MB. Where nobody writes blanks, a word is a sentence
_NO_IDS = np.empty(0, np.int32)
_NO_PLACES = np.empty(0, np.int64)


class WordCache:
    """Encodes with one tokenizer and remembers words. Not for several threads at a time."""

    def __init__(self, tokenizer: Tokenizer, max_words: int = MAX_WORDS, max_characters: int = MAX_CHARACTERS):
        self._tokenizer = tokenizer
        self._max_words = max_words
        self._max_characters = max_characters
        self._num_characters = 0
        self._index = _Numbering()
        self._token_ids: NDArray[np.int32] = _NO_IDS  # of all words, end to end
        self._lengths: NDArray[np.int64] = _NO_PLACES  # [words]
        self._starts: NDArray[np.int64] = _NO_PLACES  # [words] into _token_ids

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Encode texts as `Tokenizer.encode_plain` does.

        returns  token_ids [n], the texts end to end, and how many of them each text has [len(texts)]
        """
        if not texts:
            return _NO_IDS, _NO_PLACES
        words = " ".join(texts).split(" ")
        indices = np.fromiter(map(self._index.__getitem__, words), np.int64, len(words))
        self._encode_new()
        lengths = self._lengths[indices]
        ends = np.cumsum(lengths)
        places = np.arange(int(ends[-1])) + np.repeat(self._starts[indices] - (ends - lengths), lengths)
        token_ids = self._token_ids[places]
        last_words = np.cumsum(np.fromiter(map(str.count, texts, repeat(" ")), np.int64, len(texts)) + 1) - 1
        if len(self._index) > self._max_words or self._num_characters > self._max_characters:
            self._forget()
        return token_ids, np.diff(ends[last_words], prepend=0)

    def _encode_new(self) -> None:
        """Encode the words that were met for the first time."""
        encoded = self._tokenizer.encode_plain(self._index.new)
        self._num_characters += sum(map(len, self._index.new))
        lengths = np.array([len(ids) for ids in encoded], dtype=np.int64)
        starts = len(self._token_ids) + np.cumsum(lengths) - lengths
        self._token_ids = np.concatenate([self._token_ids, *encoded])
        self._lengths = np.concatenate([self._lengths, lengths])
        self._starts = np.concatenate([self._starts, starts])
        self._index.new.clear()

    def _forget(self) -> None:
        self._index, self._num_characters = _Numbering(), 0
        self._token_ids, self._lengths, self._starts = _NO_IDS, _NO_PLACES, _NO_PLACES


class _Numbering(dict[str, int]):
    """Numbers words in the order in which they are asked for; `new` are those since it was last cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __missing__(self, word: str) -> int:
        index = self[word] = len(self)
        self.new.append(word)
        return index

"""Words as runs of pieces, and the words of a text that are frequent enough to be told by a language model over words.

A word of a few pieces is one whole number, its *key*: words are compared, counted and looked up without spelling them.

Legend: V vocabulary size (of pieces), T tokens, W words, N words of a list.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertsmith.core.errors import ArtefactError
from bertsmith.text.token_store import TokenStore, TokenTable
from bertsmith.text.tokenizer import Tokenizer

TOO_LONG = -1  # the key of a word of too many pieces
WORDS_FILE = "words.txt"
_AT_A_TIME = 4_000_000  # keys that are sorted together: 32 MB and a copy

Ids = NDArray[np.int64]


def word_keys(token_ids: Ids, begins: Ids, ends: Ids, vocabulary_size: int) -> Ids:
    """The keys of words, [W]; equal for equal pieces, TOO_LONG for words of more pieces than a key holds.

    token_ids     [T]
    begins, ends  [W] word w is the tokens begins[w]:ends[w], one at least
    """
    base, most = vocabulary_size + 1, _most_pieces(vocabulary_size)
    keys = np.zeros(len(begins), dtype=np.int64)
    for place in range(most):
        pieces = token_ids[np.minimum(begins + place, len(token_ids) - 1)] + 1
        keys += np.where(begins + place < ends, pieces * base**place, 0)
    keys[ends - begins > most] = TOO_LONG
    return keys


def _most_pieces(vocabulary_size: int) -> int:
    """How many pieces fit into 63 bits: four of 30,522."""
    return int(63 // math.log2(vocabulary_size + 1))


@dataclass(frozen=True, eq=False)
class WordList:
    """The words that have a number of their own, the most frequent first; all others are unknown and share number N.

    keys             [N]
    vocabulary_size  V of the pieces that the keys are made of
    """

    keys: Ids
    vocabulary_size: int

    def __len__(self) -> int:
        return len(self.keys)

    def numbers(self, keys: Ids) -> Ids:
        """The number of each word, [W]; N for those that are not in the list."""
        sorted_keys, order = self._sorted
        places = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
        return np.where(sorted_keys[places] == keys, order[places], len(self.keys))

    def save(self, folder: Path, pieces: Sequence[str]) -> None:
        """Write `words.txt`: a word a line, its pieces with blanks between."""
        lines = (" ".join(pieces[number] for number in self._pieces_of(int(key))) + "\n" for key in self.keys)
        (folder / WORDS_FILE).write_text("".join(lines), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, tokenizer: Tokenizer) -> "WordList":
        """Read what `save` wrote. Raises ArtefactError for a folder without words, or with pieces that are unknown."""
        path = folder / WORDS_FILE
        ids = {piece: number for number, piece in enumerate(tokenizer.pieces)}
        try:
            lines = path.read_text("utf-8").removesuffix("\n").split("\n")  # not splitlines: U+2028 may be a piece
            words = [[ids[piece] for piece in line.split(" ")] for line in lines if line]
        except OSError:
            raise ArtefactError(f"{folder} is not an ELMo's language model: it has no readable {WORDS_FILE}.") from None
        except KeyError as error:
            raise ArtefactError(f"{path} has the piece {error}, which the vocabulary beside it has not.") from None
        ends = np.cumsum([len(word) for word in words])
        begins = np.concatenate([[0], ends[:-1]])
        token_ids = np.array([piece for word in words for piece in word], dtype=np.int64)
        return cls(word_keys(token_ids, begins, ends, tokenizer.vocabulary_size), tokenizer.vocabulary_size)

    @cached_property
    def _sorted(self) -> tuple[Ids, Ids]:
        order = np.argsort(self.keys)
        return self.keys[order], order

    def _pieces_of(self, key: int) -> Iterator[int]:
        while key:
            key, piece = divmod(key, self.vocabulary_size + 1)
            yield piece - 1


def frequent_words(store: TokenStore, count: int) -> WordList:
    """The `count` most frequent words of the training text, fewer if it has fewer; of equals the smaller key."""
    tokenizer = store.tokenizer
    keys, counts = np.empty(0, np.int64), np.empty(0, np.int64)
    for some in _keys_of_text(store.train, tokenizer):
        found, times = np.unique(some, return_counts=True)
        keys, places = np.unique(np.concatenate([keys, found]), return_inverse=True)
        counts = np.bincount(places, weights=np.concatenate([counts, times])).astype(np.int64)
    known = keys != TOO_LONG
    keys, counts = keys[known], counts[known]
    order = np.lexsort((keys, -counts))[:count]
    return WordList(keys[order], tokenizer.vocabulary_size)


def _keys_of_text(table: TokenTable, tokenizer: Tokenizer) -> Iterator[Ids]:
    """The keys of all words, some at a time."""
    waiting: list[Ids] = []
    size = 0
    for index in range(table.num_blocks):
        block = table.block(index)
        token_ids = block.token_ids.astype(np.int64)
        starts = tokenizer.starts_word[token_ids]
        starts[block.sentence_offsets[:-1]] = True
        begins = np.flatnonzero(starts)
        ends = np.append(begins[1:], len(token_ids))
        waiting.append(word_keys(token_ids, begins, ends, tokenizer.vocabulary_size))
        size += len(begins)
        if size >= _AT_A_TIME:
            yield np.concatenate(waiting)
            waiting, size = [], 0
    if waiting:
        yield np.concatenate(waiting)

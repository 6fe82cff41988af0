"""How often two pieces stand at a given distance from each other: the statistics behind word vectors.

Legend: V vocabulary size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from bertsmith.text.block_sample import spread_blocks
from bertsmith.text.token_store import TokenBlock, TokenStore, TokenTable

DEFAULT_TOKENS = 64_000_000  # enough for vectors of some hundred dimensions; counted in well under a minute
_CHUNK = 4_000_000  # pairs that are sorted at a time: 32 MB and a copy


@dataclass(frozen=True, eq=False)
class TextCounts:
    """What initial values are computed from.

    tokens  [V]  occurrences of each piece in the training text
    pairs        pairs[d - 1][v, w]: how often w is the piece d after v; [V, V] sparse, whole numbers as float64
    """

    tokens: NDArray[np.int64]
    pairs: Sequence[sparse.csr_array]


def count_text(store: TokenStore, distances: int, max_tokens: int = DEFAULT_TOKENS) -> TextCounts:
    """Count pieces, and the pairs 1 to `distances` apart within a document.

    max_tokens  how much text the pairs are counted in; of a longer one parts spread evenly over it
    """
    vocabulary_size = store.tokenizer.vocabulary_size
    pairs = [count_pairs(store.train, distance, vocabulary_size, max_tokens) for distance in range(1, distances + 1)]
    return TextCounts(store.token_counts, pairs)


def count_pairs(table: TokenTable, distance: int, vocabulary_size: int, max_tokens: int) -> sparse.csr_array:
    """[V, V]: row v, column w says how often w is the piece `distance` after v in the same document."""
    total: sparse.csr_array = sparse.csr_array((vocabulary_size, vocabulary_size), dtype=np.float64)
    waiting: list[NDArray[np.int64]] = []
    size = 0
    for block in spread_blocks(table, max_tokens):
        for keys in _pairs_of(block, distance, vocabulary_size):
            waiting.append(keys)
            size += len(keys)
            if size >= _CHUNK:
                total = _add(total, _tally(waiting, vocabulary_size))
                waiting, size = [], 0
    return _add(total, _tally(waiting, vocabulary_size))


def _pairs_of(block: TokenBlock, distance: int, vocabulary_size: int) -> Iterator[NDArray[np.int64]]:
    """Pairs of a block as numbers v * V + w, at most `_CHUNK` at a time."""
    document_ends = block.sentence_offsets[block.document_offsets[1:]]
    for start in range(0, len(block.token_ids) - distance, _CHUNK):
        ids = block.token_ids[start : start + _CHUNK + distance].astype(np.int64)
        document = np.searchsorted(document_ends, np.arange(start, start + len(ids)), side="right")
        is_together = document[:-distance] == document[distance:]
        yield (ids[:-distance] * vocabulary_size + ids[distance:])[is_together]


def _add(total: sparse.csr_array, more: sparse.csr_array) -> sparse.csr_array:
    result: sparse.csr_array = total + more
    return result


def _tally(keys: Sequence[NDArray[np.int64]], vocabulary_size: int) -> sparse.csr_array:
    pairs, counts = np.unique(np.concatenate([np.empty(0, np.int64), *keys]), return_counts=True)
    rows, columns = np.divmod(pairs, vocabulary_size)
    shape = (vocabulary_size, vocabulary_size)
    return sparse.csr_array((counts.astype(np.float64), (rows, columns)), shape=shape)

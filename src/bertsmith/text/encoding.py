"""Text to token ids, by any number of processes, with the same result.

A work item is about a MiB of text. Items are independent of each other, so nothing depends on who encodes which.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertsmith.text.documents import DocumentPiece
from bertsmith.text.sentences import Splitter, split_sentences
from bertsmith.text.token_store import token_type
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_cache import WordCache
from bertsmith.text.worker_processes import map_in_order

ITEM_CHARACTERS = 1 << 20


@dataclass(frozen=True)
class Encoding:
    """How text becomes ids; small, so that it can be sent to workers."""

    vocab: Path
    splitter: Splitter
    language: str


@dataclass(frozen=True)
class EncodedPieces:
    """The tokens of P consecutive pieces of documents, S sentences, n tokens.

    token_ids         [n]  uint16 or uint32, sentences end to end, no special pieces
    sentence_lengths  [S]  int32, none is 0
    piece_sentences   [P]  sentences of each piece
    continues         [P]  more of the document of the piece before
    """

    token_ids: NDArray[np.unsignedinteger]
    sentence_lengths: NDArray[np.int32]
    piece_sentences: Sequence[int]
    continues: Sequence[bool]


class Encoder:
    """Splits and encodes with one tokenizer."""

    def __init__(self, encoding: Encoding):
        self._encoding = encoding
        tokenizer = Tokenizer.load(encoding.vocab)
        self._words = WordCache(tokenizer)
        self._token_type = token_type(tokenizer.vocabulary_size)

    def __call__(self, pieces: Sequence[DocumentPiece]) -> EncodedPieces:
        """Encode one work item. A sentence without a token (say, of control characters) vanishes."""
        sentences = [split_sentences(piece.text, self._encoding.splitter, self._encoding.language) for piece in pieces]
        ids, lengths = self._words.encode([sentence for of_piece in sentences for sentence in of_piece])
        ends = np.cumsum([0, *map(len, sentences)])
        return EncodedPieces(
            token_ids=ids.astype(self._token_type),
            sentence_lengths=lengths[lengths > 0].astype(np.int32),
            piece_sentences=[int(np.count_nonzero(lengths[a:b])) for a, b in pairwise(ends)],
            continues=[piece.continues for piece in pieces],
        )


def work_items(pieces: Iterable[DocumentPiece]) -> Iterator[list[DocumentPiece]]:
    """Collect pieces to items of about 1 Mi characters (2 at most)."""
    item: list[DocumentPiece] = []
    size = 0
    for piece in pieces:
        item.append(piece)
        size += len(piece.text)
        if size >= ITEM_CHARACTERS:
            yield item
            item, size = [], 0
    if item:
        yield item


def encode_in_order(
    pieces: Iterable[DocumentPiece], encoding: Encoding, workers: int
) -> Generator[EncodedPieces, None, None]:
    """Encode all pieces, in order, by so many processes; raises BertsmithError if one of them dies."""
    return map_in_order(partial(Encoder, encoding), work_items(pieces), workers)

"""Text to token ids, in this process or in several, with the same result and in the same order.

A work item is about a MiB of text. Items are independent of each other, a few are under way at a time, and results are
handed on in the order of the items: so memory is bounded and nothing depends on the number of processes.

Workers are started by "spawn" (no lock or thread of ours can be caught in a fork), ignore Ctrl-C (the main process
decides), and end when the main process is gone, however it went.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bertsmith.core.errors import BertsmithError
from bertsmith.text.documents import DocumentPiece
from bertsmith.text.sentences import Splitter, split_sentences
from bertsmith.text.token_store import token_type
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_cache import WordCache

ITEM_CHARACTERS = 1 << 20
_ITEMS_PER_WORKER = 3  # under way or waiting


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
    """Encode all pieces, in order, by so many worker processes; by 1: in this process, on all cores.

    raises  BertsmithError if a worker dies
    """
    if workers == 1:
        yield from map(Encoder(encoding), work_items(pieces))
        return
    threads = max(1, available_cores() // workers)
    with ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), _start_worker, (encoding, threads)
    ) as executor:
        under_way: deque[Future[EncodedPieces]] = deque()
        try:
            for item in work_items(pieces):
                under_way.append(executor.submit(_encode, item))
                if len(under_way) >= workers * _ITEMS_PER_WORKER:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool:
            raise BertsmithError(
                f"A worker process died, most likely because memory ran out. Nothing was kept. Try again with fewer "
                f"than {workers} --workers."
            ) from None
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_encoder: Encoder  # of a worker process


def _start_worker(encoding: Encoding, threads: int) -> None:
    global _encoder  # noqa: PLW0603 - what an initialiser of a process pool is for
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _encoder = Encoder(encoding)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left who could use what is under way


def _encode(item: Sequence[DocumentPiece]) -> EncodedPieces:
    return _encoder(item)

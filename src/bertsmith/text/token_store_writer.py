"""The token store, write side: documents in order in, a store folder out, in bounded memory.

A block is closed at the first document border at which it holds 65,536 tokens or more. A document that would carry it
past 131,072 tokens is cut at a sentence border and continues in the next block. So a block is large enough to be read
in one go and small enough that 64 of them can be shuffled in memory. (A sentence of more than 131,072 tokens is a block
of its own.) The last block of a split holds what remains.

Which document is held out depends on its number alone: one of each `1 / held_out` consecutive documents (where that is
no whole number, in runs of the two sizes beside it, so that the share comes out). So both splits cover the whole corpus
evenly, and a corpus that grows at its end keeps its held-out documents.
"""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bertsmith.core.randomness import generator
from bertsmith.text.token_store import (
    COUNTS_FILE,
    COUNTS_SCHEMA,
    HELD_OUT,
    INDEX_FILE,
    INDEX_SCHEMA,
    SPLITS,
    TOKENIZER_FOLDER,
    TRAIN,
    block_schema,
    shard_name,
    token_type,
)
from bertsmith.text.tokenizer import Tokenizer

BLOCK_TOKENS = 1 << 16  # a block is closed at the first document border from here on
MAX_BLOCK_TOKENS = 1 << 17
SHARD_BYTES = 1 << 30
_FINEST_SHARE = 10**9  # shares are fractions with no larger denominator, so that 0.1 is a tenth, and no float near it
_FOOTER_BYTES = 4096  # more than a shard's closing frame and schema take
_FOOTER_BYTES_PER_BLOCK = 24


@dataclass(frozen=True)
class SplitStatistics:
    """What one split holds."""

    documents: int
    sentences: int
    tokens: int
    blocks: int
    longest_sentence: int  # tokens


@dataclass(frozen=True)
class StoreStatistics:
    """What was written; JSON-able by `dataclasses.asdict` for the manifest's facts."""

    train: SplitStatistics
    held_out: SplitStatistics
    vocabulary_size: int
    unknown_share: float  # share of [UNK] among train's tokens
    bytes_per_token: float  # shards of both splits


class TokenStoreWriter:
    """Writes the files of a store into a (staging) folder.

    folder       where the files go; it exists
    tokenizer    what made the ids; saved with the store
    held_out     share of the documents that is kept from training, 0 to 0.5
    shard_bytes  largest size of a file
    """

    def __init__(self, folder: Path, tokenizer: Tokenizer, held_out: float, *, shard_bytes: int = SHARD_BYTES):
        if not 0.0 <= held_out <= 0.5:
            raise ValueError(f"held_out is a share from 0 to 0.5, not {held_out}")
        self._folder = Path(folder)
        self._tokenizer = tokenizer
        self._share = Fraction(held_out).limit_denominator(_FINEST_SHARE)
        self._splits = {split: _SplitWriter(self._folder, split, tokenizer, shard_bytes) for split in SPLITS}
        self._num_documents = 0  # of both splits
        self._num_strata = 0  # begun so far
        self._next_stratum = 0  # the document that begins it
        self._held_out_document = -1  # of the stratum at hand
        self._split = self._splits[TRAIN]  # of the document at hand
        self._begun = False  # whether the document at hand has a sentence yet

    def append_document(
        self, token_ids: NDArray[np.integer], sentence_lengths: NDArray[np.integer], *, continues: bool = False
    ) -> None:
        """Append a document, or the next piece of the document before.

        token_ids         [n]  ids, sentences end to end, no special pieces
        sentence_lengths  [S]  tokens of each sentence, all above 0, their sum n; with S = 0 nothing is written
        continues              more of the document of the call before
        """
        self._check(token_ids, sentence_lengths)
        self._begun = self._begun and continues
        if len(sentence_lengths) == 0:
            return
        if not self._begun:
            self._split = self._splits[HELD_OUT if self._is_held_out(self._num_documents) else TRAIN]
            self._split.begin_document()
            self._num_documents += 1
            self._begun = True
        self._split.append(token_ids, sentence_lengths)

    def close(self) -> StoreStatistics:
        """Write what is still open, the index, the counts and the tokenizer."""
        for split in self._splits.values():
            split.close()
        indices = [self._splits[name].index(number) for number, name in enumerate(SPLITS)]
        columns = [pa.concat_arrays(parts) for parts in zip(*indices, strict=True)]
        _write_batch(self._folder / INDEX_FILE, pa.record_batch(columns, schema=INDEX_SCHEMA))
        counts = pa.array(self._splits[TRAIN].token_counts)
        _write_batch(self._folder / COUNTS_FILE, pa.record_batch([counts], schema=COUNTS_SCHEMA))
        self._tokenizer.save(self._folder / TOKENIZER_FOLDER)
        return self._statistics()

    def _is_held_out(self, document: int) -> bool:
        """One document of each stratum; of the first stratum one of the first ten, so that ten documents have one.

        Asked of every document in turn.
        """
        if not self._share:
            return False
        if document == self._next_stratum:
            stratum = self._num_strata
            self._num_strata += 1
            self._next_stratum = math.floor(self._num_strata / self._share)
            size = self._next_stratum - document
            choices = min(size, 10) if stratum == 0 else size
            self._held_out_document = document + int(generator(0, "held_out", stratum).integers(choices))
        return document == self._held_out_document

    def _check(self, token_ids: NDArray[np.integer], sentence_lengths: NDArray[np.integer]) -> None:
        """Refuse what would make a store that lies."""
        if int(np.sum(sentence_lengths)) != len(token_ids):
            raise ValueError(f"{len(token_ids)} token ids in sentences of together {np.sum(sentence_lengths)}")
        if len(sentence_lengths) and int(np.min(sentence_lengths)) <= 0:
            raise ValueError("a sentence without tokens")
        num_pieces = self._tokenizer.vocabulary_size
        if len(token_ids) and not 0 <= int(np.min(token_ids)) <= int(np.max(token_ids)) < num_pieces:
            raise ValueError(f"token ids {np.min(token_ids)} to {np.max(token_ids)}, {num_pieces} pieces")

    def _statistics(self) -> StoreStatistics:
        train, held_out = (self._splits[name].statistics() for name in (TRAIN, HELD_OUT))
        num_bytes = sum(split.num_bytes for split in self._splits.values())
        return StoreStatistics(
            train=train,
            held_out=held_out,
            vocabulary_size=self._tokenizer.vocabulary_size,
            unknown_share=float(self._splits[TRAIN].token_counts[self._tokenizer.unk_id]) / max(train.tokens, 1),
            bytes_per_token=num_bytes / max(train.tokens + held_out.tokens, 1),
        )


class _SplitWriter:
    """One split: collects a block, writes it as a record batch, starts a new shard when one is full."""

    def __init__(self, folder: Path, split: str, tokenizer: Tokenizer, shard_bytes: int):
        self.num_bytes = 0  # of all closed shards
        self.token_counts = np.zeros(tokenizer.vocabulary_size, dtype=np.int64)  # of all written blocks
        self._folder = folder
        self._split = split
        self._schema = block_schema(tokenizer.vocabulary_size)
        self._token_type = token_type(tokenizer.vocabulary_size)
        self._shard_bytes = shard_bytes
        self._index = [array(code) for code in "IIQIII"]  # shard, batch, first document, documents, sentences, tokens
        self._num_shards = 0
        self._num_documents = 0
        self._longest_sentence = 0
        self._sink: pa.NativeFile | None = None
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._batches_in_shard = 0
        self._document_open = False  # whether the last row's document may go on
        self._start_block()

    def begin_document(self) -> None:
        """A new document follows: the border at which a full block is closed."""
        if self._block_tokens >= BLOCK_TOKENS:
            self._flush()
        self._document_open = False

    def append(self, token_ids: NDArray[np.integer], lengths: NDArray[np.integer]) -> None:
        """Append sentences to the document at hand, as many to a block as fit."""
        ends = np.cumsum(lengths, dtype=np.int64)
        self._longest_sentence = max(self._longest_sentence, int(np.max(lengths)))
        sentence = token = 0
        while sentence < len(lengths):
            room = MAX_BLOCK_TOKENS - self._block_tokens
            stop = int(np.searchsorted(ends, token + room, side="right"))
            if stop <= sentence:
                if self._block_tokens:
                    self._flush()
                    continue
                stop += 1  # a giant
            end = int(ends[stop - 1])
            self._append_row(token_ids[token:end], lengths[sentence:stop])
            sentence, token = stop, end

    def close(self) -> None:
        """Write the last block and close the shard."""
        if self._block_tokens:
            self._flush()
        self._close_shard()

    def index(self, split_number: int) -> list[pa.Array]:
        """The columns of the index for this split."""
        columns = [np.full(len(self._index[0]), split_number), *(np.asarray(column) for column in self._index)]
        return [pa.array(column, field.type) for column, field in zip(columns, INDEX_SCHEMA, strict=True)]

    def statistics(self) -> SplitStatistics:
        """Sums over what was written."""
        return SplitStatistics(
            documents=self._num_documents,
            sentences=sum(self._index[4]),
            tokens=sum(self._index[5]),
            blocks=len(self._index[0]),
            longest_sentence=self._longest_sentence,
        )

    def _append_row(self, token_ids: NDArray[np.integer], lengths: NDArray[np.integer]) -> None:
        """Add sentences that fit to the block: to its last row, or as a new row."""
        if not self._document_open:
            self._continues.append(False)
            self._row_sentences.append(0)
            self._num_documents += 1
        elif not self._row_sentences:  # the block was closed within the document
            self._continues.append(True)
            self._row_sentences.append(0)
        self._document_open = True
        self._row_sentences[-1] += len(lengths)
        self._lengths.append(lengths)
        self._tokens.append(token_ids.astype(self._token_type))
        self._block_tokens += len(token_ids)

    def _start_block(self) -> None:
        self._tokens: list[NDArray[np.integer]] = []
        self._lengths: list[NDArray[np.integer]] = []
        self._row_sentences: list[int] = []
        self._continues: list[bool] = []
        self._block_tokens = 0

    def _flush(self) -> None:
        """Write the block at hand and start an empty one."""
        lengths = np.concatenate(self._lengths)
        token_ids = np.concatenate(self._tokens)
        self.token_counts += np.bincount(token_ids, minlength=len(self.token_counts))
        tokens = pa.array(token_ids)
        row_type = self._schema.field("sentences").type
        sentences = pa.ListArray.from_arrays(_offsets(lengths), tokens, type=row_type.value_type)
        rows = pa.ListArray.from_arrays(_offsets(self._row_sentences), sentences, type=row_type)
        batch = pa.record_batch([rows, pa.array(self._continues, pa.bool_())], schema=self._schema)
        writer = self._writer_with_room(pa.ipc.get_record_batch_size(batch))
        first_document = self._num_documents - len(self._continues)  # rows are consecutive documents
        row = (self._num_shards - 1, self._batches_in_shard, first_document, len(rows), len(lengths), len(tokens))
        writer.write_batch(batch)
        self._batches_in_shard += 1
        for column, value in zip(self._index, row, strict=True):
            column.append(value)
        self._start_block()

    def _writer_with_room(self, batch_bytes: int) -> pa.ipc.RecordBatchFileWriter:
        """The shard's writer; a new shard if the one at hand would grow too large. Each takes one block at least."""
        footer_bytes = _FOOTER_BYTES + _FOOTER_BYTES_PER_BLOCK * (self._batches_in_shard + 1)
        if self._sink is not None and self._sink.tell() + batch_bytes + footer_bytes > self._shard_bytes:
            self._close_shard()
        if self._sink is None:
            self._sink = pa.OSFile(str(self._folder / shard_name(self._split, self._num_shards)), "wb")
            self._writer = pa.ipc.new_file(self._sink, self._schema)
            self._batches_in_shard = 0
            self._num_shards += 1
        return self._writer

    def _close_shard(self) -> None:
        if self._writer is None or self._sink is None:
            return
        self._writer.close()
        self.num_bytes += self._sink.tell()
        self._sink.close()
        self._writer = self._sink = None


def _offsets(lengths: Sequence[int] | NDArray[np.integer]) -> pa.Int32Array:
    """Lengths [n] to Arrow's offsets [n+1]."""
    offsets = np.zeros(len(lengths) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.array(offsets)


def _write_batch(path: Path, batch: pa.RecordBatch) -> None:
    """A small Arrow file of one record batch."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)

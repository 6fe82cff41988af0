"""The token store, read side: a corpus as token ids in memory-mapped Arrow files.

    train-00000.arrow ...      at most 1 GiB each; a record batch is a block, a row is a document or a part of one:
                                   sentences: list<list<uint16>>   (uint32 above 65,536 pieces)
                                   continues: bool                 more of the document that the block before ends with
    held_out-00000.arrow ...   the same, for the documents that are kept from training
    index.arrow                a row per block, train first: where it is and what it holds
    token_counts.arrow         how often each piece occurs in train
    tokenizer/                 what made the ids

`token_store_writer` says what is in a block and which documents are held out. Nothing is read before it is asked for,
and what is read stays in the system's page cache, not in our memory: a laptop serves a terabyte.
"""

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from bertsmith.core.artefact import Manifest, check_sizes, read_manifest, verify_artefact
from bertsmith.core.errors import DamagedArtefact
from bertsmith.text.tokenizer import Tokenizer

KIND = "token_store"
TRAIN, HELD_OUT = SPLITS = ("train", "held_out")
INDEX_FILE = "index.arrow"
COUNTS_FILE = "token_counts.arrow"
TOKENIZER_FOLDER = "tokenizer"

INDEX_SCHEMA = pa.schema(
    [
        pa.field("split", pa.uint8(), nullable=False),  # index into SPLITS
        pa.field("shard", pa.uint32(), nullable=False),
        pa.field("batch", pa.uint32(), nullable=False),  # record batch in the shard
        pa.field("first_document", pa.uint64(), nullable=False),  # number of the first row's document in its split
        pa.field("documents", pa.uint32(), nullable=False),  # rows
        pa.field("sentences", pa.uint32(), nullable=False),
        pa.field("tokens", pa.uint32(), nullable=False),
    ]
)
COUNTS_SCHEMA = pa.schema([pa.field("count", pa.int64(), nullable=False)])


def token_type(vocabulary_size: int) -> "np.dtype[np.uint16] | np.dtype[np.uint32]":
    """The type that holds an id: 2 bytes up to 65,536 pieces, 4 above."""
    return np.dtype(np.uint16) if vocabulary_size <= 1 << 16 else np.dtype(np.uint32)


def block_schema(vocabulary_size: int) -> pa.Schema:
    """Schema of a shard."""
    token = pa.field("token", pa.from_numpy_dtype(token_type(vocabulary_size)), nullable=False)
    sentence = pa.field("sentence", pa.list_(token), nullable=False)
    return pa.schema(
        [
            pa.field("sentences", pa.list_(sentence), nullable=False),
            pa.field("continues", pa.bool_(), nullable=False),
        ]
    )


def shard_name(split: str, shard: int) -> str:
    """File name of a shard."""
    return f"{split}-{shard:05d}.arrow"


@dataclass(frozen=True)
class TokenBlock:
    """Some consecutive documents of a split. Arrays are read-only; `token_ids` is a view into the mapped file.

    token_ids         [n]    uint16 or uint32, sentences end to end, no special pieces
    sentence_offsets  [S+1]  int64 into token_ids
    document_offsets  [D+1]  int64 into sentences: document d of the block has document_offsets[d]:document_offsets[d+1]
    first_document           number of document 0 of the block in its split
    """

    token_ids: NDArray[np.uint16] | NDArray[np.uint32]
    sentence_offsets: NDArray[np.int64]
    document_offsets: NDArray[np.int64]
    first_document: int


class TokenTable:
    """One split of a store. Blocks are numbered from 0 in the order of the text. Safe to use from several threads."""

    def __init__(self, folder: Path, split: str, index: pa.RecordBatch):
        self._folder = folder
        self._split = split
        columns = [column.to_numpy(zero_copy_only=True) for column in index.columns[1:]]
        self._shard, self._batch, self._first_document, self._documents, self._sentences, self._tokens = columns
        self._document_ends = self._first_document.astype(np.int64) + self._documents  # number after the last one's
        self._readers: dict[int, pa.ipc.RecordBatchFileReader] = {}
        self._lock = threading.Lock()
        self.num_blocks: int = index.num_rows
        self.num_documents = int(self._document_ends[-1]) if self.num_blocks else 0
        self.num_sentences = int(self._sentences.sum(dtype=np.int64))
        self.num_tokens = int(self._tokens.sum(dtype=np.int64))

    def block(self, index: int) -> TokenBlock:
        """Block `index`, 0 <= index < num_blocks, without copying its tokens.

        raises  IndexError outside the range, DamagedArtefact if the shard cannot be read or does not fit the index
        """
        if not 0 <= index < self.num_blocks:
            raise IndexError(f"block {index} of {self.num_blocks}")
        shard = int(self._shard[index])
        try:
            with self._lock:  # Arrow does not promise that one reader serves two threads at a time
                rows = self._reader(shard).get_batch(int(self._batch[index])).column(0)
        except (pa.ArrowException, OSError) as error:
            raise DamagedArtefact(f"{self._path(shard)} is damaged: {error}. Restore the file from a copy.") from None
        sentences = rows.values
        block = TokenBlock(
            token_ids=sentences.values.to_numpy(zero_copy_only=True),
            sentence_offsets=sentences.offsets.to_numpy(zero_copy_only=True).astype(np.int64),
            document_offsets=rows.offsets.to_numpy(zero_copy_only=True).astype(np.int64),
            first_document=int(self._first_document[index]),
        )
        found = (len(block.document_offsets) - 1, block.document_offsets[-1], block.sentence_offsets[-1])
        if found != (self._documents[index], self._sentences[index], self._tokens[index]):
            raise DamagedArtefact(
                f"{self._path(shard)} is damaged: block {index} is not as {INDEX_FILE} says. Restore the folder."
            )
        return block

    def block_of_document(self, document: int) -> int:
        """Number of the block in which document `document` of this split starts."""
        if not 0 <= document < self.num_documents:
            raise IndexError(f"document {document} of {self.num_documents}")
        return int(np.searchsorted(self._document_ends, document, side="right"))

    def _reader(self, shard: int) -> pa.ipc.RecordBatchFileReader:
        if shard not in self._readers:
            self._readers[shard] = pa.ipc.open_file(pa.memory_map(str(self._path(shard))))
        return self._readers[shard]

    def _path(self, shard: int) -> Path:
        return self._folder / shard_name(self._split, shard)


class TokenStore:
    """A prepared corpus.

    folder, manifest, fingerprint  where it is, what made it, what its content is
    train, held_out                the two splits; `held_out` may have no blocks
    """

    def __init__(self, folder: Path, manifest: Manifest):
        self.folder = folder
        self.manifest = manifest
        self.fingerprint = manifest.fingerprint
        index = _read_table(folder / INDEX_FILE)
        num_train = int(np.count_nonzero(index.column(0).to_numpy() == SPLITS.index(TRAIN)))
        self.train = TokenTable(folder, TRAIN, index.slice(0, num_train))
        self.held_out = TokenTable(folder, HELD_OUT, index.slice(num_train))

    @classmethod
    def open(cls, folder: Path) -> "TokenStore":
        """Open a store: checks the manifest, the size of every file and the content of all files but the shards."""
        folder = Path(folder)
        manifest = read_manifest(folder, KIND)
        check_sizes(folder, manifest)
        shards = {name for name in manifest.files if name.startswith(SPLITS)}
        verify_artefact(folder, KIND, only=sorted(set(manifest.files) - shards))
        return cls(folder, manifest)

    def verify(self) -> None:
        """Hash every file, shards too. raises DamagedArtefact naming the file."""
        verify_artefact(self.folder, KIND)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer that made the ids."""
        return Tokenizer.load(self.folder / TOKENIZER_FOLDER)

    @cached_property
    def token_counts(self) -> NDArray[np.int64]:
        """[V] occurrences of each piece in train: the unigram floor and the output bias come from here."""
        counts: NDArray[np.int64] = _read_table(self.folder / COUNTS_FILE).column(0).to_numpy()
        return counts


def _read_table(path: Path) -> pa.RecordBatch:
    """The one record batch of a small Arrow file."""
    return pa.ipc.open_file(pa.memory_map(str(path))).get_batch(0)

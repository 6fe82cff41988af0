"""Real token stores, written from lists of sentence lengths."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from corpora import FIRST_WORD, NUM_WORDS, SPECIAL_PIECES, random_documents

from bertsmith.core.artefact import stage_artefact
from bertsmith.text.token_store import TokenStore
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer

MakeStore = Callable[..., TokenStore]


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    """40,005 pieces; every fourth word piece continues a word."""
    return Tokenizer([*SPECIAL_PIECES, *(f"##p{n}" if n % 4 == 3 else f"w{n}" for n in range(NUM_WORDS))])


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory, tokenizer: Tokenizer) -> MakeStore:
    """Write a store of documents given as sentence lengths.

    Token n of the corpus has the id FIRST_WORD + n % NUM_WORDS: in a corpus of at most NUM_WORDS tokens each one tells
    where it is from.
    """

    def make(documents: Sequence[Sequence[int]], held_out: float = 0.0) -> TokenStore:
        folder: Path = tmp_path_factory.mktemp("store") / "store"
        position = 0
        with stage_artefact(folder, kind="token_store", command="prepare", configuration={}) as staging:
            writer = TokenStoreWriter(staging.folder, tokenizer, held_out)
            for lengths in documents:
                tokens = np.arange(position, position + sum(lengths)) % NUM_WORDS + FIRST_WORD
                writer.append_document(tokens, np.array(lengths))
                position += len(tokens)
            writer.close()
        return TokenStore.open(folder)

    return make


@pytest.fixture(scope="session")
def small_store(make_store: MakeStore) -> TokenStore:
    """200 documents, some 15,000 tokens, no two the same."""
    return make_store(random_documents(200, seed=0))


@pytest.fixture(scope="session")
def large_store(make_store: MakeStore) -> TokenStore:
    """4.6 million tokens: 68 blocks, so two windows."""
    documents = random_documents(1500, seed=1, sentences=130)
    return make_store(documents)

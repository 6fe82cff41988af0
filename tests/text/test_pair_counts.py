"""Pairs are counted within documents, at their distance, and every one once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import SPECIAL, write_store

from bertsmith.text import pair_counts
from bertsmith.text.pair_counts import count_pairs, count_text
from bertsmith.text.token_store import TokenStore

FIRST = len(SPECIAL)
EVERYTHING = 10**9


def pairs_of(store: TokenStore, distance: int, max_tokens: int = EVERYTHING) -> dict[tuple[int, int], int]:
    counts = count_pairs(store.train, distance, store.tokenizer.vocabulary_size, max_tokens).tocoo()
    return {
        (int(row) - FIRST, int(column) - FIRST): int(count)
        for row, column, count in zip(counts.row, counts.col, counts.data, strict=True)
    }


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> TokenStore:
    """Three documents: 0 1, 0 1 | 0 2 | 1 0 2."""
    folder = tmp_path_factory.mktemp("pairs") / "store"
    return TokenStore.open(write_store(folder, [[[0, 1], [0, 1]], [[0, 2]], [[1, 0, 2]]], held_out=0.0))


@pytest.mark.parametrize(
    ("distance", "expected"),
    [
        (1, {(0, 1): 2, (1, 0): 2, (0, 2): 2}),  # across sentences, not across documents
        (2, {(0, 0): 1, (1, 1): 1, (1, 2): 1}),
        (3, {(0, 1): 1}),
        (4, {}),
    ],
)
def test_pairs_at_a_distance(store, distance, expected):
    assert pairs_of(store, distance) == expected


def test_a_text_is_counted_at_every_distance_asked_for(store):
    counts = count_text(store, 2)
    assert counts.tokens[FIRST : FIRST + 3].tolist() == [4, 3, 2]
    assert [int(pairs.sum()) for pairs in counts.pairs] == [6, 3]
    assert not count_text(store, 0).pairs


@given(
    documents=st.lists(
        st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=6), min_size=1, max_size=4), min_size=1, max_size=6
    ),
    distance=st.integers(1, 4),
    chunk=st.integers(1, 7),
)
def test_however_the_text_is_cut_into_chunks_each_pair_counts_once(tmp_path_factory, documents, distance, chunk):
    folder = tmp_path_factory.mktemp("chunks") / "store"
    store = TokenStore.open(write_store(folder, documents, held_out=0.0))
    expected: dict[tuple[int, int], int] = {}
    for sentences in documents:
        words = [word for sentence in sentences for word in sentence]
        for pair in zip(words, words[distance:], strict=False):
            expected[pair] = expected.get(pair, 0) + 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pair_counts, "_CHUNK", chunk)
        assert pairs_of(store, distance) == expected


def test_of_a_long_text_parts_are_counted(tmp_path):
    random = np.random.default_rng(0)
    documents = [[random.integers(0, 200, size=500).tolist() for _ in range(20)] for _ in range(40)]
    store = TokenStore.open(write_store(tmp_path / "store", documents, held_out=0.0))
    assert store.train.num_blocks > 2
    some, all_pairs = pairs_of(store, 1, max_tokens=store.train.num_tokens // 2), pairs_of(store, 1)
    assert 0.2 < sum(some.values()) / sum(all_pairs.values()) < 0.8
    assert all(count <= all_pairs[pair] for pair, count in some.items())

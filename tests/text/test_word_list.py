"""Words are the same by their keys as by their spelling, and the frequent ones are those of the text."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.artefact import stage_artefact
from bertsmith.core.errors import ArtefactError
from bertsmith.text.token_store import TokenStore
from bertsmith.text.token_store_writer import TokenStoreWriter
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_list import TOO_LONG, WordList, frequent_words, word_keys

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog", "##s", "##es", "a", "##a"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(PIECES)


WORDS = st.lists(st.lists(st.integers(5, 30_521), min_size=1, max_size=7), min_size=1, max_size=30)


@given(WORDS)
def test_keys_are_equal_just_where_the_pieces_are(words):
    ends = np.cumsum([len(word) for word in words])
    keys = word_keys(np.concatenate(words), np.append(0, ends[:-1]), ends, 30_522)
    for word, key in zip(words, keys, strict=True):
        assert (key == TOO_LONG) == (len(word) > 4)
        for other, other_key in zip(words, keys, strict=True):
            assert key == TOO_LONG or (key == other_key) == (word == other)


def test_the_frequent_words_of_a_store(tokenizer, tmp_path):
    random = np.random.default_rng(0)
    sentences = [random.choice([5, 6, 7, 8, 9, 10], size=random.integers(1, 9)).tolist() for _ in range(200)]
    with stage_artefact(tmp_path / "store", kind="token_store", command="test", configuration={}) as staging:
        writer = TokenStoreWriter(staging.folder, tokenizer, held_out=0.0)
        for sentence in sentences:
            writer.append_document(np.array(sentence), np.array([len(sentence)]))
        writer.close()
    counted = Counter()
    for sentence in sentences:
        word = []
        for piece in [*sentence, 5]:
            if not PIECES[piece].startswith("##") and word:
                counted[tuple(word)] += 1
                word = []
            word.append(piece)
    store = TokenStore.open(tmp_path / "store")
    words = frequent_words(store, 20)
    words.save(tmp_path, PIECES)
    lines = (tmp_path / "words.txt").read_text().splitlines()
    times = [counted[tuple(PIECES.index(piece) for piece in line.split(" "))] for line in lines]
    assert len(words) == len(lines) == 20
    assert times == sorted(counted.values(), reverse=True)[:20]
    again = WordList.load(tmp_path, tokenizer)
    assert np.array_equal(again.keys, words.keys)
    assert words.numbers(words.keys).tolist() == list(range(20))
    assert words.numbers(np.array([TOO_LONG, 12**5])).tolist() == [20, 20]


def test_a_list_of_another_vocabulary_is_refused(tokenizer, tmp_path):
    with pytest.raises(ArtefactError, match=r"has no readable words\.txt"):
        WordList.load(tmp_path, tokenizer)
    (tmp_path / "words.txt").write_text("bird\n")
    with pytest.raises(ArtefactError, match="has the piece 'bird'"):
        WordList.load(tmp_path, tokenizer)

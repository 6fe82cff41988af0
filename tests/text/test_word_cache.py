"""Encoding by remembered words gives the ids of the tokenizer."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.text.pieces import SPECIAL_PIECES
from bertsmith.text.tokenizer import Tokenizer
from bertsmith.text.word_cache import WordCache

LETTERS = [chr(code) for code in (*range(33, 127), *range(0xC0, 0x180), *range(0x300, 0x310), 0x4E2D, 0x6587, 0xAC00)]
PIECES = [*SPECIAL_PIECES, *LETTERS, *(f"##{letter}" for letter in LETTERS), "the", "##ing", "cat"]
TOKENIZERS = [
    Tokenizer(PIECES),
    Tokenizer(PIECES, lowercase=False),
    Tokenizer(PIECES, lowercase=False, strip_accents=True, handle_chinese_chars=False),
]

TEXT = st.text(
    st.sampled_from("aAbtheing ,.'-\"()éÉ\u0301\u0327\u00a0\u2003\u3000\u200b\ufeff\x01\x85中文각İΣςß😀[MASK]#\t")
    | st.characters(exclude_categories=["Cs"], exclude_characters="\n"),
    max_size=30,
)


def assert_equal(cache: WordCache, tokenizer: Tokenizer, texts: list[str]) -> None:
    token_ids, lengths = cache.encode(texts)
    expected = tokenizer.encode_plain(texts)
    assert lengths.tolist() == [len(ids) for ids in expected]
    assert token_ids.tolist() == [index for ids in expected for index in ids.tolist()]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["uncased", "cased", "accents stripped"])
def test_any_texts_get_the_ids_that_the_tokenizer_gives_them(tokenizer):
    cache = WordCache(tokenizer, max_words=50)

    @given(st.lists(TEXT, max_size=6))
    @settings(max_examples=500)
    def check(texts):
        assert_equal(cache, tokenizer, texts)

    check()


@pytest.mark.parametrize(
    "texts", [[], [""], ["", ""], ["a"], [" a  b "], ["the cat", "", "the cat"], ["\x01", "a\x01b"], ["a" * 101]]
)
def test_empty_texts_and_texts_without_a_token_keep_their_place(texts):
    assert_equal(WordCache(TOKENIZERS[0]), TOKENIZERS[0], texts)


def test_words_are_forgotten_when_there_are_too_many_and_met_anew():
    cache = WordCache(TOKENIZERS[0], max_words=3)
    for _ in range(3):
        assert_equal(cache, TOKENIZERS[0], ["the cat is eating", "cats", "the end"])


def test_words_are_forgotten_when_they_are_too_long_together():
    cache = WordCache(TOKENIZERS[0], max_characters=1000)
    for start in range(20):
        assert_equal(cache, TOKENIZERS[0], [chr(ord("a") + start) * 300])
        assert len(cache._index) <= 4


DATA = Path(os.environ.get("BERTSMITH_DATA", Path.home() / ".cache" / "bertsmith-data"))


@pytest.mark.skipif(not (DATA / "bert_vocab").is_dir(), reason=f"needs {DATA}/bert_vocab")
@pytest.mark.parametrize("vocabulary", ["bert-base-uncased", "bert-base-cased", "bert-base-multilingual-cased"])
@pytest.mark.parametrize("corpus", ["books_german_novels/kafka_process.txt", "wikipedia_zh/wiki_00", "udhr2/eng.txt"])
def test_real_text_gets_the_ids_that_the_tokenizer_gives_it(vocabulary, corpus):
    if not (DATA / corpus).exists():
        pytest.skip(f"needs {DATA / corpus}")
    tokenizer = Tokenizer.load(DATA / "bert_vocab" / f"{vocabulary}-vocab.txt")
    lines = (DATA / corpus).read_text(encoding="utf-8-sig")[:200_000].split("\n")
    cache = WordCache(tokenizer)
    token_ids, lengths = cache.encode(lines)
    expected = tokenizer.encode_plain(lines)
    assert np.array_equal(token_ids, np.concatenate(expected))
    assert np.array_equal(lengths, [len(ids) for ids in expected])

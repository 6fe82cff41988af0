"""Words are spelled as the published ELMo networks read them."""

from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.flat_words import (
    BEGIN_SENTENCE,
    BEGIN_WORD,
    END_SENTENCE,
    END_WORD,
    FILLING,
    FlatWords,
    word_characters,
)


def test_a_word_is_its_bytes_between_two_marks():
    assert word_characters("né", 8) == [BEGIN_WORD, ord("n"), 0xC3, 0xA9, END_WORD, FILLING, FILLING, FILLING]
    assert word_characters("abcdefgh", 6) == [BEGIN_WORD, *b"abcd", END_WORD]


def test_a_sentence_stands_between_a_begin_and_an_end():
    flat = FlatWords.from_sentences([["a", "b"], [], ["b"]], max_characters=4)
    spelled = flat.character_ids[flat.word_index][:, 1].tolist()
    a, b = b"ab"
    begin, end = BEGIN_SENTENCE, END_SENTENCE
    assert spelled == [begin, a, b, end, begin, end, begin, b, end]
    assert flat.lengths.tolist() == [4, 2, 3]
    assert flat.words.nonzero().squeeze(1).tolist() == [1, 2, 7]


@given(st.lists(st.lists(st.text(min_size=1, max_size=12), max_size=6), min_size=1, max_size=5))
def test_every_word_comes_back_in_its_place_and_is_spelled_once(sentences):
    flat = FlatWords.from_sentences(sentences, max_characters=20)
    words = [word for sentence in sentences for word in sentence]
    assert flat.character_ids[flat.word_index][flat.words].tolist() == [word_characters(word, 20) for word in words]
    assert len(flat.character_ids) == 2 + len(set(words))

"""Sentences from plain text, from words and from JSON: the words, where they stand, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.tags.sentence import Sentence, sentence_of_text, sentence_of_values, sentence_of_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \t ", ""),
        ("Ana went to São Paulo.", "Ana went to São Paulo ."),
        ("  it's 3.5%!", "it ' s 3 . 5 % !"),
        ("我 love北京", "我 love 北 京"),
        ("a\u00a0b\u3000c", "a b c"),
        ("ok 👨\u200d👩", "ok 👨\u200d👩"),
        ("half \ud800 a pair", "half a pair"),
    ],
)
def test_a_text_is_cut_at_white_space_and_around_punctuation_and_cjk_characters(text, words):
    sentence = sentence_of_text(text, 7)
    assert sentence.words == tuple(words.split())
    assert tuple(text[begin:end] for begin, end in sentence.offsets) == sentence.words
    assert (sentence.line, sentence.tags, sentence.document, sentence.text) == (7, None, None, text)


@given(st.text(max_size=40))
def test_words_stand_in_the_text_in_order_and_give_the_pieces_of_the_text(tokenizer, text):
    sentence = sentence_of_text(text, 1)
    borders = [border for offsets in sentence.offsets for border in offsets]
    assert borders == sorted(borders)
    assert sentence.words == tuple(text[begin:end] for begin, end in sentence.offsets)
    assert all(sentence.words)
    (whole,) = tokenizer.encode_plain([text])
    parts = tokenizer.encode_plain(sentence.words)
    assert np.concatenate([*parts, np.zeros(0, np.int32)]).tolist() == whole.tolist()


def test_words_and_tags_are_taken_as_they_are():
    assert sentence_of_words(["New York", "!"], 3) == Sentence(("New York", "!"), None, 3)
    assert sentence_of_words(["a"], 3, ["O"]) == Sentence(("a",), ("O",), 3)


@pytest.mark.parametrize(
    ("words", "tags", "reason"),
    [
        (["a", ""], None, "word 2 is empty"),
        (["a", 5], None, "word 2 is 5, not a text"),
        (["a"], [3], "tag 1 is 3, not a text"),
        (["a", "b"], ["O"], "it has 2 words and 1 tags"),
    ],
)
def test_what_is_no_word_and_no_tag_is_refused(words, tags, reason):
    with pytest.raises(ValueError, match=reason):
        sentence_of_words(words, 1, tags)


def test_a_json_object_has_words_or_a_text_and_with_labels_words_and_tags():
    values = {"words": ["a", "b"], "tags": ["O", "O"], "text": "c"}
    assert sentence_of_values(values, 1, labelled=True).tags == ("O", "O")
    assert sentence_of_values(values, 1, labelled=False) == Sentence(("a", "b"), None, 1)
    assert sentence_of_values({"text": "c d"}, 1, labelled=False).words == ("c", "d")
    for lacking, labelled in (({"text": "c"}, True), ({"words": ["a"]}, True), ({}, False)):
        with pytest.raises(KeyError):
            sentence_of_values(lacking, 1, labelled=labelled)
    for wrong in ({"words": "a b"}, {"text": 3}):
        with pytest.raises(ValueError, match="not a"):
            sentence_of_values(wrong, 1, labelled=False)

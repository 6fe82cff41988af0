"""Texts with a [MASK]: the template around them, what is cut of them, and words as single pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.masked_words.encoding import encode_masked
from bertsmith.tasks.masked_words.pieces import answer_ids, label_ids, piece_id
from bertsmith.tasks.masked_words.template import Template
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.text.pieces import MASK
from bertsmith.text.tokenizer import Tokenizer

WORDS = st.lists(st.sampled_from(["the", "cat", "dogs", "!", "unknown"]), max_size=20)


def encode(tokenizer, *texts, template="{text}", max_seq_length=32, answers=None, **limits):
    limits = InputLimits(max_seq_length=max_seq_length, **limits)
    return encode_masked(texts, Template.parse(template), tokenizer, limits, answers)


@pytest.mark.parametrize(
    ("template", "text", "expected"),
    [
        ("{text}", "the [MASK] sat", "[CLS] the [MASK] sat [SEP]"),
        ("{text}", "[MASK]", "[CLS] [MASK] [SEP]"),
        ("{text} It was [MASK].", "a film", "[CLS] a film it was [MASK] . [SEP]"),
        ("[MASK], {text}", "a film", "[CLS] [MASK] , a film [SEP]"),
        ("A [MASK]! {text} it", "dogs", "[CLS] a [MASK] ! dogs it [SEP]"),
        ("the {text} ran", "cat [MASK]", "[CLS] the cat [MASK] ran [SEP]"),
        ("It was [MASK]. {text}", "", "[CLS] it was [MASK] . [SEP]"),
    ],
)
def test_the_mask_is_the_texts_or_the_templates(tokenizer, template, text, expected):
    (row,) = encode(tokenizer, text, template=template).rows
    assert tokenizer.decode(row.token_ids[0]) == expected
    assert row.segment_ids[0].tolist() == [0] * len(row.token_ids[0])
    assert row.label is None


def test_a_mask_in_a_text_is_ordinary_where_the_template_has_one(tokenizer):
    (row,) = encode(tokenizer, "a [MASK] film", template="{text} It was [MASK].").rows
    assert (row.token_ids[0] == tokenizer.mask_id).sum() == 1
    assert tokenizer.decode(row.token_ids[0]).endswith("film it was [MASK] . [SEP]")


@given(left=WORDS, right=WORDS, max_seq_length=st.integers(8, 24))
def test_what_is_cut_is_farthest_from_the_mask(tokenizer, left, right, max_seq_length):
    text = " ".join([*left, MASK, *right])
    encoded = encode(tokenizer, text, max_seq_length=max_seq_length)
    whole = encode(tokenizer, text, max_seq_length=128).rows[0].token_ids[0][1:-1]
    kept = encoded.rows[0].token_ids[0]
    assert len(kept) == min(len(whole) + 2, max_seq_length)
    assert (kept[0], kept[-1]) == (tokenizer.cls_id, tokenizer.sep_id)
    assert encoded.num_cut == (len(whole) + 2 > max_seq_length)
    before = int(np.flatnonzero(whole == tokenizer.mask_id)[0])
    kept_before = int(np.flatnonzero(kept == tokenizer.mask_id)[0]) - 1
    start = before - kept_before
    assert np.array_equal(kept[1:-1], whole[start : start + len(kept) - 2])  # one stretch around the [MASK]
    lost_left, lost_right = start, len(whole) - start - (len(kept) - 2)
    after, kept_after = len(whole) - before - 1, len(kept) - 3 - kept_before
    assert not lost_left or kept_before >= min(kept_after, before) - 1
    assert not lost_right or kept_after >= min(kept_before, after) - 1


@given(words=WORDS, max_seq_length=st.integers(9, 24))
def test_of_a_text_in_a_template_the_end_is_cut_and_the_template_stays(tokenizer, words, max_seq_length):
    encoded = encode(tokenizer, " ".join(words), template="{text} It was [MASK].", max_seq_length=max_seq_length)
    plain = tokenizer.encode_plain([" ".join(words)])[0]
    ids = encoded.rows[0].token_ids[0]
    assert tokenizer.tokens(ids[-5:]) == ["it", "was", "[MASK]", ".", "[SEP]"]
    assert np.array_equal(ids[1:-5], plain[: max_seq_length - 6])
    assert encoded.num_cut == (len(plain) > max_seq_length - 6)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("It was [MASK].", "has no field, and it is to have {text} once"),
        ("{text} {text} [MASK]", "has {text}, {text}, and it is to have {text} once"),
        ("{text} {label} [MASK]", "has {text}, {label}, and it is to have {text} once"),
        ("[MASK] {text} [MASK]", r"has \[MASK\] 2 times: keep one"),
    ],
)
def test_a_template_that_cannot_be_is_refused(template, message):
    with pytest.raises(ConfigurationError, match=message):
        Template.parse(template)


def test_a_template_without_room_for_a_text_is_refused(tokenizer):
    with pytest.raises(ConfigurationError, match="has 8 tokens and leaves no room for a text in 8"):
        encode(tokenizer, "cat", template="{text} it was not very [MASK]!", max_seq_length=8)
    with pytest.raises(ConfigurationError, match="not read in windows"):
        encode(tokenizer, "[MASK]", long_texts="max")


@pytest.mark.parametrize(("text", "reason"), [("a cat", "no [MASK]"), ("[MASK] [MASK]", "2 [MASK]s")])
def test_a_text_has_one_mask_unless_the_template_has_it(text, reason):
    with pytest.raises(ValueError) as refusal:
        Template.parse("{text}").require_mask(text)
    assert reason in str(refusal.value)
    Template.parse("{text} [MASK]").require_mask(text)


def test_answers_and_the_vocabulary_go_along(tokenizer):
    encoded = encode(tokenizer, "[MASK] sat", "a [MASK]", answers=np.array([7, 9]))
    assert encoded.labels.tolist() == [7, 9]
    assert all(row.origin is tokenizer.pieces for row in encoded.rows)


@pytest.mark.parametrize(("word", "piece"), [("cat", "cat"), ("Cat", "cat"), ("##s", "##s"), ("!", "!")])
def test_a_word_is_one_piece_as_it_is_encoded_or_as_it_is_written(tokenizer, word, piece):
    assert tokenizer.pieces[piece_id(word, tokenizer)] == piece


@pytest.mark.parametrize(
    ("word", "pieces"),
    [("dogs", "dog ##s"), ("xylophone", r"\[UNK\]"), ("", "no piece at all"), ("[MASK]", r"\[UNK\] \[UNK\] \[UNK\]")],
)
def test_a_word_that_is_not_one_piece_is_refused_with_its_pieces(tokenizer, word, pieces):
    with pytest.raises(ValueError, match=f"'.*' is not one piece of the vocabulary: it is {pieces}"):
        piece_id(word, tokenizer)


def test_a_cased_vocabulary_tells_words_apart():
    tokenizer = Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Good", "good"], lowercase=False)
    assert label_ids({"b": "good", "a": "Good"}, tokenizer) == {"a": 5, "b": 6}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"0": "bad", "1": "dogs"}, "The word of the label '1' cannot be used: 'dogs' is not one piece"),
        ({"0": "good", "1": "Good"}, "Two labels have the word 'good'"),
    ],
)
def test_words_of_labels_that_cannot_be_are_refused(tokenizer, words, message):
    with pytest.raises(ConfigurationError, match=message):
        label_ids(words, tokenizer)


def test_answers_that_are_no_single_piece_are_counted_and_the_first_is_named(tokenizer):
    examples = [
        SentenceExample("[MASK]", None, word, line) for line, word in enumerate(["cat", "dogs", "mats"], start=2)
    ]
    with pytest.raises(
        InputError, match=r"2 of 3 answers cannot be given at one \[MASK\]; the first on line 3: 'dogs'"
    ):
        answer_ids(examples, tokenizer)
    assert tokenizer.tokens(answer_ids(examples[:1], tokenizer)) == ["cat"]

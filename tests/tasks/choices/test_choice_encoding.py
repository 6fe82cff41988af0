"""Encoding of choices: a sequence for each, equal to transformers' encoding of the pair of texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.choices.encoding import encode_choices
from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.input_limits import InputLimits

TEXTS = st.lists(st.sampled_from(["the", "cat", "unknown", "dogs", "!"]), max_size=24).map(" ".join)
WORDS = st.lists(st.sampled_from(["the", "cat", "dogs", "!"]), min_size=1, max_size=24).map(" ".join)
LONG = InputLimits(max_seq_length=64)


def encode(tokenizer, *examples, limits=LONG, labelled=True):
    return encode_choices(examples, tokenizer, limits, labelled=labelled)


def example(context, question, *choices, label=0):
    return ChoiceExample(context, question, choices, label, 1)


@pytest.fixture(scope="module")
def reference(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    tokenizer.save(folder)
    return BertTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    ("context", "question", "pieces", "segments"),
    [
        ("the cat", "it", "[CLS] the cat [SEP] it sat [SEP]", [0, 0, 0, 0, 1, 1, 1]),
        ("the cat", "", "[CLS] the cat [SEP] sat [SEP]", [0, 0, 0, 0, 1, 1]),
        ("", "it", "[CLS] it [SEP] sat [SEP]", [0, 0, 0, 1, 1]),
        ("", "", "[CLS] sat [SEP]", [0, 0, 0]),
    ],
)
def test_a_is_what_is_given_and_b_the_question_with_a_choice(tokenizer, context, question, pieces, segments):
    (row,) = encode(tokenizer, example(context, question, "ran", "sat", label=1)).rows
    assert len(row.token_ids) == len(row.segment_ids) == 2
    assert tokenizer.tokens(row.token_ids[1]) == pieces.split()
    assert row.segment_ids[1].tolist() == segments
    assert (row.label.shape, row.label.dtype, row.label.item()) == ((), np.int64, 1)


@settings(max_examples=150)
@given(
    context=WORDS, question=TEXTS, choices=st.lists(TEXTS, min_size=2, max_size=4), max_seq_length=st.integers(8, 30)
)
def test_each_sequence_equals_transformers_encoding_of_the_pair(
    tokenizer, reference, context, question, choices, max_seq_length
):
    limits = InputLimits(max_seq_length=max_seq_length)
    encoded = encode(tokenizer, example(context, question, *choices), limits=limits)
    seconds = [f"{question} {choice}" for choice in choices]
    expected = reference([context] * len(choices), seconds, truncation="longest_first", max_length=max_seq_length)
    (row,) = encoded.rows
    assert [ids.tolist() for ids in row.token_ids] == expected["input_ids"]
    assert [ids.tolist() for ids in row.segment_ids] == expected["token_type_ids"]
    whole = reference([context] * len(choices), seconds)["input_ids"]
    assert encoded.num_cut == (max(map(len, whole)) > max_seq_length)


def test_of_a_passage_the_end_is_cut_and_the_question_with_its_choice_stays_whole(tokenizer):
    limits = InputLimits(max_seq_length=12)
    encoded = encode(tokenizer, example("the cat sat on a mat . " * 3, "it", "sat", "ran"), limits=limits)
    assert tokenizer.decode(encoded.rows[0].token_ids[1]) == "[CLS] the cat sat on a mat . [SEP] it ran [SEP]"
    assert encoded.num_cut == 1


def test_a_choice_alone_is_cut_at_its_end(tokenizer):
    limits = InputLimits(max_seq_length=8)
    encoded = encode(tokenizer, example("", "", "cat " * 20, "dog"), limits=limits)
    assert [len(ids) for ids in encoded.rows[0].token_ids] == [8, 3]
    assert encoded.num_cut == 1


def test_questions_have_their_own_numbers_of_choices_and_a_batch_knows_them(tokenizer):
    encoded = encode(tokenizer, example("a", "", "cat", "dog"), example("a", "", "cat", "dog", "man", label=2))
    batch = encoded.batch([1, 0])
    assert batch.example_borders == (0, 3, 5)
    assert batch.labels.tolist() == [2, 0]
    assert batch.num_sequences == 2


def test_without_labels_none_are_given(tokenizer):
    (row,) = encode(tokenizer, example("a", "", "cat", "dog", label=None), labelled=False).rows
    assert row.label is None


def test_a_special_piece_in_a_choice_is_ordinary_text(tokenizer):
    (row,) = encode(tokenizer, example("a", "", "[SEP] cat", "dog")).rows
    assert (row.token_ids[0] == tokenizer.sep_id).sum() == 2


def test_windows_are_refused(tokenizer):
    with pytest.raises(ConfigurationError, match="not read in windows"):
        encode(tokenizer, example("a", "", "cat", "dog"), limits=InputLimits(long_texts="mean"))

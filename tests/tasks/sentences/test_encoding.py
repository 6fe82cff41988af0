"""Encoding of sentences: the special tokens, truncation equal to transformers', windows of long texts, labels."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.sentences.encoding import encode_texts, label_values
from bertsmith.tasks.sentences.examples import SentenceExample

TEXTS = st.lists(st.sampled_from(["the", "cat", "unknown", "dogs", "!"]), max_size=24).map(" ".join)


def limits(max_seq_length):
    return InputLimits(max_seq_length=max_seq_length)


@pytest.fixture(scope="module")
def reference(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    tokenizer.save(folder)
    return BertTokenizer.from_pretrained(folder)


def test_one_text_and_a_pair_get_their_special_tokens_and_segments(tokenizer):
    single = encode_texts(["the cat sat"], None, tokenizer, limits(16))
    assert tokenizer.tokens(single.rows[0].token_ids[0]) == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    assert single.rows[0].segment_ids[0].tolist() == [0, 0, 0, 0, 0]
    pair = encode_texts(["the cat"], ["dogs"], tokenizer, limits(16))
    assert tokenizer.tokens(pair.rows[0].token_ids[0]) == ["[CLS]", "the", "cat", "[SEP]", "dog", "##s", "[SEP]"]
    assert pair.rows[0].segment_ids[0].tolist() == [0, 0, 0, 0, 1, 1, 1]


@settings(deadline=None, max_examples=200)
@given(first=TEXTS, second=TEXTS, max_seq_length=st.integers(8, 30))
def test_truncation_of_pairs_equals_transformers_longest_first(tokenizer, reference, first, second, max_seq_length):
    expected = reference([first], [second], truncation="longest_first", max_length=max_seq_length)
    encoded = encode_texts([first], [second], tokenizer, limits(max_seq_length))
    assert encoded.rows[0].token_ids[0].tolist() == expected["input_ids"][0]
    assert encoded.rows[0].segment_ids[0].tolist() == expected["token_type_ids"][0]
    assert encoded.num_cut == (len(reference([first], [second])["input_ids"][0]) > max_seq_length)


@settings(deadline=None, max_examples=100)
@given(text=TEXTS, max_seq_length=st.integers(8, 30))
def test_truncation_of_one_text_equals_transformers(tokenizer, reference, text, max_seq_length):
    expected = reference(text, truncation="longest_first", max_length=max_seq_length)
    (row,) = encode_texts([text], None, tokenizer, limits(max_seq_length)).rows
    assert row.token_ids[0].tolist() == expected["input_ids"]


def test_a_special_piece_in_a_text_is_ordinary_text(tokenizer):
    (ids,) = encode_texts(["the [SEP] cat"], None, tokenizer, limits(16)).rows[0].token_ids
    assert (ids == tokenizer.sep_id).sum() == 1


def test_the_number_of_cut_examples_is_counted(tokenizer):
    assert encode_texts(["cat " * 5, "cat " * 6, "cat " * 7], None, tokenizer, limits(8)).num_cut == 1


def test_labels_are_indices_or_scores_or_yes_and_no():
    def labels(values, names):
        made = label_values([SentenceExample("cat", None, value, 2) for value in values], names)
        return made.tolist(), made.dtype

    assert labels(["good", "bad"], ("bad", "good")) == ([1, 0], np.int64)
    assert labels([2.5, 1.0], None) == ([2.5, 1.0], np.float32)
    assert labels([("b",), (), ("a", "b")], ("a", "b")) == ([[False, True], [False, False], [True, True]], np.bool_)


@settings(deadline=None, max_examples=200)
@given(
    length=st.integers(0, 60),
    second=st.none() | st.integers(0, 60),
    max_seq_length=st.integers(8, 20),
    stride=st.integers(1, 24),
)
@example(length=6, second=0, max_seq_length=8, stride=1)  # the first text fills all of the room
def test_windows_hold_every_token_of_a_long_text(tokenizer, length, second, max_seq_length, stride):
    window_limits = InputLimits(max_seq_length=max_seq_length, stride=stride, long_texts="mean")
    # no two neighbouring tokens of a text are the same, so that a gap would show
    texts = ["".join(chr(ord("b") + place % 24) + " " for place in range(count)) for count in (length, second or 0)]
    pairs = None if second is None else [texts[1]]
    (row,) = encode_texts([texts[0]], pairs, tokenizer, window_limits).rows
    assert all(len(ids) <= max_seq_length for ids in row.token_ids)
    moving = texts[0] if second is None else texts[1]
    expected = tokenizer.encode(moving)
    room = max_seq_length - (2 if second is None else 3)
    total = length + (second or 0)
    if total <= room:
        assert len(row.token_ids) == 1
        return
    kept_first = 0 if second is None else min(length, max(room // 2, room - second))
    windows = [ids[1:-1] if second is None else ids[kept_first + 2 : -1] for ids in row.token_ids]
    if second is not None:
        kept = tokenizer.encode(texts[0])[:kept_first]
        assert all(ids[1 : kept_first + 1].tolist() == kept for ids in row.token_ids)
    covered = 0
    for number, window in enumerate(windows):
        start = number * min(stride, room - kept_first)
        assert window.tolist() == expected[start : start + room - kept_first]
        assert start <= covered
        covered = start + len(window)
    assert covered == len(expected)

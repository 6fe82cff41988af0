"""Encoding: the special tokens, truncation equal to transformers', and batches as a function of (seed, cursor)."""

import numpy as np
import pytest
import torch
from bertsmith.tasks.encoding import TaskBatches, TaskCursor, encode_examples, encode_texts, longest_first
from bertsmith.tasks.examples import Example
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import BertTokenizer

from bertsmith.tasks.task import Columns, SentenceTask

SINGLE = SentenceTask("single", Columns("text", label="label"), labels=("bad", "good"), metrics=("accuracy",))
PAIR = SentenceTask("pair", Columns("a", "b", "label"), labels=None, metrics=("spearman",))
TEXTS = st.lists(st.sampled_from(["the", "cat", "unknown", "dogs", "!"]), max_size=24).map(" ".join)


@pytest.fixture(scope="module")
def reference(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    tokenizer.save(folder)
    return BertTokenizer.from_pretrained(folder)


def test_one_text_and_a_pair_get_their_special_tokens_and_segments(tokenizer):
    single = encode_texts(["the cat sat"], None, tokenizer, 16)
    assert tokenizer.tokens(single.token_ids[0]) == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    assert single.segment_ids[0].tolist() == [0, 0, 0, 0, 0]
    pair = encode_texts(["the cat"], ["dogs"], tokenizer, 16)
    assert tokenizer.tokens(pair.token_ids[0]) == ["[CLS]", "the", "cat", "[SEP]", "dog", "##s", "[SEP]"]
    assert pair.segment_ids[0].tolist() == [0, 0, 0, 0, 1, 1, 1]


@settings(deadline=None, max_examples=200)
@given(first=TEXTS, second=TEXTS, max_seq_length=st.integers(5, 30))
def test_truncation_of_pairs_equals_transformers_longest_first(tokenizer, reference, first, second, max_seq_length):
    expected = reference([first], [second], truncation="longest_first", max_length=max_seq_length)
    encoded = encode_texts([first], [second], tokenizer, max_seq_length)
    assert encoded.token_ids[0].tolist() == expected["input_ids"][0]
    assert encoded.segment_ids[0].tolist() == expected["token_type_ids"][0]
    assert encoded.num_cut == (len(reference([first], [second])["input_ids"][0]) > max_seq_length)


@settings(deadline=None, max_examples=100)
@given(text=TEXTS, max_seq_length=st.integers(3, 30))
def test_truncation_of_one_text_equals_transformers(tokenizer, reference, text, max_seq_length):
    expected = reference(text, truncation="longest_first", max_length=max_seq_length)
    assert encode_texts([text], None, tokenizer, max_seq_length).token_ids[0].tolist() == expected["input_ids"]


def test_a_special_piece_in_a_text_is_ordinary_text(tokenizer):
    (ids,) = encode_texts(["the [SEP] cat"], None, tokenizer, 16).token_ids
    assert (ids == tokenizer.sep_id).sum() == 1


@given(st.integers(0, 600), st.integers(0, 600), st.integers(1, 509))
def test_a_cut_pair_fills_the_limit_and_never_leaves_the_longer_shorter(first, second, limit):
    kept_first, kept_second = longest_first(first, second, limit)
    assert kept_first + kept_second == min(first + second, limit)
    assert 0 <= kept_first <= first
    assert 0 <= kept_second <= second
    if first > second:
        assert kept_first >= kept_second


def test_the_number_of_cut_examples_is_counted(tokenizer):
    assert encode_texts(["cat " * 3, "cat " * 4, "cat " * 5], None, tokenizer, 6).num_cut == 1


def test_labels_are_indices_or_scores(tokenizer):
    examples = [Example("cat", None, "good", 2), Example("dog", None, "bad", 3)]
    labels = encode_examples(examples, SINGLE, tokenizer, 8).labels
    assert (labels.tolist(), labels.dtype) == ([1, 0], np.int64)
    labels = encode_examples([Example("cat", "dog", 2.5, 2)], PAIR, tokenizer, 8).labels
    assert (labels.tolist(), labels.dtype) == ([2.5], np.float32)


def batches_of(tokenizer, total, batch_size, seed=0):
    examples = [
        Example("cat " * (1 + index % 5), None, "good" if index % 3 else "bad", index) for index in range(total)
    ]
    return TaskBatches(encode_examples(examples, SINGLE, tokenizer, 8), batch_size, seed)


@pytest.mark.parametrize(("total", "batch_size", "sizes"), [(10, 4, [4, 4, 2]), (8, 4, [4, 4]), (3, 8, [3])])
def test_an_epoch_holds_every_example_once_and_keeps_the_last_partial_batch(tokenizer, total, batch_size, sizes):
    batches = batches_of(tokenizer, total, batch_size)
    cursor, seen, labels = TaskCursor(), [], []
    while cursor.epoch == 0:
        batch, cursor = batches.batch(cursor)
        seen.append(batch.num_sequences)
        labels += batch.labels.tolist()
    assert seen == sizes
    assert batches.batches_per_epoch == len(sizes)
    assert sorted(labels) == sorted(int(index % 3 > 0) for index in range(total))
    assert cursor == TaskCursor(1, 0)


def test_a_batch_is_a_function_of_seed_and_cursor(tokenizer):
    batches = batches_of(tokenizer, 40, 8)
    cursors = [TaskCursor(epoch, index) for epoch in range(3) for index in range(5)]
    forwards = [batches.batch(cursor)[0].inputs.token_ids for cursor in cursors]
    again = batches_of(tokenizer, 40, 8)
    backwards = [again.batch(cursor)[0].inputs.token_ids for cursor in reversed(cursors)][::-1]
    assert all(torch.equal(left, right) for left, right in zip(forwards, backwards, strict=True))
    other_seed = batches_of(tokenizer, 40, 8, seed=1).batch(TaskCursor())[0].inputs.token_ids
    assert not torch.equal(forwards[0], other_seed)
    assert not torch.equal(forwards[0], forwards[5])  # the next epoch has another order


def test_within_a_batch_examples_stand_by_length_with_their_own_labels(tokenizer):
    examples = [Example("cat " * (1 + index % 5), None, "good" if index % 5 else "bad", index) for index in range(40)]
    batch, _ = TaskBatches(encode_examples(examples, SINGLE, tokenizer, 8), 16, seed=0).batch(TaskCursor())
    lengths = batch.inputs.cu_seqlens.diff()
    assert torch.equal(lengths, lengths.sort().values)
    assert len(lengths.unique()) == 5
    assert torch.equal(batch.labels, (lengths > 3).long())  # only the one-word text is bad


def test_slices_together_are_the_batch(tokenizer):
    batch, _ = batches_of(tokenizer, 10, 10).batch(TaskCursor())
    parts = [batch.slice(0, 4), batch.slice(4, 8), batch.slice(8, 10)]
    assert [part.num_sequences for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.inputs.token_ids for part in parts]), batch.inputs.token_ids)
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
    assert sum(part.num_tokens for part in parts) == batch.num_tokens

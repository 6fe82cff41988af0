"""Batches of a task: a function of (seed, cursor); one or several sequences each, labels per example or per token."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.tasks.encoded import EncodedExample, EncodedExamples, TaskBatches, TaskCursor
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.sentences.encoding import encode_texts


def encoded(tokenizer, total, period):
    """Texts of one to five words; every `period`-th has the label 0."""
    texts = ["cat " * (1 + index % 5) for index in range(total)]
    labels = np.array([int(index % period > 0) for index in range(total)])
    return encode_texts(texts, None, tokenizer, InputLimits(max_seq_length=8), labels)


def batches_of(tokenizer, total, batch_size, seed=0):
    return TaskBatches(encoded(tokenizer, total, period=3), batch_size, seed)


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
    batch, _ = TaskBatches(encoded(tokenizer, 40, period=5), 16, seed=0).batch(TaskCursor())
    lengths = batch.inputs.cu_seqlens.diff()
    assert torch.equal(lengths, lengths.sort().values)
    assert len(lengths.unique()) == 5
    assert torch.equal(batch.labels, (lengths > 3).long())  # only the one-word text is bad


def test_a_share_is_a_part_of_the_batch_and_goes_on_where_the_batch_does(tokenizer):
    batches = batches_of(tokenizer, 40, 8)
    whole, following = batches.batch(TaskCursor(0, 2))
    share, after_share = batches.batch(TaskCursor(0, 2), lambda count: range(3, count))
    assert torch.equal(share.inputs.token_ids, whole.slice(3, 8).inputs.token_ids)
    assert torch.equal(share.labels, whole.labels[3:])
    assert after_share == following


def test_slices_together_are_the_batch(tokenizer):
    batch, _ = batches_of(tokenizer, 10, 10).batch(TaskCursor())
    parts = [batch.slice(0, 4), batch.slice(4, 8), batch.slice(8, 10)]
    assert [part.num_sequences for part in parts] == [4, 4, 2]
    assert torch.equal(torch.cat([part.inputs.token_ids for part in parts]), batch.inputs.token_ids)
    assert torch.equal(torch.cat([part.labels for part in parts]), batch.labels)
    assert sum(part.num_tokens for part in parts) == batch.num_tokens


@given(
    sizes=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=6),
    per_token=st.booleans(),
    data=st.data(),
)
def test_a_slice_holds_the_sequences_and_the_labels_of_its_examples(sizes, per_token, data):
    random = np.random.default_rng(0)
    rows = []
    for lengths in sizes:
        ids = tuple(random.integers(0, 99, length).astype(np.int32) for length in lengths)
        label = np.concatenate(ids).astype(np.int64) if per_token else np.array(int(ids[0][0]))
        rows.append(EncodedExample(ids, tuple(np.zeros_like(part) for part in ids), label))
    start = data.draw(st.integers(0, len(rows) - 1))
    stop = data.draw(st.integers(start + 1, len(rows)))
    everything = EncodedExamples(rows, InputLimits(), labels_per_token=per_token)
    part = everything.batch(range(len(rows))).slice(start, stop)
    alone = EncodedExamples(rows[start:stop], InputLimits(), labels_per_token=per_token).batch(range(stop - start))
    assert part.num_sequences == stop - start
    assert part.example_borders == alone.example_borders
    for name in ("token_ids", "segment_ids", "positions", "cu_seqlens", "max_seqlen"):
        assert np.array_equal(getattr(part.inputs, name), getattr(alone.inputs, name))
    assert torch.equal(part.labels, alone.labels)


def test_training_needs_labels(tokenizer):
    unlabelled = encode_texts(["cat"], None, tokenizer, InputLimits())
    with pytest.raises(ValueError, match="training needs labels"):
        TaskBatches(unlabelled, 8, seed=0)

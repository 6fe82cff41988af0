from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch

sequence_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def make_batch(lengths: list[int], next_sentence: bool = True) -> PretrainingBatch:
    """Numbered tokens, of which every third is masked."""
    ids = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    inputs = FlatBatch.from_sequences(ids, [np.arange(length) % 2 for length in lengths])
    positions = torch.arange(0, sum(lengths), 3)
    labels = torch.arange(len(lengths)) % 2 if next_sentence else None
    return PretrainingBatch(inputs, positions, positions + 1000, labels)


def test_sequences_lie_end_to_end():
    batch = FlatBatch.from_sequences([[7, 8, 9], [5]], [[0, 0, 1], [0]])
    assert batch.token_ids.tolist() == [7, 8, 9, 5]
    assert batch.segment_ids.tolist() == [0, 0, 1, 0]
    assert batch.positions.tolist() == [0, 1, 2, 0]
    assert batch.cu_seqlens.tolist() == [0, 3, 4]
    assert (batch.max_seqlen, batch.num_sequences, batch.num_tokens) == (3, 2, 4)
    assert (batch.token_ids.dtype, batch.cu_seqlens.dtype) == (torch.int64, torch.int32)


@pytest.mark.parametrize(("token_ids", "segment_ids"), [([], []), ([[1], []], [[0], []]), ([[1, 2]], [[0]])])
def test_empty_or_uneven_sequences_are_refused(token_ids, segment_ids):
    with pytest.raises(ValueError):
        FlatBatch.from_sequences(token_ids, segment_ids)


@given(sequence_lengths, st.data())
def test_a_slice_is_the_batch_of_its_sequences(lengths, data):
    start = data.draw(st.integers(0, len(lengths) - 1))
    stop = data.draw(st.integers(start + 1, len(lengths)))
    ids = np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])
    segments = [np.arange(length) % 2 for length in lengths]
    sliced = FlatBatch.from_sequences(ids, segments).slice(start, stop)
    expected = FlatBatch.from_sequences(ids[start:stop], segments[start:stop])
    for name in ("token_ids", "segment_ids", "positions", "cu_seqlens"):
        assert torch.equal(getattr(sliced, name), getattr(expected, name)), name
    assert sliced.max_seqlen == expected.max_seqlen


@given(sequence_lengths, st.data(), st.booleans())
def test_slices_hold_exactly_the_batch(lengths, data, next_sentence):
    batch = make_batch(lengths, next_sentence)
    borders = [0, *sorted(data.draw(st.sets(st.integers(1, len(lengths)))) | {len(lengths)})]
    parts = [batch.slice(start, stop) for start, stop in pairwise(borders)]
    assert [part.num_sequences for part in parts] == np.diff(borders).tolist()
    for name in ("token_ids", "segment_ids", "positions"):
        together = torch.cat([getattr(part.inputs, name) for part in parts])
        assert torch.equal(together, getattr(batch.inputs, name)), name
    assert torch.equal(torch.cat([part.masked_labels for part in parts]), batch.masked_labels)
    shown = torch.cat([part.inputs.token_ids[part.masked_positions] for part in parts])
    assert torch.equal(shown, batch.inputs.token_ids[batch.masked_positions])
    if next_sentence:
        assert torch.equal(torch.cat([part.not_next for part in parts]), batch.not_next)
    else:
        assert all(part.not_next is None for part in parts)


def test_moving_a_batch_moves_every_tensor():
    moved = make_batch([3, 4, 5]).to("meta")
    inputs = moved.inputs
    tensors = (inputs.token_ids, inputs.segment_ids, inputs.positions, inputs.cu_seqlens)
    assert {
        tensor.device.type for tensor in (*tensors, moved.masked_positions, moved.masked_labels, moved.not_next)
    } == {"meta"}

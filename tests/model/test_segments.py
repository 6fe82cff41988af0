"""Segments are the texts of a batch, and what is made of them does not depend on what else is in it."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from bertsmith.batches.flat_batch import FlatBatch
from bertsmith.model.segments import Segments

LENGTHS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=6)


def batch_of(lengths):
    return FlatBatch.from_sequences([[1] * (a + b) for a, b in lengths], [[0] * a + [1] * b for a, b in lengths])


@given(LENGTHS)
def test_they_cover_the_batch_and_know_each_other(lengths):
    segments = Segments.of(batch_of(lengths))
    assert segments.lengths.tolist() == [length for pair in lengths for length in pair if length]
    first = 0
    for place, (_, b) in enumerate(lengths):
        assert segments.first[place] == first
        if b:
            assert segments.opposite[first : first + 2].tolist() == [first + 1, first]
        else:
            assert segments.opposite[first] == first
        first += 2 if b else 1


@given(LENGTHS, st.integers(0, 2**31))
def test_a_token_attends_to_the_tokens_of_the_other_text_and_to_no_others(lengths, seed):
    segments = Segments.of(batch_of(lengths))
    states = torch.randn(int(segments.lengths.sum()), 4, generator=torch.Generator().manual_seed(seed))
    texts = states.split(segments.lengths.tolist())
    expected = [
        torch.softmax(text @ texts[other].T / 2, dim=1) @ texts[other]
        for text, other in zip(texts, segments.opposite.tolist(), strict=True)
    ]
    torch.testing.assert_close(segments.opposite_states(states), torch.cat(expected))
    torch.testing.assert_close(segments.strongest(states), torch.stack([text.amax(dim=0) for text in texts]))


def test_a_text_alone_looks_at_itself():
    segments = Segments.of(batch_of([(2, 0)]))
    states = torch.tensor([[1.0], [3.0]])
    expected = torch.softmax(torch.tensor([[1.0, 3.0], [3.0, 9.0]]), dim=1) @ states
    torch.testing.assert_close(segments.opposite_states(states), expected)

"""The data recipe: what every sample and every plan must be. Lengths only; the text itself is in the other tests."""

import math
from itertools import pairwise

import numpy as np
import pytest
from corpora import random_documents
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.batches.segment_pairs import Ending, SegmentPair, plan_segments
from bertsmith.text.token_store import TokenBlock

documents_strategy = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=12), min_size=1, max_size=12)
lengths_strategy = st.integers(8, 64)


def make_block(documents: list[list[int]], first_document: int = 0) -> TokenBlock:
    lengths = np.concatenate([np.array(document) for document in documents])
    return TokenBlock(
        token_ids=np.zeros(lengths.sum(), dtype=np.uint16),
        sentence_offsets=np.concatenate([[0], np.cumsum(lengths)]),
        document_offsets=np.concatenate([[0], np.cumsum([len(document) for document in documents])]),
        first_document=first_document,
    )


def plan(documents, max_seq_length=128, short=0.1, next_sentence=True, seed=0) -> list[SegmentPair]:
    rows = plan_segments(
        [make_block(documents)],
        max_seq_length=max_seq_length,
        short_sequence_probability=short,
        next_sentence=next_sentence,
        rng=np.random.default_rng(seed),
    )
    return [SegmentPair._make(row) for row in rows.tolist()]


def in_text_order(pairs: list[SegmentPair]) -> list[SegmentPair]:
    return sorted(pairs, key=lambda pair: pair.start)


@given(documents_strategy, lengths_strategy, st.sampled_from([0.0, 0.1, 1.0]), st.booleans(), st.integers(0, 99))
def test_every_token_is_in_exactly_one_a_or_true_b(documents, max_seq_length, short, next_sentence, seed):
    block = make_block(documents)
    ends = set(block.sentence_offsets[block.document_offsets[1:]].tolist())
    pairs = in_text_order(plan(documents, max_seq_length, short, next_sentence, seed))
    used_until = 0
    for pair in pairs:
        assert pair.start == used_until
        used_until = pair.border if pair.not_next else pair.end
        assert not any(pair.start < end < pair.end for end in ends), "a sample reaches over the end of its document"
    assert used_until == len(block.token_ids)


@given(documents_strategy, lengths_strategy, st.booleans(), st.integers(0, 99))
def test_no_sample_is_empty_or_longer_than_its_room(documents, max_seq_length, next_sentence, seed):
    room_for_text = max_seq_length - (3 if next_sentence else 2)
    for pair in plan(documents, max_seq_length, 0.5, next_sentence, seed):
        assert pair.start < pair.border <= pair.end
        assert pair.end - pair.start <= room_for_text
        if next_sentence:
            assert 1 <= pair.room <= room_for_text - (pair.border - pair.start)
            assert pair.not_next or pair.border < pair.end <= pair.border + pair.room


@given(documents_strategy, lengths_strategy, st.integers(0, 99))
def test_a_sentence_is_cut_only_for_want_of_a_second_unit(documents, max_seq_length, seed):
    block = make_block(documents)
    borders = set(block.sentence_offsets.tolist())
    for pair in plan(documents, max_seq_length, 0.5, True, seed):
        room_end = pair.border + pair.room
        next_border = min(border for border in borders if border > pair.start)
        if pair.ending == Ending.WITHIN:  # the sentence takes all the room
            assert next_border >= room_end == pair.end
        elif pair.ending == Ending.CUT:  # the next one does not fit beside it
            assert pair.border == next_border
            assert pair.end == room_end
            assert not any(pair.border < border <= room_end for border in borders)
        else:
            assert {pair.border, pair.end} <= borders


@given(documents_strategy, lengths_strategy, st.integers(0, 99))
def test_a_sample_ends_only_where_its_document_ends_or_the_next_sentence_does_not_fit(documents, max_seq_length, seed):
    block = make_block(documents)
    borders = block.sentence_offsets
    document_ends = set(borders[block.document_offsets].tolist())
    for pair in plan(documents, max_seq_length, 0.5, True, seed):
        if pair.ending == Ending.DOCUMENT:
            assert pair.end in document_ends
        elif pair.ending == Ending.SENTENCE:
            assert borders[np.searchsorted(borders, pair.end) + 1] > pair.border + pair.room


@given(documents_strategy, st.integers(0, 99))
def test_only_a_single_sentence_at_the_end_of_a_document_has_no_choice(documents, seed):
    block = make_block(documents)
    document_ends = set(block.sentence_offsets[block.document_offsets].tolist())
    for pair in plan(documents, 32, 0.1, True, seed):
        if pair.border == pair.end:
            assert pair.not_next
            assert pair.border in document_ends
            assert not any(pair.start < border < pair.border for border in block.sentence_offsets)


@given(documents_strategy, lengths_strategy, st.integers(0, 99))
def test_without_nsp_only_a_sentence_longer_than_the_room_is_cut(documents, max_seq_length, seed):
    borders = set(make_block(documents).sentence_offsets.tolist())
    for pair in plan(documents, max_seq_length, 0.0, False, seed):
        assert (pair.border, pair.room, pair.not_next) == (pair.end, 0, 0)
        if pair.end not in borders:
            assert pair.end - pair.start == max_seq_length - 2
            assert not any(pair.start < border < pair.end for border in borders)


@pytest.mark.parametrize(
    ("name", "documents", "max_seq_length"),
    [
        ("like Wikipedia", random_documents(6000, seed=1, sentences=5), 128),
        ("like Wikipedia, long samples", random_documents(6000, seed=2, sentences=5), 512),
        ("long documents", random_documents(60, seed=3, sentences=500), 128),
        ("long sentences", [[300, 200, 500, 150]] * 500, 128),
        ("two sentences a document", [[10, 10]] * 5000, 128),
    ],
)
def test_half_of_all_pairs_are_true(name, documents, max_seq_length):
    labels = np.array([pair.not_next for pair in plan(documents, max_seq_length)])
    z = (labels.mean() - 0.5) / math.sqrt(0.25 / len(labels))
    assert abs(z) < 4, (name, labels.mean(), len(labels))


def test_documents_of_one_sentence_are_repaid_by_the_others():
    documents = random_documents(4000, seed=4, sentences=8) + [[20]] * 2000
    documents = [documents[i] for i in np.random.default_rng(0).permutation(len(documents))]
    labels = np.array([pair.not_next for pair in plan(documents)])
    assert abs(labels.mean() - 0.5) < 4 * math.sqrt(0.25 / len(labels))


def test_the_opening_of_a_document_does_not_tell_the_label():
    documents = random_documents(20_000, seed=5, sentences=5)
    block = make_block(documents)
    openings = set(block.sentence_offsets[block.document_offsets].tolist())
    labels = np.array([pair.not_next for pair in plan(documents) if pair.start in openings])
    assert abs(labels.mean() - 0.5) < 0.07  # repaying a random pair by the very next one would make it 0.38


def test_one_sample_in_ten_is_short_and_its_room_uniform():
    pairs = plan(random_documents(200, seed=6, sentences=300), max_seq_length=128)
    rooms = np.array([pair.room + pair.border - pair.start for pair in pairs])
    short = rooms < 125
    expected = 0.1 * 123 / 124
    assert abs(short.mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / len(rooms))
    assert rooms.min() == 2
    counts = np.histogram(rooms[short], bins=np.linspace(1.5, 124.5, 4))[0]  # [2, 124] in three
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 18  # chi-squared, 2 degrees: p < 0.0002


def test_the_border_is_uniform_among_the_units():
    pairs = plan([[20] * 6] * 20_000, max_seq_length=123, short=0.0)
    first = [pair for pair in pairs if pair.end - pair.start == 120]  # six units: one to five in A
    counts = np.bincount([(pair.border - pair.start) // 20 for pair in first], minlength=6)[1:]
    assert ((counts - counts.mean()) ** 2 / counts.mean()).sum() < 26  # chi-squared, 4 degrees: p < 0.00004


def test_samples_are_shuffled():
    pairs = plan(random_documents(300, seed=7, sentences=30))
    starts = np.array([pair.start for pair in pairs])
    rising = np.mean([after > before for before, after in pairwise(starts)])
    assert abs(rising - 0.5) < 0.05


def test_equal_generators_give_equal_plans():
    documents = random_documents(100, seed=8)
    assert plan(documents, seed=3) == plan(documents, seed=3) != plan(documents, seed=4)


@settings(max_examples=20)
@given(st.integers(1, 5))
def test_blocks_and_documents_are_numbered(num_blocks):
    blocks = [make_block([[30, 30], [10]], first_document=10 * number) for number in range(num_blocks)]
    rows = plan_segments(
        blocks,
        max_seq_length=64,
        short_sequence_probability=0.0,
        next_sentence=True,
        rng=np.random.default_rng(0),
    )
    pairs = [SegmentPair._make(row) for row in rows.tolist()]
    assert {(pair.block, pair.document) for pair in pairs} == {
        (number, 10 * number + row) for number in range(num_blocks) for row in (0, 1)
    }

"""Random text: from another document, uniformly, and ending as the text that it displaces."""

import math

import numpy as np
import pytest
from corpora import FIRST_WORD, NUM_WORDS, random_documents
from hypothesis import given, settings
from hypothesis import strategies as st

from bertsmith.batches.other_documents import OtherDocuments
from bertsmith.batches.segment_pairs import Ending


def chi_squared(counts, expected) -> float:
    """In standard deviations of the statistic above its mean."""
    statistic = float(((counts - expected) ** 2 / expected).sum())
    freedom = len(counts) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.fixture(scope="module")
def document_borders() -> np.ndarray:
    return np.concatenate([[0], np.cumsum([sum(lengths) for lengths in random_documents(200, seed=0)])])


@pytest.fixture(scope="module")
def others(small_store) -> OtherDocuments:
    return OtherDocuments(small_store.train)


@settings(max_examples=300)
@given(st.integers(0, 199), st.integers(1, 509), st.sampled_from(Ending), st.integers(0, 10**6))
def test_random_text_is_a_run_of_tokens_of_another_document(others, document_borders, document, room, ending, seed):
    text = others.draw(np.random.default_rng(seed), not_document=document, room=room, ending=ending).token_ids
    assert 1 <= len(text) <= room
    places = text.astype(int) - FIRST_WORD
    assert np.array_equal(places, np.arange(places[0], places[0] + len(places)))
    first, last = np.searchsorted(document_borders, [places[0], places[-1]], side="right") - 1
    assert first == last != document


@pytest.fixture(scope="module")
def uneven(make_store) -> tuple[OtherDocuments, set[int], set[int]]:
    """Documents that all have a place for each ending; the places where sentences and documents end."""
    documents = [[20, 35, 150, 12, 30, 41, 8, 25, 33, 140, 19, 27, 31, 50, 22, 10]] * 50
    ends = np.cumsum(np.concatenate(documents))
    return OtherDocuments(make_store(documents).train), {0, *ends.tolist()}, set(ends[15::16].tolist())


@given(st.integers(20, 139), st.sampled_from(Ending), st.integers(0, 10**6))
def test_random_text_ends_as_the_text_that_it_displaces(uneven, room, ending, seed):
    others, sentence_borders, document_ends = uneven
    text = others.draw(np.random.default_rng(seed), not_document=0, room=room, ending=ending).token_ids
    start, end = int(text[0]) - FIRST_WORD, int(text[-1]) - FIRST_WORD + 1
    assert ending == Ending.WITHIN or start not in document_ends, "the text opens a document"
    if ending == Ending.DOCUMENT:
        assert start in sentence_borders
        assert end in document_ends
    elif ending == Ending.SENTENCE:
        assert {start, end} <= sentence_borders
        assert end not in document_ends
        assert min(border for border in sentence_borders if border > end) - start > room, "one more would have fitted"
    elif ending == Ending.CUT:
        assert start in sentence_borders
        assert end == start + room
        assert not any(start < border <= end for border in sentence_borders)
    else:
        assert end == start + room or end in document_ends


def test_where_no_document_ends_as_wanted_what_is_there_is_cut(make_store):
    others = OtherDocuments(make_store([[30, 30], [40]]).train)
    text = others.draw(np.random.default_rng(0), not_document=0, room=25, ending=Ending.SENTENCE).token_ids
    assert text.tolist() == list(range(FIRST_WORD + 60, FIRST_WORD + 85))


def test_every_other_document_is_equally_likely_however_long(make_store):
    store = make_store([[5] * (2 + 40 * (number % 3)) for number in range(30)])
    others = OtherDocuments(store.train)
    borders = np.concatenate([[0], np.cumsum([10 + 200 * (number % 3) for number in range(30)])])
    rng = np.random.default_rng(0)
    drawn = [
        others.draw(rng, not_document=7, room=5, ending=Ending.DOCUMENT).token_ids[0] - FIRST_WORD for _ in range(6000)
    ]
    counts = np.bincount(np.searchsorted(borders, drawn, side="right") - 1, minlength=30)
    assert counts[7] == 0
    assert chi_squared(np.delete(counts, 7), 6000 / 29) < 4


def test_every_sentence_that_can_start_the_text_is_equally_likely(make_store):
    others = OtherDocuments(make_store([[5], [10] * 20]).train)
    rng = np.random.default_rng(0)
    drawn = [others.draw(rng, not_document=0, room=35, ending=Ending.SENTENCE).token_ids[0] for _ in range(4000)]
    counts = np.bincount((np.array(drawn) - FIRST_WORD - 5) // 10, minlength=17)
    assert len(counts) == 17, "from the 18th on the document ends within the room"
    assert counts[0] == 0, "true text never opens a document"
    assert chi_squared(counts[1:], 4000 / 16) < 4


@pytest.fixture(scope="module")
def long_documents(make_store) -> OtherDocuments:
    """Document 1 of three has 200,000 tokens and so lies in two blocks, two thirds of it in the first."""
    return OtherDocuments(make_store([[10] * 5, [100] * 2000, [10] * 5]).train)


def test_a_piece_of_a_long_document_is_drawn_by_its_length(long_documents):
    rng = np.random.default_rng(0)
    drawn = [long_documents.draw(rng, not_document=2, room=100, ending=Ending.WITHIN).token_ids for _ in range(6000)]
    places = np.array([int(text[0]) for text in drawn if len(text) == 100]) - FIRST_WORD
    counts = np.histogram(places, bins=10, range=(0, NUM_WORDS))[0]  # the corpus repeats its ids five times
    assert len(places) > 2700, "half of all texts are from the long document"
    assert chi_squared(counts, len(places) / 10) < 5


def test_no_piece_of_the_same_long_document_counts_as_another_document(long_documents):
    rng = np.random.default_rng(1)
    for _ in range(300):
        text = long_documents.draw(rng, not_document=1, room=20, ending=Ending.SENTENCE).token_ids
        assert len(text) in (10, 20), "the others have sentences of 10 tokens"

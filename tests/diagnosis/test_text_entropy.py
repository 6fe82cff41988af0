"""What counting tells about a hidden word: by hand on a small text, and on texts with and without order."""

import math

import numpy as np
import pytest
from small_runs import SPECIAL, write_store

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.held_out import held_out_batches
from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.text_entropy import (
    BigramModel,
    count_bigrams,
    entropy_finding,
    labels_and_neighbours,
    measure_entropy,
)
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import unigram_loss

FIRST = len(SPECIAL)


def held_out(store: TokenStore):
    return held_out_batches(store, BatchSettings(max_seq_length=32), max_sequences=64, batch_size=16)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> BigramModel:
    """The pairs 0 1, 1 0, 0 1 | 0 2 | 1 0, 0 2: 0 is followed by 1 twice and by 2 twice; nothing crosses a document."""
    folder = tmp_path_factory.mktemp("small") / "store"
    store = TokenStore.open(write_store(folder, [[[0, 1], [0, 1]], [[0, 2]], [[1, 0, 2]]], held_out=0.0))
    return count_bigrams(store.train, store.token_counts, max_tokens=10**6)


def test_pairs_are_counted_across_sentences_and_not_across_documents(small):
    size = len(small.unigram)
    pairs = {(int(key) // size - FIRST, int(key) % size - FIRST): int(count)
             for key, count in zip(small.keys, small.counts, strict=True)}  # fmt: skip
    assert pairs == {(0, 1): 2, (0, 2): 2, (1, 0): 2}


def test_a_probability_is_that_of_absolute_discounting(small):
    assert small.discount == 0.05  # no pair occurs once: the least there is
    unigram = small.unigram[FIRST + 1]
    expected = (2 - 0.05) / 4 + 0.05 * 2 / 4 * unigram
    assert small.probability(np.array([FIRST + 1]), np.array([FIRST])) == pytest.approx(expected)
    unseen = 0.05 * 1 / 2 * small.unigram[FIRST + 2]
    assert small.probability(np.array([FIRST + 2]), np.array([FIRST + 1])) == pytest.approx(unseen)


def test_a_word_without_a_neighbour_has_its_frequency(small):
    words = np.array([FIRST, FIRST + 2])
    np.testing.assert_allclose(small.probability(words, np.array([-1, FIRST + 2])), small.unigram[words])
    assert small.probability_between(FIRST, -1, -1) == pytest.approx(small.unigram[FIRST])


def test_probabilities_add_up_to_one(chain_store):
    model = count_bigrams(chain_store.train, chain_store.token_counts, max_tokens=10**6)
    assert 0.05 < model.discount < 0.95
    words = np.arange(len(model.unigram))
    for left in (-1, FIRST, FIRST + 7, 2):
        assert model.after(left).sum() == pytest.approx(1.0)
        np.testing.assert_allclose(model.probability(words, np.full(len(words), left)), model.after(left))
        np.testing.assert_allclose(
            [model.before(word)[left] for word in words[:20]], model.after(left)[:20]
        ) if left >= 0 else None
    assert sum(model.probability_between(word, FIRST + 1, FIRST + 9) for word in words) == pytest.approx(1.0)


def test_neighbours_are_those_of_the_text(chain_store):
    batches = held_out(chain_store)
    labels, left, right = labels_and_neighbours(batches, (chain_store.tokenizer.cls_id, chain_store.tokenizer.sep_id))
    assert len(labels) == sum(len(batch.masked_labels) for batch in batches)
    assert chain_store.tokenizer.mask_id not in {*labels, *left, *right}
    follows = (7 * (left - FIRST) + 3) % 40 + FIRST == labels
    assert follows[left >= 0].mean() > 0.7  # nine tenths within a sentence, chance between sentences
    assert 0.02 < (left < 0).mean() < 0.3


def test_the_unigram_entropy_is_the_one_of_training(chain_store):
    batches = held_out(chain_store)
    assert measure_entropy(chain_store, batches, 10**6).unigram == unigram_loss(batches, chain_store.token_counts)


def test_text_with_order_is_told_from_words_in_no_order(chain_store, shuffled_store):
    ordered, shuffled = (measure_entropy(store, held_out(store), 10**6) for store in (chain_store, shuffled_store))
    assert ordered.unigram == pytest.approx(math.log(40), abs=0.05)
    assert ordered.between < ordered.before < ordered.unigram - 1.0
    assert entropy_finding(ordered).level is Level.GOOD
    assert shuffled.before > 0.95 * shuffled.unigram
    finding = entropy_finding(shuffled)
    assert finding.level is Level.WARNING
    assert "next to nothing" in finding.meaning
    assert finding.remedy


def test_a_part_of_the_text_is_read_where_that_is_asked(chain_store):
    assert chain_store.train.num_blocks == 1  # the least that can be read is a block
    model = count_bigrams(chain_store.train, chain_store.token_counts, max_tokens=1)
    assert model.counts.sum() == chain_store.train.num_tokens - chain_store.train.num_documents

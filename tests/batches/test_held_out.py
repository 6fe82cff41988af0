"""Held-out batches: fixed samples with fixed masks, and where in their sentences the labels stand."""

import numpy as np
import pytest
import torch
from corpora import FIRST_WORD, random_documents
from samples import same, segments

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.held_out import held_out_batches, label_edge_distances
from bertsmith.text.token_store import TokenStore

SMALL = BatchSettings(max_seq_length=64, batch_size=32)


@pytest.fixture(scope="module")
def divided_store(make_store) -> TokenStore:
    return make_store(random_documents(200, seed=2), held_out=0.1)


def test_held_out_batches_are_the_same_whatever_the_training_masks(divided_store):
    store = divided_store

    def held_out(settings: BatchSettings) -> list[PretrainingBatch]:
        return held_out_batches(store, settings, max_sequences=50, batch_size=16)

    usual = held_out(SMALL)
    assert [batch.num_sequences for batch in usual] == [16, 16, 16, 2]
    other = held_out(
        SMALL.model_copy(update={"masking_rate": 0.4, "mask_share": 1.0, "random_share": 0.0, "batch_size": 7})
    )
    assert all(same(left, right) for left, right in zip(usual, other, strict=True))


def test_held_out_batches_hold_each_held_out_token_once_at_most(divided_store):
    store = divided_store
    held_out = {int(piece) - FIRST_WORD for piece in store.held_out.block(0).token_ids}
    batches = held_out_batches(store, SMALL, max_sequences=10**6, batch_size=64)
    seen: list[int] = []
    for a, b, not_next in (sample for batch in batches for sample in segments(batch)):
        seen += [*a.tolist(), *([] if not_next else b.tolist())]
        assert held_out.issuperset(b.tolist())
    assert sorted(seen) == sorted(held_out)


def test_a_single_held_out_document_takes_its_random_text_from_the_training_split(make_store):
    store = make_store(random_documents(10, seed=3, sentences=30), held_out=0.1)
    assert store.held_out.num_documents == 1
    held_out = {int(piece) - FIRST_WORD for piece in store.held_out.block(0).token_ids}
    (batch,) = held_out_batches(store, SMALL, max_sequences=1000, batch_size=1000)
    labels = [not_next for _, b, not_next in segments(batch) if held_out.issuperset(b.tolist()) != bool(not_next)]
    assert len(labels) == batch.num_sequences
    assert {0, 1} == set(labels)


def test_without_held_out_text_there_are_no_held_out_batches(small_store):
    assert held_out_batches(small_store, SMALL, max_sequences=9, batch_size=9) == []


# --- where in its sentence a label stands -----------------------------------------------------------------------------


@pytest.mark.parametrize("next_sentence", [True, False])
@pytest.mark.parametrize("batch_size", [1, 16, 1000])
def test_the_distance_of_a_label_is_that_to_the_nearer_edge_of_its_sentence(divided_store, next_sentence, batch_size):
    """Each token of the corpus tells its place, and each sentence of the corpus is known: counted by hand."""
    settings = SMALL.model_copy(update={"next_sentence": next_sentence})
    batches = held_out_batches(divided_store, settings, max_sequences=100, batch_size=batch_size)
    distances = label_edge_distances(divided_store, settings, batches)
    expected = {}
    place = 0
    for length in (length for document in random_documents(200, seed=2) for length in document):
        expected |= {place + step: min(step, length - 1 - step) for step in range(length)}
        place += length
    labels = torch.cat([batch.masked_labels for batch in batches]).numpy() - FIRST_WORD
    assert distances.tolist() == [expected[label] for label in labels.tolist()]
    assert {0, 1, 2, 9} <= set(distances.tolist())


def test_a_cut_sentence_keeps_the_edges_that_it_has_in_the_text(make_store):
    store = make_store([[100], [100]] * 10, held_out=0.5)
    settings = BatchSettings(max_seq_length=12, next_sentence=False)
    batches = held_out_batches(store, settings, max_sequences=1000, batch_size=1000)
    assert label_edge_distances(store, settings, batches).max() > 40


# --- whole words ------------------------------------------------------------------------------------------------------


def test_whole_words_are_hidden_in_the_same_samples_entirely(divided_store, tokenizer):
    usual = held_out_batches(divided_store, SMALL, max_sequences=50, batch_size=50)[0]
    (batch,) = held_out_batches(divided_store, SMALL, max_sequences=50, batch_size=50, whole_words=True)
    for left, right in zip(segments(usual), segments(batch), strict=True):
        assert np.array_equal(left[0], right[0])
        assert np.array_equal(left[1], right[1])
    assert (batch.inputs.token_ids[batch.masked_positions] == tokenizer.mask_id).all()
    assert (batch.inputs.token_ids == tokenizer.mask_id).sum() == len(batch.masked_positions)
    after_word = batch.inputs.token_ids[batch.masked_positions + 1].numpy()
    assert tokenizer.starts_word[after_word].all(), "no piece of a hidden word is shown"

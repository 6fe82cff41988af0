"""The held-out scores by kind of label: the right labels in each band, and nothing lost between the bands."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from small_runs import small_config

from bertsmith.batches.flat_batch import FlatBatch, PretrainingBatch
from bertsmith.batches.held_out import held_out_batches
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.initialisation import initialise
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import Guesses, guess_held_out, unigram_loss, unigram_losses
from bertsmith.training.held_out_breakdown import break_down, by_frequency, by_pieces, by_sentence_edge
from bertsmith.training.pretraining_objective import PretrainingObjective


def guesses_of(labels: list[int], losses: list[float] | None = None, correct: list[float] | None = None) -> Guesses:
    zeros = [0.0] * len(labels)
    return Guesses(np.array(labels, dtype=np.int64), np.array(losses or zeros), np.array(correct or zeros))


# --- by frequency -----------------------------------------------------------------------------------------------------


def test_the_bands_go_by_rank_in_the_training_text():
    counts = np.arange(30_000)  # the last piece is the most frequent
    labels = [29_999, 29_900, 29_899, 29_000, 28_999, 20_000, 19_999, 0]
    bands = by_frequency(guesses_of(labels, losses=[1, 2, 3, 4, 5, 6, 7, 8], correct=[1, 0, 0, 1, 0, 0, 0, 0]), counts)
    assert [(band.name, band.labels, band.share, band.loss, band.accuracy) for band in bands] == [
        ("1-100", 2, 0.25, 1.5, 0.5),
        ("101-1000", 2, 0.25, 3.5, 0.5),
        ("1001-10000", 2, 0.25, 5.5, 0.0),
        ("10001-30000", 2, 0.25, 7.5, 0.0),
    ]


@pytest.mark.parametrize(
    ("size", "names"),
    [
        (50, ["1-50"]),
        (100, ["1-100"]),
        (101, ["1-100", "101-101"]),
        (8192, ["1-100", "101-1000", "1001-8192"]),
    ],
)
def test_a_small_vocabulary_has_fewer_bands(size, names):
    bands = by_frequency(guesses_of(list(range(size))), np.zeros(size, dtype=np.int64))
    assert [band.name for band in bands] == names
    assert sum(band.labels for band in bands) == size


def test_a_band_without_labels_is_left_out():
    assert [band.name for band in by_frequency(guesses_of([500]), np.arange(2000)[::-1])] == ["101-1000"]


def test_each_band_stands_beside_the_loss_of_guessing_by_frequency():
    counts = np.array([0, 700, 200, 99, 1])
    (band,) = by_frequency(guesses_of([1, 1, 4]), counts)
    assert band.unigram_loss == pytest.approx(-np.log([701 / 1005, 701 / 1005, 2 / 1005]).mean())


# --- by distance to the edge of the sentence --------------------------------------------------------------------------


def test_the_bands_go_by_distance_to_the_nearer_edge():
    distances = np.array([0, 1, 2, 3, 4, 5, 8, 9, 400])
    bands = by_sentence_edge(guesses_of([1] * 9, losses=list(range(9))), distances, np.array([5, 5]))
    assert [(band.name, band.labels, band.loss) for band in bands] == [
        ("0", 1, 0.0),
        ("1", 1, 1.0),
        ("2", 1, 2.0),
        ("3-4", 2, 3.5),
        ("5-8", 2, 5.5),
        ("9+", 2, 7.5),
    ]


# --- nothing lost -----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 19_999), st.floats(0, 20), st.floats(0, 1), st.integers(0, 60)), min_size=1))
def test_the_total_over_the_bands_is_the_plain_score(rows):
    labels, losses, correct, distances = map(list, zip(*rows, strict=True))
    guesses, counts = guesses_of(labels, losses, correct), np.arange(20_000)
    for bands in (by_frequency(guesses, counts), by_sentence_edge(guesses, np.array(distances), counts)):
        assert sum(band.labels for band in bands) == len(rows)
        assert sum(band.share for band in bands) == pytest.approx(1)
        assert sum(band.share * band.loss for band in bands) == pytest.approx(np.mean(losses))
        assert sum(band.share * band.accuracy for band in bands) == pytest.approx(np.mean(correct))
        assert sum(band.share * band.unigram_loss for band in bands) == pytest.approx(
            unigram_losses(counts)[labels].mean()
        )


def test_the_bands_of_a_network_add_up_to_its_held_out_scores(store, tmp_path):
    opened, config = TokenStore.open(store), small_config(store, tmp_path / "run")
    tokenizer = opened.tokenizer
    model = BertForPreTraining(config.model.bert_config(tokenizer.vocabulary_size, tokenizer.pad_id))
    initialise(model, "normal", seed=0)
    batches = held_out_batches(opened, config.data, max_sequences=20, batch_size=7)
    guesses = guess_held_out(model, batches)
    breakdown = break_down(model, opened, config.data, batches, guesses)
    assert len(breakdown.by_frequency) == 2
    assert len(breakdown.by_sentence_edge) >= 4
    for bands in (breakdown.by_frequency, breakdown.by_sentence_edge):
        assert sum(band.labels for band in bands) == sum(len(batch.masked_labels) for batch in batches)
        assert sum(band.share * band.loss for band in bands) == pytest.approx(guesses.scores.token_loss)
        assert sum(band.share * band.accuracy for band in bands) == pytest.approx(guesses.scores.token_accuracy)
        floor = unigram_loss(batches, opened.token_counts)
        assert sum(band.share * band.unigram_loss for band in bands) == pytest.approx(floor)
    assert sum(band.words for band in breakdown.whole_words) > 0


@torch.inference_mode()
def test_the_held_out_scores_are_the_training_objective_on_all_samples_at_once(store, tmp_path):
    opened, config = TokenStore.open(store), small_config(store, tmp_path / "run")
    model = BertForPreTraining(config.model.bert_config(opened.tokenizer.vocabulary_size, 0)).eval()
    (whole,) = held_out_batches(opened, config.data, max_sequences=20, batch_size=20)
    _, metrics = PretrainingObjective(model)(whole, whole)
    scores = guess_held_out(model, held_out_batches(opened, config.data, max_sequences=20, batch_size=3)).scores
    for name, value in metrics.items():
        assert getattr(scores, name) == pytest.approx(value.item(), rel=1e-5), name
    assert scores.perplexity == pytest.approx(np.exp(metrics["token_loss"].item()), rel=1e-5)


# --- whole words ------------------------------------------------------------------------------------------------------

STARTS_WORD = np.array([True, False])  # piece 0 starts a word, piece 1 continues one


def hidden(positions: list[int], labels: list[int]) -> PretrainingBatch:
    inputs = FlatBatch.from_sequences([[0] * 40], [[0] * 40])
    return PretrainingBatch(inputs, torch.tensor(positions), torch.tensor(labels), None)


@pytest.mark.parametrize(
    ("hidden_pieces", "correct", "expected"),
    [
        ([([1, 2], [0, 0])], [1, 0], [("1", 2, 0.5)]),  # two words side by side
        ([([1, 2], [0, 1])], [1, 0], [("2", 1, 0.0)]),  # one word; half of it is not right
        ([([1, 2], [0, 1])], [1, 1], [("2", 1, 1.0)]),
        ([([1, 3], [0, 1])], [1, 0], [("1", 2, 0.5)]),  # the rest of a word that a segment begins with
        ([([1, 2, 3, 5, 6, 7, 8], [0, 1, 1, 0, 1, 1, 1])], [1, 1, 1, 1, 1, 1, 0], [("3+", 2, 0.5)]),
        ([([4], [0]), ([5], [1])], [1, 1], [("1", 2, 1.0)]),  # of two batches
        ([([1, 2], [0, 1])], [0.5, 0.5], [("2", 1, 0.25)]),  # two ties
    ],
)
def test_a_word_is_right_if_all_its_pieces_are(hidden_pieces, correct, expected):
    labels = [label for _, labels in hidden_pieces for label in labels]
    batches = [hidden(*pieces) for pieces in hidden_pieces]
    bands = by_pieces(guesses_of(labels, correct=correct), batches, STARTS_WORD)
    assert [(band.pieces, band.words, band.accuracy) for band in bands] == expected


def test_the_stop_is_obeyed_between_batches(store, tmp_path):
    opened, config = TokenStore.open(store), small_config(store, tmp_path / "run")
    model = BertForPreTraining(config.model.bert_config(opened.tokenizer.vocabulary_size, 0))
    batches = held_out_batches(opened, config.data, max_sequences=20, batch_size=3)
    asked = iter([False, False, True])
    assert guess_held_out(model, batches, stop=lambda: next(asked)) is None

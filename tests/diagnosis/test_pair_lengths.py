"""Lengths that give next sentence prediction away are told from lengths that do not."""

import numpy as np
import pytest
from small_runs import WORDS, write_store

from bertsmith.batches.configuration import BatchSettings
from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.pair_lengths import leak_of, pair_finding
from bertsmith.text.token_store import TokenStore

SETTINGS = BatchSettings(max_seq_length=64)


def examine(folder, lengths_of_documents):
    random = np.random.default_rng(0)
    texts = [[random.integers(len(WORDS), size=n).tolist() for n in lengths] for lengths in lengths_of_documents]
    return pair_finding(TokenStore.open(write_store(folder / "store", texts, held_out=0.0)), SETTINGS)


def test_long_documents_of_like_sentences_give_nothing_away(tmp_path):
    random = np.random.default_rng(1)
    finding = examine(tmp_path, [random.integers(4, 15, size=200).tolist() for _ in range(40)])
    assert finding.level is Level.GOOD
    assert finding.values["area"] < 0.6


def test_single_long_sentences_beside_documents_of_short_ones_do(tmp_path):
    finding = examine(tmp_path, [[40] if number % 2 else [4] * 12 for number in range(1200)])
    assert finding.level is Level.WARNING
    assert finding.values["area"] > 0.8
    assert "--no-next-sentence" in finding.remedy


def test_a_store_of_single_sentences_has_no_pairs(tmp_path):
    finding = examine(tmp_path, [[9]] * 30)
    assert finding.level is Level.WARNING
    assert "cannot be trained" in finding.meaning
    assert "every document is a single sentence" in finding.cause


@pytest.mark.parametrize("noise", [0, 1])
def test_chance_is_within_three_standard_errors(noise):
    random = np.random.default_rng(noise)
    samples = np.column_stack([random.integers(1, 60, size=(4000, 2)), random.integers(0, 2, size=4000)])
    leak = leak_of(samples)
    assert abs(leak.area - 0.5) < 3 * leak.standard_error
    assert leak.standard_error == pytest.approx((1 / (3 * 4000)) ** 0.5, rel=0.02)


def test_one_answer_for_all_is_a_leak():
    assert leak_of(np.column_stack([np.ones((10, 2), int), np.ones(10, int)])).area == 1.0

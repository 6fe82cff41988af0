"""Copies are found, counted and shown; text without copies is left in peace."""

from itertools import combinations

import numpy as np
import pytest
from small_runs import WORDS, write_store

from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.repetition import hash_runs, measure_repetition, repetition_findings
from bertsmith.text.token_store import TokenStore

RUNS = [[1], [2], [1, 1], [1, 2], [2, 1], [1, 2, 3], [3, 2, 1], [0], [0, 0], [65535, 1], [1, 65535]]


def hashes(runs):
    offsets = np.cumsum([0, *map(len, runs)])
    return hash_runs(np.concatenate(runs).astype(np.uint16), offsets).tolist()


def test_equal_runs_have_equal_numbers_wherever_they_stand():
    first, second = hashes(RUNS), hashes(RUNS[::-1])[::-1]
    assert first == second
    assert all(one != other for one, other in combinations(first, 2))


def documents(number: int, seed: int) -> list[list[list[int]]]:
    random = np.random.default_rng(seed)
    return [[random.integers(len(WORDS), size=9).tolist() for _ in range(4)] for _ in range(number)]


def examine(folder, texts, held_out=0.1):
    repetition = measure_repetition(TokenStore.open(write_store(folder / "store", texts, held_out=held_out)), 10**6)
    return repetition, {finding.about: finding for finding in repetition_findings(repetition)}


def test_text_without_copies_is_good(tmp_path):
    repetition, findings = examine(tmp_path, documents(60, seed=0))
    assert repetition.in_repeated_sentences == repetition.in_repeated_documents == 0.0
    assert repetition.most_repeated == ()
    assert {finding.level for finding in findings.values()} == {Level.GOOD}


def test_a_repeated_line_is_found_shown_and_counted(tmp_path):
    line = [5, 6, 7, 8, 9, 10]
    texts = [[*sentences, line] for sentences in documents(40, seed=1)]
    repetition, findings = examine(tmp_path, texts, held_out=0.0)
    assert repetition.in_repeated_sentences == pytest.approx(39 * 6 / (40 * (4 * 9 + 6)))
    assert repetition.most_repeated == ((40, "word5 word6 word7 word8 word9 word10"),)
    finding = findings["repeated text"]
    assert finding.level is Level.WARNING
    assert finding.rows.rows[0][0] == "40"
    assert "held-out text that was trained on" not in findings


def test_short_sentences_may_repeat(tmp_path):
    texts = [[*sentences, [1, 2, 3]] for sentences in documents(40, seed=2)]
    repetition, _ = examine(tmp_path, texts)
    assert repetition.in_repeated_sentences == 0.0


def test_files_given_twice_are_found_as_documents_and_in_the_held_out_text(tmp_path):
    texts = documents(60, seed=3)
    repetition, findings = examine(tmp_path, texts + texts)
    assert repetition.in_repeated_documents == pytest.approx(repetition.in_repeated_sentences)
    assert 0.3 < repetition.in_repeated_documents < 0.5
    assert repetition.held_out_in_training > 0.5
    assert {finding.level for finding in findings.values()} == {Level.WARNING}
    assert all(finding.remedy for finding in findings.values())

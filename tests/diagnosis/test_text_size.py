"""The counts of a store: each finding has a sick and a healthy case."""

import numpy as np
import pytest
from small_runs import WORDS, write_store

from bertsmith.diagnosis.finding import Level
from bertsmith.diagnosis.text_size import FEW_HELD_OUT_TOKENS, FEW_TOKENS, run_finding, store_findings
from bertsmith.text.token_store import TokenStore

UNKNOWN = -4  # the number of [UNK], counted from the first word


def examine(folder, texts, held_out=0.1):
    store = TokenStore.open(write_store(folder / "store", texts, held_out=held_out))
    return {finding.about: finding for finding in store_findings(store, 10**9)}


def long_texts(tokens: int) -> list[list[list[int]]]:
    words = np.arange(tokens) % len(WORDS)
    return [[part.tolist() for part in np.split(document, 10)] for document in words.reshape(-1, 1000)]


def test_a_large_clean_store_is_good(tmp_path):
    findings = examine(tmp_path, long_texts(FEW_TOKENS + FEW_TOKENS // 5))
    assert {finding.level for finding in findings.values()} == {Level.GOOD}


def test_a_small_store_is_noted_with_what_little_is_held_out(tmp_path):
    findings = examine(tmp_path, long_texts(20_000))
    assert findings["amount of text"].level is Level.NOTE
    assert findings["held-out text"].level is Level.NOTE
    assert findings["held-out text"].values["held_out_tokens"] < FEW_HELD_OUT_TOKENS


def test_a_store_that_holds_nothing_out_is_a_warning(tmp_path):
    finding = examine(tmp_path, long_texts(20_000), held_out=0.0)["held-out text"]
    assert finding.level is Level.WARNING
    assert "--held-out" in finding.remedy


def test_documents_of_one_sentence_are_noted(tmp_path):
    texts = [[[1, 2, 3]]] * 6 + [[[1, 2, 3], [4, 5]]] * 4
    finding = examine(tmp_path, texts, held_out=0.0)["documents"]
    assert finding.level is Level.NOTE
    assert finding.values == {"single_sentence_share": 0.6, "sentences_per_document": pytest.approx(1.4)}


@pytest.mark.parametrize(("unknown", "level"), [(0, Level.GOOD), (5, Level.NOTE), (50, Level.WARNING)])
def test_unknown_words_are_measured(tmp_path, unknown, level):
    words = [UNKNOWN] * unknown + [3] * (1000 - unknown)
    finding = examine(tmp_path, [[words], [[1, 2]]], held_out=0.0)["unknown words"]
    assert finding.level is level
    assert finding.values["unknown_share"] == pytest.approx(unknown / 1002)


@pytest.mark.parametrize(
    ("tokens_seen", "progress", "parameters", "level", "remedy"),
    [
        (2_000_000, 0.5, 1_000_000, Level.GOOD, ""),
        (30_000_000, 0.5, 1_000_000, Level.NOTE, "Add text"),  # 60 epochs at the end
        (500_000, 1.0, 1_000_000, Level.NOTE, "smaller --size"),  # half a token for each weight
    ],
)
def test_epochs_and_tokens_for_each_weight_are_those_at_the_end(
    tmp_path_factory, tokens_seen, progress, parameters, level, remedy
):
    store = TokenStore.open(write_store(tmp_path_factory.mktemp("text") / "store", long_texts(1_000_000), held_out=0.0))
    finding = run_finding(store, tokens_seen, progress, parameters)
    assert finding.level is level
    assert remedy in finding.remedy
    assert finding.values["epochs_at_the_end"] == pytest.approx(tokens_seen / progress / 1_000_000)

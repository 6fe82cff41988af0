"""Findings on words: how near the right one is to the first place; of labels, as of any classification."""

import pytest

from bertsmith.tasks.masked_words.predictions import WordPrediction
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sentences.predictions import LabelPrediction

CLOZE = MaskedWordTask.of_files("cloze")
PROMPT = CLOZE.with_prompt("{text} It was [MASK].", {"1": "great", "0": "terrible"})


def example(label, line):
    return SentenceExample("the [MASK] sat", None, label, line)


RANKS = [1, 1, 3, 6, 40, 900, 5000]
EXAMPLES = [example("cat" if rank < 10 else "dog", line) for line, rank in enumerate(RANKS, start=2)]
PREDICTIONS = [
    WordPrediction("cat" if rank == 1 else "mat", {"cat" if rank == 1 else "mat": 0.3 + rank / 10_000}, rank)
    for rank in RANKS
]


def test_the_ranks_of_the_right_words_are_counted():
    by_rank, by_answer = CLOZE.findings(PREDICTIONS, EXAMPLES).groups
    assert [(name, count) for name, (count, _) in by_rank.rows] == [
        ("1", 2), ("2 to 5", 1), ("6 to 10", 1), ("11 to 100", 1), ("101 to 1,000", 1), ("above 1,000", 1),
    ]  # fmt: skip
    assert sum(share for _, (_, share) in by_rank.rows) == pytest.approx(1)
    assert by_answer.rows[0] == ("cat", (4, 0.5, pytest.approx((1 + 1 + 1 / 3 + 1 / 6) / 4)))
    assert by_answer.rows[1] == ("dog", (3, 0.0, pytest.approx((1 / 40 + 1 / 900 + 1 / 5000) / 3)))


def test_the_surest_wrong_word_comes_first():
    mistakes = CLOZE.findings(PREDICTIONS, EXAMPLES).mistakes
    assert mistakes.total == 5
    assert (mistakes.shown[0].place, mistakes.shown[0].gold, mistakes.shown[0].predicted) == ("line 8", "dog", "mat")


def test_labels_are_those_of_a_classification():
    predictions = [LabelPrediction("0", {"0": 0.8, "1": 0.2}), LabelPrediction("1", {"0": 0.1, "1": 0.9})]
    findings = PROMPT.findings(predictions, [example("0", 2), example("0", 3)])
    assert findings.confusion.labels == ("0", "1")
    assert findings.confusion.counts == ((1, 1), (0, 0))
    assert [(mistake.place, mistake.size) for mistake in findings.mistakes.shown] == [("line 3", 0.9)]


def test_the_right_answer_as_json():
    assert CLOZE.gold(EXAMPLES[0]) == "cat"

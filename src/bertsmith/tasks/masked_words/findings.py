"""What a person wants to see of words for a [MASK] that may be any piece; where words mean labels, see `sentences`.

Legend: N examples.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bertsmith.tasks.findings import (
    Figure,
    Findings,
    GroupTable,
    Indices,
    Mistake,
    Truths,
    calibrate,
    worst_mistakes,
)
from bertsmith.tasks.masked_words.predictions import MaskedWordPrediction, answer_of, mean_reciprocal_rank, rank_of
from bertsmith.tasks.sentences.examples import SentenceExample

_RANKS = (1, 5, 10, 100, 1000)  # the last ones of groups
_RANK_NAMES = ("1", "2 to 5", "6 to 10", "11 to 100", "101 to 1,000", "above 1,000")
_FREQUENT = 20


def word_findings(predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]) -> Findings:
    """How near the right word is to the first place, frequent answers, calibration, mistakes."""
    ranks = np.array([rank_of(prediction) for prediction in predictions], dtype=np.int64)
    sure = np.array([prediction.probabilities[answer_of(prediction)] for prediction in predictions])
    right: Truths = ranks == 1

    def describe(index: int, size: float) -> Mistake:
        example = examples[index]
        return Mistake(f"line {example.line}", example.texts, _gold(example), answer_of(predictions[index]), size)

    return Findings(
        num_examples=len(examples),
        mistakes=worst_mistakes("confidence", "get another word", sure, ~right, describe),
        groups=(_by_rank(ranks), _by_answer(ranks, examples)),
        calibration=calibrate(sure, right, "words"),
    )


def _by_rank(ranks: Indices) -> GroupTable:
    counts = np.bincount(np.searchsorted(_RANKS, ranks), minlength=len(_RANK_NAMES)).tolist()
    rows = tuple((name, (count, count / len(ranks))) for name, count in zip(_RANK_NAMES, counts, strict=True))
    return GroupTable("Where the right word stands", ("place among all words", "examples", "share"), rows)


def _by_answer(ranks: Indices, examples: Sequence[SentenceExample]) -> GroupTable:
    answers = np.array([_gold(example) for example in examples])
    rows: list[tuple[str, tuple[Figure, ...]]] = []
    for answer, number in Counter(answers.tolist()).most_common(_FREQUENT):
        of_these = ranks[answers == answer].tolist()
        rows.append((answer, (number, sum(rank == 1 for rank in of_these) / number, mean_reciprocal_rank(of_these))))
    columns = ("", "examples", "accuracy", "mean reciprocal rank")
    return GroupTable("The most frequent right words", columns, tuple(rows))


def _gold(example: SentenceExample) -> str:
    return str(example.label)

"""What a person wants to see of answers to questions on texts. Legend: N questions."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from bertsmith.tasks.findings import (
    Figure,
    Findings,
    GroupTable,
    Mistake,
    Truths,
    Values,
    calibrate,
    score_sizes,
    worst_mistakes,
)
from bertsmith.tasks.spans.decoding import SpanPrediction
from bertsmith.tasks.spans.squad_file import Question
from bertsmith.tasks.spans.squad_scores import AnswerScores, ScoringRules

NO_ANSWER = "no answer"
_OTHER = "other"
_QUESTION_WORD = re.compile(r"\b(what|who|whom|whose|when|where|which|why|how)\b", re.IGNORECASE)
_EXCERPT = 320  # characters of the text around an answer


def span_findings(
    predictions: Sequence[SpanPrediction],
    questions: Sequence[Question],
    scores: AnswerScores,
    rules: ScoringRules,
) -> Findings:
    """Questions with and without an answer, question words, short and long answers; calibration; mistakes.

    scores  of the predictions
    rules   by which they were made: answers are measured in words or in characters
    """
    sure = np.array([prediction.probability for prediction in predictions])
    has_no_right_word: Truths = scores.f1 == 0
    each = {"F1": scores.f1, "exact match": scores.exact_match}

    def describe(index: int, size: float) -> Mistake:
        question, prediction = questions[index], predictions[index]
        gold = " / ".join(dict.fromkeys(answer.text for answer in question.answers)) or NO_ANSWER
        texts = (question.question, _excerpt(question, prediction))
        return Mistake(question.id, texts, gold, prediction.text or NO_ANSWER, size)

    return Findings(
        num_examples=len(questions),
        mistakes=worst_mistakes("confidence", "get an answer without a right word", sure, has_no_right_word, describe),
        groups=(
            *_by_answer(predictions, scores, each),
            *_by_question_word(questions, each),
            *_by_length(questions, scores, each, rules),
        ),
        calibration=calibrate(sure, scores.exact_match == 1, "answers"),
    )


def _by_answer(
    predictions: Sequence[SpanPrediction], scores: AnswerScores, each: Mapping[str, Values]
) -> tuple[GroupTable, ...]:
    """Questions with and without an answer; () if all have one."""
    says_none = np.array([not prediction.text for prediction in predictions])
    rows: list[tuple[str, tuple[Figure, ...]]] = []
    for name, here in (("with an answer", scores.has_answer), ("without", ~scores.has_answer)):
        if here.any():
            rows.append((name, (int(here.sum()), int(says_none[here].sum()), *_means(each, here))))
    title, columns = "Questions with and without an answer", ("", "questions", "given none", *each)
    return () if scores.has_answer.all() else (GroupTable(title, columns, tuple(rows)),)


def _by_question_word(questions: Sequence[Question], each: Mapping[str, Values]) -> tuple[GroupTable, ...]:
    """Of English questions; () where there is no such word in any."""
    words = np.array([_question_word(question.question) for question in questions])
    names, counts = np.unique(words, return_counts=True)
    if set(names.tolist()) == {_OTHER}:
        return ()
    ranked = [str(names[index]) for index in np.argsort(-counts, kind="stable")]
    rows = tuple((word, (int((words == word).sum()), *_means(each, words == word))) for word in ranked)
    return (GroupTable("The question word", ("", "questions", *each), rows),)


def _by_length(
    questions: Sequence[Question],
    scores: AnswerScores,
    each: Mapping[str, Values],
    rules: ScoringRules,
) -> tuple[GroupTable, ...]:
    """Of those that have an answer, by its shortest form."""
    if not scores.has_answer.any():
        return ()
    unit, parts_of = ("words", str.split) if rules == "squad" else ("characters", list)
    sizes = [min(len(parts_of(one.text)) for one in question.answers) for question in questions if question.answers]
    values = {name: value[scores.has_answer] for name, value in each.items()}
    return score_sizes("Short and long answers", unit, np.array(sizes, dtype=np.float64), values)


def _means(each: Mapping[str, Values], here: Truths) -> tuple[float, ...]:
    return tuple(float(values[here].mean()) for values in each.values())


def _question_word(question: str) -> str:
    found = _QUESTION_WORD.search(question)
    if found is None:
        return _OTHER
    word = found[0].lower()
    return "who" if word.startswith("who") else word


def _excerpt(question: Question, prediction: SpanPrediction) -> str:
    """The text around the right answer; around the given one where there is none; else its beginning."""
    start = (prediction.start or 0) if question.lesson is None else question.lesson.start
    begin = max(0, min(start - _EXCERPT // 2, len(question.context) - _EXCERPT))
    end = begin + _EXCERPT
    before, after = "…" * (begin > 0), "…" * (end < len(question.context))
    return before + question.context[begin:end] + after

"""Findings on answers: by question word, by length, with and without an answer; the surest without a right word."""

import pytest

from bertsmith.tasks.spans.decoding import SpanPrediction
from bertsmith.tasks.spans.squad_file import Answer, Question
from bertsmith.tasks.spans.task import SpanTask

WITH_NONE = SpanTask("own", null_threshold=0.0)
ALWAYS = SpanTask("own")
CONTEXT = f"{'before ' * 60}the cat sat on the mat {'after ' * 60}"


def question(name, text, *answers):
    found = tuple(Answer(answer, CONTEXT.index(answer)) for answer in answers)
    return Question(name, CONTEXT, text, found, is_impossible=not answers)


def prediction(text, probability):
    start = CONTEXT.index(text) if text else None
    return SpanPrediction(text, start, start + len(text) if text else None, probability, 0.0, ())


QUESTIONS = [
    question("a", "Who sat on the mat?", "the cat", "cat"),
    question("b", "On what did it sit?", "the mat"),
    question("c", "To whom did it belong?"),
    question("d", "Name the animal.", "the cat sat on the mat"),
]
PREDICTIONS = [prediction("cat", 0.9), prediction("before", 0.8), prediction("sat", 0.7), prediction("", 0.95)]


def test_the_question_word_is_the_first_of_a_question_and_whom_is_who():
    findings = WITH_NONE.findings(PREDICTIONS, QUESTIONS)
    table = next(table for table in findings.groups if table.title == "The question word")
    assert dict(table.rows) == {"who": (2, 0.5, 0.5), "other": (1, 0.0, 0.0), "what": (1, 0.0, 0.0)}


def test_there_are_no_question_words_where_the_language_is_another():
    findings = ALWAYS.findings(PREDICTIONS[:1], [question("a", "Wer saß auf der Matte?", "the cat", "cat")])
    assert findings.groups == ()


def test_questions_without_an_answer_are_told_apart():
    table = WITH_NONE.findings(PREDICTIONS, QUESTIONS).groups[0]
    assert table.columns == ("", "questions", "given none", "F1", "exact match")
    assert table.rows == (
        ("with an answer", (3, 1, pytest.approx(1 / 3), pytest.approx(1 / 3))),
        ("without", (1, 0, 0.0, 0.0)),
    )


def test_an_answer_is_as_long_as_its_shortest_form():
    table = WITH_NONE.findings(PREDICTIONS, QUESTIONS).groups[-1]
    assert table.columns == ("words", "examples", "F1", "exact match")
    assert dict(table.rows) == {"1": (1, 1.0, 1.0), "2": (1, 0.0, 0.0), "6": (1, 0.0, 0.0)}
    by_characters = SpanTask("own", scoring="characters").findings(PREDICTIONS[:2], QUESTIONS[:2]).groups[-1]
    assert by_characters.columns[0] == "characters"
    assert [name for name, _ in by_characters.rows] == ["3", "7"]


def test_the_surest_answer_without_a_right_word_comes_first():
    mistakes = WITH_NONE.findings(PREDICTIONS, QUESTIONS).mistakes
    assert [(mistake.place, mistake.gold, mistake.predicted, mistake.size) for mistake in mistakes.shown] == [
        ("d", "the cat sat on the mat", "no answer", 0.95),
        ("b", "the mat", "before", 0.8),
        ("c", "no answer", "sat", 0.7),
    ]


def test_a_mistake_shows_the_question_and_the_text_around_the_right_answer():
    shown = {mistake.place: mistake.texts for mistake in WITH_NONE.findings(PREDICTIONS, QUESTIONS).mistakes.shown}
    text, excerpt = shown["b"]
    assert text == "On what did it sit?"
    assert excerpt.startswith("…") and excerpt.endswith("…")
    assert "the cat sat on the mat" in excerpt
    assert len(excerpt) < 400
    assert "the cat sat on the mat" in shown["c"][1]  # around the answer that was given


def test_confidence_is_compared_with_exact_matches():
    calibration = WITH_NONE.findings(PREDICTIONS, QUESTIONS).calibration
    assert sum(bin_.count * bin_.share_right for bin_ in calibration.bins) == pytest.approx(1)


def test_the_right_answers_as_json():
    assert [WITH_NONE.gold(each) for each in QUESTIONS[:3]] == [["the cat", "cat"], ["the mat"], []]

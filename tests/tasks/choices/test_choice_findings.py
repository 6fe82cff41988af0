"""Findings on choices: the places and the numbers of choices, and the surest wrong answers."""

import pytest

from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.choices.predictions import ChoicePrediction
from bertsmith.tasks.choices.task import ChoiceTask

TASK = ChoiceTask.of_files("own")


def example(label, num_choices=3, line=1, name=None):
    return ChoiceExample("context" * line, "question", tuple("abcd"[:num_choices]), label, line, name)


def prediction(choice, *probabilities):
    return ChoicePrediction(choice, "abcd"[choice], probabilities)


EXAMPLES = [example(0, line=1), example(0, line=2), example(1, line=3), example(1, 2, line=4, name="q-4")]
PREDICTIONS = [
    prediction(0, 0.8, 0.1, 0.1),
    prediction(1, 0.3, 0.6, 0.1),
    prediction(1, 0.2, 0.5, 0.3),
    prediction(0, 0.9, 0.1),
]


def test_each_place_tells_how_often_it_is_right_and_chosen():
    by_place = TASK.findings(PREDICTIONS, EXAMPLES).groups[0]
    assert by_place.columns == ("", "right", "chosen", "accuracy")
    assert by_place.rows == (("choice 0", (2, 2, 0.5)), ("choice 1", (2, 2, 0.5)))


def test_a_place_that_is_never_right_has_no_accuracy():
    by_place = TASK.findings([prediction(2, 0.1, 0.1, 0.8)], [example(0)]).groups[0]
    assert by_place.rows == (("choice 0", (1, 0, 0.0)), ("choice 1", (0, 0, None)), ("choice 2", (0, 1, None)))


def test_questions_with_more_choices_are_told_apart():
    by_number = TASK.findings(PREDICTIONS, EXAMPLES).groups[1]
    assert by_number.columns == ("", "questions", "accuracy", "by guessing")
    assert by_number.rows == (("2 choices", (1, 0.0, 0.5)), ("3 choices", (3, pytest.approx(2 / 3), 1 / 3)))
    same = TASK.findings(PREDICTIONS[:3], EXAMPLES[:3])
    assert [table.title for table in same.groups] == ["The place of the right choice", "Short and long questions"]


def test_the_surest_wrong_choice_comes_first():
    mistakes = TASK.findings(PREDICTIONS, EXAMPLES).mistakes
    assert [(mistake.place, mistake.gold, mistake.predicted, mistake.size) for mistake in mistakes.shown] == [
        ("q-4", "b", "a", 0.9),
        ("line 2", "a", "b", 0.6),
    ]
    assert mistakes.shown[1].texts == ("contextcontext", "question")


def test_the_confidence_is_that_of_the_choice():
    bins = TASK.findings(PREDICTIONS, EXAMPLES).calibration.bins
    assert [(bin_.confidence, bin_.share_right) for bin_ in bins] == [
        (pytest.approx(0.5), 1.0), (pytest.approx(0.6), 0.0), (pytest.approx(0.8), 1.0), (pytest.approx(0.9), 0.0),
    ]  # fmt: skip


def test_the_right_answer_as_json():
    assert TASK.gold(example(1)) == 1

"""What a person wants to see of chosen answers. Legend: N questions."""

from collections.abc import Sequence

import numpy as np

from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.choices.predictions import ChoicePrediction
from bertsmith.tasks.findings import (
    Figure,
    Findings,
    GroupTable,
    Indices,
    Mistake,
    Truths,
    calibrate,
    score_sizes,
    worst_mistakes,
)


def choice_findings(predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]) -> Findings:
    """Whether a place is preferred, whether many choices are harder, calibration, long questions, mistakes."""
    gold = np.array([example.label for example in examples], dtype=np.int64)
    chosen = np.array([prediction.choice for prediction in predictions], dtype=np.int64)
    sure = np.array([prediction.probabilities[prediction.choice] for prediction in predictions])
    right: Truths = gold == chosen
    lengths = np.array([len(example.context) + len(example.question) for example in examples], dtype=np.float64)

    def describe(index: int, size: float) -> Mistake:
        example = examples[index]
        texts = tuple(text for text in (example.context, example.question) if text)
        place = f"line {example.line}" if example.id is None else example.id
        return Mistake(place, texts, example.choices[gold[index]], predictions[index].text, size)

    return Findings(
        num_examples=len(examples),
        mistakes=worst_mistakes("confidence", "are answered wrongly", sure, ~right, describe),
        groups=(
            _by_place(gold, chosen),
            *_by_number(right, examples),
            *score_sizes("Short and long questions", "characters", lengths, {"accuracy": right.astype(np.float64)}),
        ),
        calibration=calibrate(sure, right, "choices"),
    )


def _by_place(gold: Indices, chosen: Indices) -> GroupTable:
    rows: list[tuple[str, tuple[Figure, ...]]] = []
    for place in range(max(gold.max(), chosen.max()) + 1):
        here = gold == place
        accuracy = float((chosen[here] == place).mean()) if here.any() else None
        rows.append((f"choice {place}", (int(here.sum()), int((chosen == place).sum()), accuracy)))
    return GroupTable("The place of the right choice", ("", "right", "chosen", "accuracy"), tuple(rows))


def _by_number(right: Truths, examples: Sequence[ChoiceExample]) -> tuple[GroupTable, ...]:
    """Questions with few and with many choices; () if all have as many."""
    numbers = np.array([len(example.choices) for example in examples])
    rows: list[tuple[str, tuple[Figure, ...]]] = []
    for number in np.unique(numbers).tolist():
        here = numbers == number
        rows.append((f"{number} choices", (int(here.sum()), float(right[here].mean()), 1 / number)))
    title, columns = "The number of choices", ("", "questions", "accuracy", "by guessing")
    return (GroupTable(title, columns, tuple(rows)),) if len(rows) > 1 else ()

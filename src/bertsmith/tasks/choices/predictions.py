"""What a network says of a question: which choice, and how likely each is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.task import Outputs


@dataclass(frozen=True, slots=True)
class ChoicePrediction:
    """The likeliest choice: its number (from 0) and its text; and how likely each is, in the given order."""

    choice: int
    text: str
    probabilities: tuple[float, ...]

    def entry(self) -> dict[str, object]:
        """The prediction as JSON."""
        return {"choice": self.choice, "text": self.text, "probabilities": list(self.probabilities)}


def prediction_of(scores: Outputs, example: ChoiceExample) -> ChoicePrediction:
    """The scores of the choices of one question, [k, 1], as a prediction."""
    probabilities = torch.from_numpy(scores[:, 0]).softmax(dim=0).tolist()
    best = int(scores[:, 0].argmax())
    return ChoicePrediction(best, example.choices[best], tuple(probabilities))


def share_of_guessing(examples: Sequence[ChoiceExample]) -> float:
    """The accuracy that needs no reading: that of guessing, or of always the same place if that is better."""
    labels = [example.label for example in examples]
    same_place = max(labels.count(place) for place in set(labels)) / len(labels)
    guessing = sum(1 / len(example.choices) for example in examples) / len(examples)
    return max(same_place, guessing)

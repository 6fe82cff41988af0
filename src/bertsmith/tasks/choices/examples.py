"""A question with its choices, checked."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChoiceExample:
    """A question with its choices.

    context   what is given: a sentence, a passage, a dialogue; "" if nothing is
    question  what is asked, or the beginning that each choice goes on from; "" if there is none
    choices   two or more
    label     which of them is right, counted from 0; None where unknown
    line      where it stands: the line of its row, or the line on which its dialogue begins
    id        its name, in files that name their examples
    raises    ValueError with the reason if there are fewer than two choices, or no choice has the number `label`
    """

    context: str
    question: str
    choices: tuple[str, ...]
    label: int | None
    line: int
    id: str | None = None

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            number = "1 choice" if self.choices else "no choices"
            raise ValueError(f"it has {number}, and a question needs two at least")
        if self.label is not None and not 0 <= self.label < len(self.choices):
            raise ValueError(f"the label {self.label} is not the number of a choice, 0 to {len(self.choices) - 1}")


def number_of_choice(value: object) -> int:
    """The number of the right choice, as a table or a JSON object writes it. Raises ValueError if it is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value)
    raise ValueError(f"the label {value!r} is not the number of a choice, counted from 0")


def place_of_choice(text: str, choices: Sequence[str]) -> int:
    """Which of the choices is `text`. Raises ValueError if none is, or several are."""
    places = [place for place, choice in enumerate(choices) if choice == text]
    if len(places) != 1:
        found = f"{len(places)} of the choices" if places else "none of the choices"
        raise ValueError(f"the right answer '{text}' is {found}")
    return places[0]

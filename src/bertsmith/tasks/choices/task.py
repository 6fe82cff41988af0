"""A task of the kind *choices*: which of several texts is the right one (BERT 4.4)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForMultipleChoice, BertTaskNetwork
from bertsmith.model.task_networks import ChoiceNetwork, TaskNetwork
from bertsmith.tasks.answer_table import write_answers
from bertsmith.tasks.choices.encoding import encode_choices
from bertsmith.tasks.choices.examples import ChoiceExample
from bertsmith.tasks.choices.findings import choice_findings
from bertsmith.tasks.choices.objective import ChoiceObjective
from bertsmith.tasks.choices.predictions import ChoicePrediction, prediction_of, share_of_guessing
from bertsmith.tasks.choices.readers import Layout, example_of_row, read_choices
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.sentences import metrics
from bertsmith.tasks.tables import OnError, Row
from bertsmith.tasks.task import Blindness, Examples, Outputs
from bertsmith.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class ChoiceTask:
    """Questions with two or more choices each, one of which is right.

    layout  how its files are laid out: see `readers`
    """

    kind: ClassVar[str] = "choices"
    endings: ClassVar[tuple[str, ...]] = (".jsonl", ".csv")

    name: str
    layout: Layout
    metrics: tuple[str, ...] = ("accuracy",)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recommended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_files(cls, name: str) -> Self:
        """Questions of one's own: JSON lines with `choices` and `label`, or a csv with SWAG's columns."""
        return cls(name, "jsonl")

    @property
    def network(self) -> type[BertTaskNetwork]:
        """A score for each choice."""
        return BertForMultipleChoice

    @property
    def outputs(self) -> None:
        """None: what can be answered is another thing in each question."""

    @property
    def has_header(self) -> bool:
        """Whether the first line of a table names the columns: in all layouts but CODAH's."""
        return self.layout != "codah"

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task. Raises ConfigurationError if a column is named, since there are too many to be named."""
        if columns != ColumnSettings():
            raise ConfigurationError(
                f"The columns of {self.name}, a task of choices, have fixed names: leave --text, --text-pair and "
                f"--label out."
            )
        return self

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[ChoiceExample]:
        """The questions of a file."""
        return read_choices(path, self.layout, on_error, labelled=labelled)

    def example_of_row(self, row: Row) -> ChoiceExample:
        """A row without a label."""
        return example_of_row(row, self.layout, labelled=False)

    def example_of_line(self, number: int, line: str) -> ChoiceExample:
        """A line of text has no choices: always a ValueError."""
        raise ValueError(
            'a plain line has no choices; write each question as JSON, {"context": "...", "choices": ["...", "..."]}, '
            "into a file that ends in .jsonl"
        )

    def example_of(self, value: tuple[str, Sequence[str]] | tuple[str, str, Sequence[str]]) -> ChoiceExample:
        """A question: (context, choices), or (context, question, choices)."""
        match value:
            case [str(context), [*choices]]:
                question = ""
            case [str(context), str(question), [*choices]]:
                pass
            case _:
                context, question, choices = "", "", []
        if len(choices) < 2 or not all(isinstance(choice, str) for choice in choices):
            raise InputError(
                f"The task {self.name} takes (context, choices) or (context, question, choices) for each question, "
                f"with two choices at least, not {value!r}."
            )
        return ChoiceExample(context, question, tuple(choices), None, 0)

    def with_labels_of(self, examples: Examples[ChoiceExample]) -> Self:
        """The same task: each question brings its choices along."""
        return self

    def encode(
        self, examples: Sequence[ChoiceExample], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """One input for each question, of as many sequences as it has choices."""
        return encode_choices(examples, tokenizer, limits, labelled=labelled)

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> ChoiceObjective:
        """Cross-entropy over the choices of each question."""
        assert isinstance(network, ChoiceNetwork)
        return ChoiceObjective(network, loss)

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[ChoiceExample]
    ) -> list[ChoicePrediction]:
        """The likeliest choice of each question, from scores [k, 1]."""
        return [prediction_of(scores, example) for scores, example in zip(outputs, examples, strict=True)]

    def score(self, predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]) -> dict[str, float]:
        """The share of questions whose right choice is the likeliest."""
        labels = np.array([example.label for example in examples])
        return metrics.score(self.metrics, labels, np.array([prediction.choice for prediction in predictions]))

    def entry(self, example: ChoiceExample, prediction: ChoicePrediction) -> dict[str, object]:
        """The line of the file, the question's name where it has one, the choice and the probabilities of all."""
        name = {} if example.id is None else {"id": example.id}
        return {"line": example.line} | name | prediction.entry()

    def gold(self, example: ChoiceExample) -> object:
        """The number of the right choice."""
        return example.label

    def write_predictions(
        self, folder: Path, predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]
    ) -> None:
        """`predictions.tsv`: the number of each question's choice, from 0."""
        write_answers(folder, (str(prediction.choice) for prediction in predictions))

    def tuned(self, predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]) -> Self:
        """The same task: nothing is chosen."""
        return self

    def blindness(self, predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]) -> Blindness:
        """Whether it is always the same place that is chosen, or the right one no more often than by guessing."""
        chosen = {prediction.choice for prediction in predictions}
        is_constant = len(chosen) == 1 and len({example.label for example in examples}) > 1
        right = sum(p.choice == example.label for p, example in zip(predictions, examples, strict=True))
        return Blindness(
            no_better=right / len(examples) <= share_of_guessing(examples),
            constant_answer=f"choice {chosen.pop()}" if is_constant else None,
        )

    def findings(self, predictions: Sequence[ChoicePrediction], examples: Sequence[ChoiceExample]) -> Findings:
        """The places and the numbers of choices, calibration, short and long questions, mistakes."""
        return choice_findings(predictions, examples)

"""A task of the kind *sentence(s)*: a description, not code.

Where the texts and the label stand, what the labels are, how predictions are scored and in which files the parts lie.
The nine tasks of GLUE are rows of a table of such descriptions (`glue`); a file of one's own is described by the names
of its columns. Reading, encoding, network, loss, metrics and predictions follow from it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from bertsmith.core.errors import InputError
from bertsmith.model.bert_for_tasks import BertForSequenceClassification, BertTaskNetwork
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.task_networks import SequenceClassifier, TaskNetwork
from bertsmith.tasks.answer_table import write_answers
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.sentences import metrics
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.encoding import encode_texts, label_values
from bertsmith.tasks.sentences.examples import (
    SentenceExample,
    infer_labels,
    label_parser,
    parse_example,
    read_examples,
)
from bertsmith.tasks.sentences.findings import sentence_findings
from bertsmith.tasks.sentences.objective import SentenceObjective, pool_windows
from bertsmith.tasks.sentences.predictions import Prediction, as_values, in_words, predictions_of
from bertsmith.tasks.tables import OnError, Row
from bertsmith.tasks.task import Blindness, Examples, Outputs
from bertsmith.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class SentenceTask:
    """Classification (`labels` in the order of the model's outputs) or regression (`labels` is None).

    labels       () where the training file will tell
    several      whether a text may have any number of the labels
    score_range  the smallest and largest score that a regression label may have, or None for any finite number
    metrics      names from `metrics.METRICS`; the first is the primary one
    symmetric    whether the two texts of a pair may as well change places
    broken       parts whose published files have rows that cannot be used: these are skipped and listed, unasked
    unlabelled   columns of the official test file where they differ from the others'
    """

    kind: ClassVar[str] = "sentences"
    endings: ClassVar[tuple[str, ...]] = (".tsv", ".csv", ".jsonl")

    name: str
    columns: Columns
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...]
    several: bool = False
    symmetric: bool = False
    score_range: tuple[float, float] | None = None
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: tuple[str, ...] = ()
    unlabelled: Columns | None = None
    recommended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def of_files(cls, name: str) -> Self:
        """A classification of texts in a column 'text' with the labels in a column 'label'."""
        return cls(name, Columns("text", label="label"), labels=(), metrics=("accuracy", "macro_f1"))

    @property
    def is_regression(self) -> bool:
        """Whether the model gives one number instead of one output for each label."""
        return self.labels is None

    @property
    def is_pair(self) -> bool:
        """Whether an example has two texts."""
        return self.columns.text_pair is not None

    @property
    def input_columns(self) -> Columns:
        """Columns of a file without labels: what `predict` reads."""
        return self.unlabelled or self.columns

    @property
    def network(self) -> type[BertTaskNetwork]:
        """A classifier of sequences."""
        return BertForSequenceClassification

    @property
    def outputs(self) -> ClassifierLabels:
        """What the outputs mean, as config.json says it."""
        if self.labels is None:
            return ClassifierLabels(("score",), "regression")
        return ClassifierLabels(self.labels, "multi_label" if self.several else "classification")

    @property
    def has_header(self) -> bool:
        """Whether the first line of a table names the columns."""
        return self.input_columns.have_names

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task, with those columns that are given."""
        changed = self.columns.changed_by(columns)
        return replace(self, columns=changed, unlabelled=None if changed != self.columns else self.unlabelled)

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[SentenceExample]:
        """The examples of a table."""
        if not labelled:
            return read_examples(path, self.input_columns, None, on_error)
        parse = label_parser(self.labels, score_range=self.score_range, several=self.several)
        is_broken = any(path.name in self.files[part] for part in self.broken)
        return read_examples(path, self.columns, parse, "skip" if is_broken else on_error)

    def example_of_row(self, row: Row) -> SentenceExample:
        """A row without a label."""
        return parse_example(row, self.input_columns, None)

    def example_of_line(self, number: int, line: str) -> SentenceExample:
        """A text, or two with a tab between. An empty line is an empty text, so that lines stay aligned."""
        texts = line.split("\t") if self.is_pair else [line]
        if self.is_pair and len(texts) != 2:
            raise ValueError(f"the task {self.name} takes two texts with a tab between, and here are {len(texts)}")
        return SentenceExample(texts[0], texts[1] if self.is_pair else None, None, number)

    def example_of(self, value: str | tuple[str, str]) -> SentenceExample:
        """A text, or a pair of texts."""
        match tuple(value) if isinstance(value, np.ndarray) else value:
            case str(text) if not self.is_pair:
                return SentenceExample(text, None, None, 0)
            case [str(text), str(text_pair)] if self.is_pair:
                return SentenceExample(text, text_pair, None, 0)
        wanted = "a pair (text, text)" if self.is_pair else "one text"
        raise InputError(f"The task {self.name} takes {wanted} for each example, not {value!r}.")

    def with_labels_of(self, examples: Examples[SentenceExample]) -> Self:
        """The same task; where its labels are not known yet, with those that occur."""
        return replace(self, labels=infer_labels(examples)) if self.labels == () else self

    def encode(
        self, examples: Sequence[SentenceExample], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """One input for each example."""
        texts = [example.text for example in examples]
        text_pairs = [example.text_pair or "" for example in examples] if self.is_pair else None
        labels = label_values(examples, self.labels) if labelled else None
        return encode_texts(texts, text_pairs, tokenizer, limits, labels)

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> SentenceObjective:
        """Cross-entropy over the labels, of each label by itself if there may be several, or squared error."""
        assert isinstance(network, SequenceClassifier)
        return SentenceObjective(network, train, loss)

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[SentenceExample]
    ) -> list[Prediction]:
        """A label, labels or a score for each example."""
        pooled = [pool_windows(windows, encoded.limits.long_texts) for windows in outputs]  # [C] each
        return predictions_of(np.stack(pooled), self.labels, several=self.several)

    def score(self, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]) -> dict[str, float]:
        """The task's metrics."""
        return metrics.score(self.metrics, label_values(examples, self.labels), as_values(predictions, self.labels))

    def entry(self, example: SentenceExample, prediction: Prediction) -> dict[str, object]:
        """The line of the file, the row's id if it has one, and the label with all probabilities, or the score."""
        return example.place | prediction.entry()

    def gold(self, example: SentenceExample) -> object:
        """The label, the list of labels, or the score."""
        return list(example.label) if isinstance(example.label, tuple) else example.label

    def write_predictions(
        self, folder: Path, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]
    ) -> None:
        """`predictions.tsv`: the label or the score of each example; of several labels, all with commas between."""
        write_answers(folder, (in_words(prediction, self.score_range) for prediction in predictions))

    def tuned(self, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]) -> Self:
        """The same task: nothing is chosen."""
        return self

    def blindness(self, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]) -> Blindness:
        """Whether all have the same answer, or answers no better than the most frequent label."""
        labels, values = label_values(examples, self.labels), as_values(predictions, self.labels)
        constant = None
        if metrics.are_constant(values, labels):
            constant = f"about {values[0]:.2f}" if self.is_regression else f"'{in_words(predictions[0])}'"
        return Blindness(metrics.is_no_better_than_blind(values, labels), constant)

    def findings(self, predictions: Sequence[Prediction], examples: Sequence[SentenceExample]) -> Findings:
        """Each label, confusions, calibration; or predicted against right scores; short and long texts; mistakes."""
        return sentence_findings(self.labels, predictions, examples)

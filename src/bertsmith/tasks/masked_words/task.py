"""A task of the kind *masked words*: which piece stands at the [MASK] of a text.

Any piece of the vocabulary (a cloze test), or one of a few, each of which stands for a label: "{text} It was [MASK].",
where `great` means 1 and `terrible` 0. So the pre-trained network classifies without a new layer (Schick and Schuetze
2021; Gao et al. 2021), and learns from fewer examples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForMaskedWord, MaskedWordIds
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.answer_table import write_answers
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.masked_words.encoding import encode_masked
from bertsmith.tasks.masked_words.examples import read_masked
from bertsmith.tasks.masked_words.findings import word_findings
from bertsmith.tasks.masked_words.objective import MaskedWordObjective
from bertsmith.tasks.masked_words.pieces import answer_ids, label_ids
from bertsmith.tasks.masked_words.predictions import (
    WORD_METRICS,
    MaskedWordPrediction,
    answer_of,
    label_prediction,
    rank_of,
    word_prediction,
)
from bertsmith.tasks.masked_words.template import TEXT, Template
from bertsmith.tasks.sentences import metrics
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import SentenceExample, label_parser, parse_example
from bertsmith.tasks.sentences.findings import label_findings
from bertsmith.tasks.sentences.predictions import LabelPrediction
from bertsmith.tasks.tables import OnError, Row
from bertsmith.tasks.task import Blindness, Examples, Outputs
from bertsmith.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class MaskedWordTask:
    """Texts with one [MASK], each with the word that stands there or the label that a word stands for.

    template  what becomes of a text; without a [MASK] in it, each text has its own
    words     label -> the piece that stands for it; {}: any piece may stand there, and the label is the piece
    metrics   names from `sentences.metrics` where there are labels, from `predictions.WORD_METRICS` else
    """

    kind: ClassVar[str] = "masked-words"
    endings: ClassVar[tuple[str, ...]] = (".tsv", ".csv", ".jsonl")

    name: str
    columns: Columns
    template: str = TEXT
    words: Mapping[str, str] = field(default_factory=dict)
    metrics: tuple[str, ...] = tuple(WORD_METRICS)
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recommended: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        Template.parse(self.template)
        if len(self.words) == 1:
            raise ConfigurationError(
                f"The task {self.name} has one label, and to choose needs two: give it a word more."
            )

    @classmethod
    def of_files(cls, name: str) -> Self:
        """A cloze test: texts with a [MASK] in a column 'text', and the piece that stands there in a column 'label'."""
        return cls(name, Columns("text", label="label"))

    def with_prompt(self, template: str, words: Mapping[str, str]) -> Self:
        """The same task as a classification: with a template, and a word for each label."""
        return replace(self, template=template, words=words, metrics=("accuracy", "macro_f1"))

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of the outputs; () where any piece may be the answer."""
        return tuple(sorted(self.words))

    @property
    def network(self) -> type[BertForMaskedWord]:
        """The masked language model as it was pre-trained."""
        return BertForMaskedWord

    @property
    def outputs(self) -> ClassifierLabels | None:
        """The labels; None where the outputs are the pieces of the vocabulary."""
        return ClassifierLabels(self.labels) if self.words else None

    @property
    def has_header(self) -> bool:
        """Whether the first line of a table names the columns."""
        return self.columns.have_names

    def ids(self, tokenizer: Tokenizer) -> MaskedWordIds:
        """What the network has to know of a vocabulary. Raises ConfigurationError for a word that is not one piece."""
        return MaskedWordIds(tokenizer.mask_id, tuple(label_ids(self.words, tokenizer).values()))

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task, with those columns that are given. Raises ConfigurationError for a second text."""
        if columns.text_pair is not None:
            raise ConfigurationError(f"The task {self.name} takes one text, so leave --text-pair out.")
        return replace(self, columns=self.columns.changed_by(columns))

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[SentenceExample]:
        """The examples of a table."""
        parse_label = label_parser(self.labels) if labelled else None
        return read_masked(path, self.columns, Template.parse(self.template), parse_label, on_error)

    def example_of_row(self, row: Row) -> SentenceExample:
        """A row without a label."""
        return self._checked(parse_example(row, self.columns, None))

    def example_of_line(self, number: int, line: str) -> SentenceExample:
        """A text."""
        return self._checked(SentenceExample(line, None, None, number))

    def example_of(self, value: str) -> SentenceExample:
        """A text."""
        if not isinstance(value, str):
            raise InputError(f"The task {self.name} takes one text for each example, not {value!r}.")
        try:
            return self._checked(SentenceExample(value, None, None, 0))
        except ValueError as error:
            raise InputError(f"{value!r} cannot be used: {error}.") from None

    def with_labels_of(self, examples: Examples[SentenceExample]) -> Self:
        """The same task: the labels are those that have a word, or the whole vocabulary."""
        return self

    def encode(
        self, examples: Sequence[SentenceExample], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """One input for each example.

        raises  ConfigurationError for a label's word that is not one piece of the vocabulary, InputError for answers
                that are not
        """
        ids = self.ids(tokenizer)
        answers = None
        if labelled and ids.words:
            answers = np.array([self.labels.index(str(example.label)) for example in examples], dtype=np.int64)
        elif labelled:
            answers = np.array(answer_ids(examples, tokenizer), dtype=np.int64)
        texts = [example.text for example in examples]
        return encode_masked(texts, Template.parse(self.template), tokenizer, limits, answers)

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> MaskedWordObjective:
        """Cross-entropy over the labels' words, or over the vocabulary."""
        assert isinstance(network, BertForMaskedWord)
        return MaskedWordObjective(network, train, loss)

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[SentenceExample]
    ) -> list[MaskedWordPrediction]:
        """The likeliest label of each example from logits [1, C], or the likeliest pieces from logits [1, V]."""
        if self.words:
            return [label_prediction(logits, self.labels) for logits in outputs]
        return [word_prediction(logits, row) for logits, row in zip(outputs, encoded.rows, strict=True)]

    def score(
        self, predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]
    ) -> dict[str, float]:
        """The task's metrics."""
        if self.words:
            return metrics.score(self.metrics, _labels(examples), np.array([answer_of(p) for p in predictions]))
        ranks = [rank_of(prediction) for prediction in predictions]
        return {name: WORD_METRICS[name](ranks) for name in self.metrics}

    def entry(self, example: SentenceExample, prediction: MaskedWordPrediction) -> dict[str, object]:
        """The line of the file, the row's id if it has one; the label or the word, and how likely others are."""
        return example.place | prediction.entry()

    def gold(self, example: SentenceExample) -> object:
        """The label, or the word."""
        return example.label

    def write_predictions(
        self, folder: Path, predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]
    ) -> None:
        """`predictions.tsv`: the label or the word of each example."""
        write_answers(folder, map(answer_of, predictions))

    def tuned(self, predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]) -> Self:
        """The same task: nothing is chosen."""
        return self

    def blindness(self, predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]) -> Blindness:
        """Whether all have the same answer, or answers no better than the most frequent one."""
        labels, answers = _labels(examples), np.array([answer_of(prediction) for prediction in predictions])
        right = answers == labels if self.words else np.array([rank_of(p) == 1 for p in predictions])
        most = np.unique(labels, return_counts=True)[1].max()
        is_constant = len(np.unique(answers)) == 1 and len(np.unique(labels)) > 1
        return Blindness(bool(right.sum() <= most), f"'{answers[0]}'" if is_constant else None)

    def findings(self, predictions: Sequence[MaskedWordPrediction], examples: Sequence[SentenceExample]) -> Findings:
        """As of any labels; of words, how near the right one is to the first place."""
        if self.words:
            chosen = [prediction for prediction in predictions if isinstance(prediction, LabelPrediction)]
            return label_findings(self.labels, chosen, examples)
        return word_findings(predictions, examples)

    def _checked(self, example: SentenceExample) -> SentenceExample:
        Template.parse(self.template).require_mask(example.text)
        return example


def _labels(examples: Sequence[SentenceExample]) -> npt.NDArray[np.str_]:
    """The labels of the examples, [N]."""
    return np.array([str(example.label) for example in examples])

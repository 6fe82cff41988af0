"""A task of the kind *tags*: a description, not code.

Where words and tags stand in a file, in which scheme the tags are, what the network reads around a sentence, and in
which files the parts lie. Named sets are rows of a table of such descriptions (`named`).

Tags are of entities (names, chunks), scored by their F1 as `conlleval` has it; or classes of words (parts of speech),
scored by the share of right ones and their macro F1. Which it is, the tags say (`schemes.detect_scheme`), or `scheme`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.model.bert_for_tasks import BertForTokenClassification, BertTaskNetwork
from bertsmith.model.configuration import ClassifierLabels
from bertsmith.model.task_networks import TaskNetwork, TokenClassifier
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.loss_settings import LossSettings
from bertsmith.tasks.tables import BadRows, OnError, Row
from bertsmith.tasks.tags.conll_file import read_conll
from bertsmith.tasks.tags.conll_predictions import write_conll_predictions
from bertsmith.tasks.tags.decoding import TagPrediction, predictions_of
from bertsmith.tasks.tags.encoding import Context, encode_sentences
from bertsmith.tasks.tags.entity_scores import macro_f1, score_entities, tag_accuracy
from bertsmith.tasks.tags.findings import class_findings, entity_findings
from bertsmith.tasks.tags.objective import TagObjective
from bertsmith.tasks.tags.reading import infer_labels, read_json_lines, unify_tags
from bertsmith.tasks.tags.schemes import SchemeName, are_entity_labels
from bertsmith.tasks.tags.sentence import Sentence, sentence_of_text, sentence_of_values, sentence_of_words
from bertsmith.tasks.task import Blindness, Examples, Outputs
from bertsmith.text.tokenizer import Tokenizer

ENTITY_METRICS = ("f1", "precision", "recall", "accuracy")
CLASS_METRICS = ("accuracy", "macro_f1")

_HALF_OVERLAP: Mapping[str, Mapping[str, Any]] = {"inputs": {"stride": 64}}  # of the default length of 128


@dataclass(frozen=True)
class TagTask:
    """A tag for each word of a sentence.

    labels       IOB2 tags or classes, in the order of the network's outputs; () where the training file will tell
    word_column  place of the words in a file in columns, from 0; -1 is the last
    tag_column   place of the tags
    blank_words  whether a blank may be a word, as in files that tag characters
    scheme       of the tags in the files; "auto": each file tells its own
    context      what the network reads around a sentence: nothing, or the sentences of its document
    metrics      names; the first is the primary one. Of a task with classes of words: `CLASS_METRICS`
    """

    kind: ClassVar[str] = "tags"
    endings: ClassVar[tuple[str, ...]] = (".conll", ".txt", ".tsv", ".jsonl")

    name: str
    labels: tuple[str, ...] = ()
    word_column: int = 0
    tag_column: int = -1
    blank_words: bool = False
    scheme: SchemeName = "auto"
    context: Context = "sentence"
    metrics: tuple[str, ...] = ENTITY_METRICS
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    recommended: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: _HALF_OVERLAP)

    @classmethod
    def of_files(cls, name: str) -> Self:
        """Words in the first column, tags in the last; or JSON lines with "words" and "tags"."""
        return cls(name)

    @property
    def network(self) -> type[BertTaskNetwork]:
        """A classifier of tokens."""
        return BertForTokenClassification

    @property
    def has_header(self) -> bool:
        """A table to predict names its columns: "text", or "words"."""
        return True

    @property
    def outputs(self) -> ClassifierLabels | None:
        """What the outputs mean, as config.json says it; None while the labels are not known."""
        return ClassifierLabels(self.labels) if self.labels else None

    @property
    def has_entities(self) -> bool:
        """Whether the labels are tags of entities, not classes of words."""
        return self.scheme != "classes" and are_entity_labels(self.labels)

    def with_columns(self, columns: ColumnSettings) -> Self:
        """The same task for files with words and tags at other places."""
        if columns.text_pair is not None:
            raise ConfigurationError("A sentence with tags has no second text: leave --text-pair out.")
        words = self.word_column if columns.text is None else _place(columns.text, "--text")
        tags = self.tag_column if columns.label is None else _place(columns.label, "--label")
        return replace(self, word_column=words, tag_column=tags)

    def read(self, path: Path, on_error: OnError, *, labelled: bool = True) -> Examples[Sentence]:
        """The sentences of a file in columns, or in JSON lines if its name ends so; their tags in IOB2."""
        bad_rows = BadRows(str(path), on_error)
        is_json = path.suffix.lower() == ".jsonl"
        if is_json:
            sentences = read_json_lines(path, bad_rows, labelled=labelled)
        else:
            sentences = read_conll(
                path,
                bad_rows,
                word_column=self.word_column,
                tag_column=self.tag_column if labelled else None,
                blank_words=self.blank_words,
            )
        if labelled:
            sentences = unify_tags(sentences, self.scheme, self.labels, bad_rows, word_per_line=not is_json)
        bad_rows.skipped.sort()
        bad_rows.print_summary()
        if not any(sentence.words for sentence in sentences):
            raise InputError(f"{path} holds no usable sentence. Give a file with at least one.")
        has_documents = any(sentence.document is not None for sentence in sentences)
        groups = [sentence.document for sentence in sentences] if has_documents else ()
        return Examples(path, sentences, bad_rows.skipped, groups)

    def example_of_row(self, row: Row) -> Sentence:
        """A JSON object with "words" or "text", or a row of a table with a column "text"."""
        return sentence_of_values(row.values, row.line, labelled=False)

    def example_of_line(self, number: int, line: str) -> Sentence:
        """A sentence as plain text. A line without a word is a sentence without words, so that lines stay aligned."""
        return sentence_of_text(line, number)

    def example_of(self, value: str | Sequence[str]) -> Sentence:
        """A sentence as plain text, or its words."""
        if isinstance(value, str):
            return sentence_of_text(value, 0)
        try:
            return sentence_of_words(value, 0)
        except (TypeError, ValueError) as error:
            raise InputError(f"The task {self.name} takes a text or a list of words, not {value!r}: {error}.") from None

    def with_labels_of(self, examples: Examples[Sentence]) -> Self:
        """The same task; where its labels are not known yet, with those that occur, and with the metrics for them."""
        if self.labels:
            return self
        learnt = replace(self, labels=infer_labels(examples))
        return learnt if learnt.has_entities else replace(learnt, metrics=CLASS_METRICS)

    def encode(
        self, examples: Sequence[Sentence], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool = True
    ) -> EncodedExamples:
        """The windows in which the sentences, or their documents, are read."""
        return encode_sentences(examples, tokenizer, limits, self.context, self.labels if labelled else None)

    def objective(self, network: TaskNetwork, train: EncodedExamples, loss: LossSettings) -> TagObjective:
        """Cross-entropy over the words."""
        assert isinstance(network, TokenClassifier)
        return TagObjective(network, train, loss)

    def predictions(
        self, outputs: Sequence[Outputs], encoded: EncodedExamples, examples: Sequence[Sentence]
    ) -> list[TagPrediction]:
        """The tags of each sentence, each from the window in which its word was asked for."""
        return predictions_of(outputs, encoded, examples, self.labels, have_entities=self.has_entities)

    def score(self, predictions: Sequence[TagPrediction], examples: Sequence[Sentence]) -> dict[str, float]:
        """The task's metrics."""
        gold, predicted = _gold(examples), [prediction.tags for prediction in predictions]
        if not self.has_entities:
            values = {"accuracy": tag_accuracy(gold, predicted), "macro_f1": macro_f1(gold, predicted)}
        else:
            scores = score_entities(gold, predicted)
            overall = scores.overall
            values = {"f1": overall.f1, "precision": overall.precision, "recall": overall.recall}
            values["accuracy"] = scores.accuracy
        return {name: values[name] for name in self.metrics}

    def entry(self, example: Sentence, prediction: TagPrediction) -> dict[str, object]:
        """The line of the file, the text if there is one, the words, their tags, and the entities."""
        entry: dict[str, object] = {"line": example.line}
        if example.text is not None:
            entry["text"] = example.text
        entry |= {"words": list(example.words), "tags": list(prediction.tags)}
        if self.has_entities:
            entry["entities"] = [entity.entry() for entity in prediction.entities]
        return entry

    def gold(self, example: Sentence) -> object:
        """The tags, in IOB2 if they are of entities."""
        return list(example.tags or ())

    def write_predictions(
        self, folder: Path, predictions: Sequence[TagPrediction], examples: Sequence[Sentence]
    ) -> None:
        """`predictions.conll`: the words in columns with their tags, as conlleval reads them."""
        write_conll_predictions(folder / "predictions.conll", examples, predictions)

    def tuned(self, predictions: Sequence[TagPrediction], examples: Sequence[Sentence]) -> Self:
        """The same task: nothing is chosen."""
        return self

    def blindness(self, predictions: Sequence[TagPrediction], examples: Sequence[Sentence]) -> Blindness:
        """Whether every word has the same tag; whether no entity is right, or no more classes than by one answer."""
        gold, predicted = _gold(examples), [prediction.tags for prediction in predictions]
        answers = {tag for tags in predicted for tag in tags}
        counts = Counter(tag for tags in gold for tag in tags)
        is_constant = len(answers) == 1 and len(counts) > 1
        if self.has_entities:
            no_better = score_entities(gold, predicted).overall.right == 0
        else:
            no_better = tag_accuracy(gold, predicted) <= max(counts.values()) / counts.total()
        return Blindness(no_better, f"'{answers.pop()}' on every word" if is_constant else None)

    def findings(self, predictions: Sequence[TagPrediction], examples: Sequence[Sentence]) -> Findings:
        """Each type, what is missed and confused; or each class of words; short and long sentences, mistakes."""
        if self.has_entities:
            return entity_findings(predictions, examples)
        return class_findings(self.labels, predictions, examples)


def _gold(examples: Sequence[Sentence]) -> list[tuple[str, ...]]:
    return [sentence.tags or () for sentence in examples]


def _place(value: str, flag: str) -> int:
    """A column as a number."""
    try:
        return int(value)
    except ValueError:
        raise ConfigurationError(
            f"{flag} {value} is not the place of a column. Files with tags have columns without names: give a number, "
            f"0 for the first and -1 for the last."
        ) from None

"""The verb `evaluate`: a fine-tuned model on labelled examples, or a pre-trained one on a store's held-out text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field
from rich.table import Table

from bertsmith.batches.held_out import held_out_batches
from bertsmith.batches.pretraining import BatchSettings
from bertsmith.core.artefact import MANIFEST, read_manifest
from bertsmith.core.configuration import Settings
from bertsmith.core.errors import InputError, MismatchedArtefact
from bertsmith.model.bert import BertForPreTraining
from bertsmith.model.folder import load_model, resolve_model_folder
from bertsmith.tasks.encoding import encode_examples
from bertsmith.tasks.examples import label_parser, read_examples, require_part
from bertsmith.tasks.glue import find_task
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.sequence_classifier import SequenceClassifier, score_examples
from bertsmith.tasks.tables import OnError
from bertsmith.tasks.task import SentenceTask
from bertsmith.tasks.task_data import ColumnSettings
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import HeldOutScores, evaluate_held_out
from bertsmith.training.masked_language_model import MaskedLanguageModel
from bertsmith.training.starting_point import require_same_vocabulary


class EvaluateConfig(Settings):
    """Score a model on examples or text that it has not seen."""

    model: Path = Field(description="fine-tuned model (for examples), or pre-trained model (for a token store)")
    data: Path = Field(
        description="labelled file (tsv, csv, jsonl), folder of a task, or token store with held-out text"
    )
    part: str = Field("dev", description="which part of a task's folder: dev, test, train, dev_mismatched")
    task: str | None = Field(None, description="named task that says how to read the data; default: the model's own")
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")
    max_seq_length: int | None = Field(None, ge=8, description="longest input in tokens; default: as in training")
    max_sequences: int = Field(2048, ge=1, description="held-out sequences of a token store that are scored")
    columns: ColumnSettings = ColumnSettings()
    runtime: InferenceSettings = InferenceSettings()


@dataclass(frozen=True)
class TaskScores:
    """Metrics of a fine-tuned model on one labelled file."""

    model: Path
    data: Path
    task: str
    examples: int
    cut: int
    scores: Mapping[str, float]

    def __rich__(self) -> Table:
        """The table for a terminal."""
        cut = f", {self.cut:,} of them cut" if self.cut else ""
        return _table(f"{self.task}, {self.data.name}: {self.examples:,} examples{cut}", self.scores)


@dataclass(frozen=True)
class TextScores:
    """Masked-LM and next-sentence scores of a pre-trained model on held-out text."""

    model: Path
    data: Path
    sequences: int
    scores: HeldOutScores

    def __rich__(self) -> Table:
        """The table for a terminal."""
        values = {name: value for name, value in vars(self.scores).items() if value is not None}
        return _table(f"{self.data.name}, held-out text: {self.sequences:,} sequences", values)


def evaluate(config: EvaluateConfig) -> TaskScores | TextScores:
    """Score a fine-tuned model on labelled examples, or a pre-trained one on the held-out text of a token store."""
    if (config.data / MANIFEST).is_file():
        return _evaluate_on_text(config)
    return _evaluate_on_examples(config)


def _evaluate_on_examples(config: EvaluateConfig) -> TaskScores:
    classifier = SequenceClassifier.load(config.model, config.runtime, config.max_seq_length)
    task = _reading_task(config, classifier.task)
    path = config.data if config.data.is_file() else require_part(config.data, task, config.part)
    examples = read_examples(path, task.columns, label_parser(task), config.on_error)
    encoded = encode_examples(examples.rows, task, classifier.tokenizer, classifier.max_seq_length)
    scores, _ = score_examples(classifier.model, task, encoded, config.runtime.batch_size)
    return TaskScores(config.model, path, task.name, len(encoded), encoded.num_cut, scores)


def _reading_task(config: EvaluateConfig, own: SentenceTask) -> SentenceTask:
    """The model's own task, or a named one with the same labels."""
    task = own if config.task is None else find_task(config.task)
    if task.labels != own.labels:
        theirs, ours = (", ".join(labels or ["a score"]) for labels in (task.labels, own.labels))
        raise MismatchedArtefact(f"The model {config.model} predicts {ours}; the task {task.name} asks for {theirs}.")
    return replace(task, columns=config.columns.over(task.columns))


def _evaluate_on_text(config: EvaluateConfig) -> TextScores:
    store = TokenStore.open(config.data)
    if store.held_out.num_blocks == 0:
        raise InputError(f"{config.data} holds no held-out text. Prepare a store with --held-out 0.01 or more.")
    folder = resolve_model_folder(config.model)
    require_same_vocabulary(folder, store)
    model = load_model(BertForPreTraining, folder)
    config.runtime.place(model)
    batches = held_out_batches(
        store,
        _batch_settings(folder, config.max_seq_length),
        max_sequences=config.max_sequences,
        batch_size=config.runtime.batch_size,
    )
    scores = evaluate_held_out(MaskedLanguageModel(model), batches)
    assert scores is not None  # nobody asked to stop
    return TextScores(config.model, config.data, sum(batch.num_sequences for batch in batches), scores)


def _batch_settings(folder: Path, max_seq_length: int | None) -> BatchSettings:
    """The length and the tasks that the model was trained with, where its manifest tells; else the paper's."""
    settings = BatchSettings()
    if (folder / MANIFEST).is_file():
        trained_with = read_manifest(folder, "model", "checkpoint").configuration.get("data", {})
        known = {name: trained_with[name] for name in ("max_seq_length", "next_sentence") if name in trained_with}
        settings = settings.model_copy(update=known)
    return settings if max_seq_length is None else settings.model_copy(update={"max_seq_length": max_seq_length})


def _table(title: str, scores: Mapping[str, float]) -> Table:
    table = Table("metric", "value", title=title)
    for name, value in scores.items():
        table.add_row(name, f"{value:.4f}")
    return table

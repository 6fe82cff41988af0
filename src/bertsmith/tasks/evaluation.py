"""The verb `evaluate`: a fine-tuned model on labelled examples; a pre-trained one on held-out text or minimal pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from rich.console import Group
from rich.table import Table

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.held_out import held_out_batches
from bertsmith.core.artefact import MANIFEST, read_manifest, require_free
from bertsmith.core.configuration import Settings
from bertsmith.core.errors import ConfigurationError, InputError, MismatchedArtefact
from bertsmith.model.bert import BertForMaskedLM, BertForPreTraining
from bertsmith.model.folder import load_model
from bertsmith.model.folder_configuration import load_tokenizer, resolve_model_folder
from bertsmith.tasks.catalogue import find_task
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.inference import InferenceSettings
from bertsmith.tasks.official_files import require_every_row, write_official_files
from bertsmith.tasks.parts import require_part
from bertsmith.tasks.reading import encode_for, reading_task
from bertsmith.tasks.tables import OnError
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_model import TaskModel, network_outputs
from bertsmith.text.token_store import TokenStore
from bertsmith.training.evaluation import HeldOutScores, guess_held_out
from bertsmith.training.held_out_breakdown import HeldOutBreakdown, break_down
from bertsmith.training.minimal_pairs import (
    MinimalPairScores,
    MinimalPairsName,
    read_minimal_pairs,
    score_minimal_pairs,
)
from bertsmith.training.network import PretrainedNetwork, load_pretrained
from bertsmith.training.starting_point import require_same_vocabulary

_TRAINED_WITH = ("max_seq_length", "special_pieces", "next_sentence")  # settings of `pretrain` that scoring follows


class EvaluateConfig(Settings):
    """Score a model on examples or text that it has not seen, or on minimal pairs."""

    model: Path = Field(
        description="fine-tuned model (for examples), or pre-trained model (for a token store or minimal pairs)"
    )
    data: Path | None = Field(
        None, description="labelled file (tsv, csv, jsonl), folder of a task, or token store with held-out text"
    )
    minimal_pairs: MinimalPairsName | Path | None = Field(
        None, description="instead of data: the minimal pairs english, or a tsv file of your own"
    )
    part: str = Field("dev", description="which part of a task's folder: dev, test, train, dev_mismatched")
    task: str | None = Field(None, description="named task that says how to read the data; default: the model's own")
    official: Path | None = Field(
        None, description="new folder for the predictions in the files that the official evaluation of the task reads"
    )
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")
    max_seq_length: int | None = Field(None, ge=8, description="longest input in tokens; default: as in training")
    max_sequences: int = Field(2048, ge=1, description="held-out sequences of a token store that are scored")
    columns: ColumnSettings = ColumnSettings()
    runtime: InferenceSettings = InferenceSettings()

    @model_validator(mode="after")
    def _has_one_thing_to_score(self) -> Self:
        if (self.data is None) == (self.minimal_pairs is None):
            raise ValueError("a model is scored either on data or on minimal_pairs")
        return self

    @model_validator(mode="after")
    def _leaves_no_row_out(self) -> Self:
        require_every_row(self.official, self.on_error)
        return self


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
    """Scores of a pre-trained model on held-out text: of hidden or of next words, and of next sentences if it has them.

    breakdown  the former by kind of label
    """

    model: Path
    data: Path
    sequences: int
    scores: HeldOutScores
    breakdown: HeldOutBreakdown

    def __rich__(self) -> Group:
        """The tables for a terminal."""
        values = {name: value for name, value in vars(self.scores).items() if value is not None}
        title = f"{self.data.name}, held-out text: {self.sequences:,} sequences"
        return Group(_table(title, values), self.breakdown)


def evaluate(config: EvaluateConfig) -> TaskScores | TextScores | MinimalPairScores:
    """Score a fine-tuned model on labelled examples, or a pre-trained one on held-out text or minimal pairs."""
    if config.data is None:
        _require_unsaid(config, "minimal pairs", ("official", "part", "task", "max_seq_length"))
        return _evaluate_on_pairs(config)
    if (config.data / MANIFEST).is_file():
        _require_unsaid(config, "a token store", ("official", "part", "task"))
        return _evaluate_on_text(config, config.data)
    if config.data.is_file():
        _require_unsaid(config, "a file", ("part",))
    return _evaluate_on_examples(config, config.data)


def _require_unsaid(config: EvaluateConfig, what: str, names: Sequence[str]) -> None:
    """Refuse settings that say nothing of what is scored."""
    for name in names:
        if name in config.model_fields_set and getattr(config, name) is not None:
            raise ConfigurationError(f"--{name.replace('_', '-')} says nothing of {what}. Leave it out.")


def _evaluate_on_examples(config: EvaluateConfig, data: Path) -> TaskScores:
    if not data.exists():
        raise InputError(f"{data} is not there. Give --data a file, the folder of a task, or a token store.")
    if config.official is not None:
        require_free(config.official)
    model = TaskModel.load(config.model, config.runtime, config.max_seq_length)
    task, reading = model.task, _reading_task(config, model.task)
    path = data if data.is_file() else require_part(data, reading, config.part)
    examples = reading.read(path, config.on_error)
    if config.official is not None and examples.skipped:  # of a file whose broken rows are left out unasked
        line, reason = examples.skipped[0]
        raise InputError(
            f"{path}, line {line}: {reason}. The official evaluation needs an answer for every row: mend the file, or "
            f"leave --official out."
        )
    encoded = encode_for(model.network.config, task, examples.rows, model.tokenizer, model.limits)
    outputs = network_outputs(model.network, encoded, config.runtime.batch_tokens)
    predictions = task.predictions(outputs, encoded, examples.rows)
    if config.official is not None:
        write_official_files(config.official, task, predictions, examples.rows)
    scores = reading.score(predictions, examples.rows)  # AX is told by a model of MNLI, and has metrics of its own
    return TaskScores(config.model, path, reading.name, len(examples.rows), encoded.num_cut, scores)


def _reading_task(config: EvaluateConfig, own: Task[Any, Any]) -> Task[Any, Any]:
    """The model's own task, or a named one of the same kind with the same labels."""
    task = own if config.task is None else find_task(config.task)
    if (task.kind, task.outputs) != (own.kind, own.outputs):
        raise MismatchedArtefact(
            f"The model {config.model} predicts {_described(own)}; the task {task.name} asks for {_described(task)}."
        )
    return reading_task(own, task, config.columns)


def _described(task: Task[Any, Any]) -> str:
    return task.kind if task.outputs is None else ", ".join(task.outputs.names)


def _evaluate_on_text(config: EvaluateConfig, data: Path) -> TextScores:
    store = TokenStore.open(data)
    if store.held_out.num_blocks == 0:
        raise InputError(f"{data} holds no held-out text. Prepare one with a larger --held-out.")
    folder = resolve_model_folder(config.model)
    require_same_vocabulary(folder, store)
    model = load_pretrained(folder)
    config.runtime.place(model)
    settings = _batch_settings(folder, model, config.max_seq_length)
    batch_size = max(1, config.runtime.batch_tokens // settings.max_seq_length)
    batches = held_out_batches(store, settings, max_sequences=config.max_sequences, batch_size=batch_size)
    guesses = guess_held_out(model, batches)
    assert guesses is not None  # nobody asked to stop
    breakdown = break_down(model, store, settings, batches, guesses)
    return TextScores(config.model, data, sum(batch.num_sequences for batch in batches), guesses.scores, breakdown)


def _evaluate_on_pairs(config: EvaluateConfig) -> MinimalPairScores:
    assert config.minimal_pairs is not None  # settings are checked when they are made
    folder = resolve_model_folder(config.model)
    tokenizer = load_tokenizer(folder)
    model = load_model(BertForMaskedLM, folder)
    pairs = read_minimal_pairs(config.minimal_pairs, tokenizer, model.config.max_position_embeddings)
    config.runtime.place(model)
    scores = score_minimal_pairs(model, tokenizer, pairs, batch_tokens=config.runtime.batch_tokens)
    assert scores is not None  # nobody asked to stop
    return scores


def _batch_settings(folder: Path, model: PretrainedNetwork, max_seq_length: int | None) -> BatchSettings:
    """The length and the tasks that the model was trained with, where its manifest tells; else the usual ones."""
    reads_both_ways = isinstance(model, BertForPreTraining) and not model.config.is_decoder
    settings = BatchSettings() if reads_both_ways else BatchSettings(objective="next", next_sentence=False)
    if (folder / MANIFEST).is_file():
        trained_with = read_manifest(folder, "model", "checkpoint").configuration.get("data", {})
        known = {name: trained_with[name] for name in _TRAINED_WITH if name in trained_with}
        settings = settings.model_copy(update=known)
    return settings if max_seq_length is None else settings.model_copy(update={"max_seq_length": max_seq_length})


def _table(title: str, scores: Mapping[str, float]) -> Table:
    table = Table("metric", "value", title=title)
    for name, value in scores.items():
        table.add_row(name, f"{value:.4f}")
    return table

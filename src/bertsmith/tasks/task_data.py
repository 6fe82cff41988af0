"""Which files a task is learnt from and scored on, and what their columns are, as a person says it with flags."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import Field

from bertsmith.core.artefact import record_file
from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.examples import (
    Examples,
    any_label,
    find_part,
    hold_out,
    infer_labels,
    label_parser,
    read_examples,
    require_part,
)
from bertsmith.tasks.glue import find_task
from bertsmith.tasks.tables import OnError
from bertsmith.tasks.task import Columns, SentenceTask


class ColumnSettings(Settings):
    """Where a file of one's own holds what, by the names in its first line (csv, tsv) or its keys (jsonl)."""

    text: str | None = Field(None, description="column of the text; default: the task's, or 'text'")
    text_pair: str | None = Field(None, description="column of the second text, where an example is a pair")
    label: str | None = Field(None, description="column of the label or score; default: the task's, or 'label'")

    def over(self, columns: Columns) -> Columns:
        """The columns of a task, with those that are given in their places."""
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        if not given or columns.have_names:
            return replace(columns, **given)
        if self.text is None:
            raise ConfigurationError("This task's files name no columns, so --text must be given with the others.")
        return Columns(self.text, self.text_pair, self.label or "label")


class TaskDataSettings(Settings):
    """What to learn and be scored on: a named task's folder, or files of one's own."""

    task: str | None = Field(
        None, description="cola, sst-2, mrpc, sts-b, qqp, mnli, qnli, rte or wnli; default: files with named columns"
    )
    data: Path | None = Field(None, description="folder with the task's train and dev files, or one file")
    train: Path | None = Field(None, description="file to learn from (tsv, csv, jsonl), instead of --data's")
    dev: Path | None = Field(None, description="file to be scored on, instead of --data's")
    regression: bool = Field(False, description="the label is a number to be predicted, not one of a set")
    dev_share: float = Field(0.1, gt=0, lt=1, description="share of train held out as dev where there is no dev file")
    on_error: OnError = Field("strict", description="a row that cannot be used: strict = refuse, skip = count and list")


@dataclass(frozen=True)
class TaskData:
    """Examples to learn from and to be scored on.

    dev    part -> examples; one part, or for MNLI "dev" (matched) and "dev_mismatched"
    files  "train", "dev", ... -> SHA-256 of the file, for the manifest
    """

    task: SentenceTask
    train: Examples
    dev: Mapping[str, Examples]
    files: Mapping[str, str]

    def first(self, count: int) -> "TaskData":
        """The first `count` examples of each part, for a rehearsal."""
        dev = {part: replace(examples, rows=examples.rows[:count]) for part, examples in self.dev.items()}
        return replace(self, train=replace(self.train, rows=self.train.rows[:count]), dev=dev)


def load_task_data(settings: TaskDataSettings, columns: ColumnSettings, seed: int) -> TaskData:
    """Read train and dev, find out the labels where the task does not say them, and hold a dev part out if need be."""
    task = _describe(settings, columns)
    train_path = _train_path(settings, task)
    parse = any_label if not settings.regression and task.labels == () else label_parser(task)
    train = read_examples(train_path, task.columns, parse, settings.on_error)
    if task.labels == ():
        task = replace(task, labels=infer_labels(train))
    dev_paths = _dev_paths(settings, task)
    files = {part: record_file(path).sha256 for part, path in {"train": train_path, **dev_paths}.items()}
    if not dev_paths:
        train, held_out = hold_out(train, settings.dev_share, seed)
        console.print(
            f"There is no dev file: {len(held_out.rows):,} of the {len(held_out.rows) + len(train.rows):,} training "
            f"examples are held out and used as dev.",
            soft_wrap=True,
        )
        return TaskData(task, train, {"dev": held_out}, files)
    dev = {
        part: read_examples(path, task.columns, label_parser(task), settings.on_error)
        for part, path in dev_paths.items()
    }
    return TaskData(task, train, dev, files)


def _describe(settings: TaskDataSettings, columns: ColumnSettings) -> SentenceTask:
    """The named task, or a description of one's own files; `labels` is () where the file will tell."""
    if settings.task is not None:
        task = find_task(settings.task)
        if settings.regression and not task.is_regression:
            raise ConfigurationError(f"{task.name} is a classification; leave --regression out, or leave --task out.")
        return replace(task, columns=columns.over(task.columns))
    return SentenceTask(
        name=(settings.data or settings.train or Path("task")).stem,
        columns=columns.over(Columns("text", label="label")),
        labels=None if settings.regression else (),
        metrics=("spearman", "pearson") if settings.regression else ("accuracy", "macro_f1"),
    )


def _train_path(settings: TaskDataSettings, task: SentenceTask) -> Path:
    if settings.train is not None:
        return settings.train
    if settings.data is None:
        raise ConfigurationError("Say what to learn from: --data FOLDER (with the task's files), or --train FILE.")
    return settings.data if settings.data.is_file() else require_part(settings.data, task, "train")


def _dev_paths(settings: TaskDataSettings, task: SentenceTask) -> dict[str, Path]:
    """The dev files by part; none if there is none to be found (a dev file that was named must be there)."""
    if settings.dev is not None:
        if not settings.dev.is_file():
            raise InputError(f"The dev file {settings.dev} is not there.")
        return {"dev": settings.dev}
    if settings.data is None or settings.data.is_file():
        return {}
    parts = [part for part in task.files if part.startswith("dev")] or ["dev"]
    found = {part: find_part(settings.data, task, part) for part in parts}
    return {part: path for part, path in found.items() if path is not None}

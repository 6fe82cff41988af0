"""Which files a task is learnt from and scored on, and what their columns are, as a person says it with flags."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from bertsmith.core.artefact import record_file
from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.core.errors import ConfigurationError, InputError
from bertsmith.tasks.catalogue import KindName, find_task, own_task
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.masked_words.task import MaskedWordTask
from bertsmith.tasks.parts import find_part, hold_out, require_part
from bertsmith.tasks.tables import OnError
from bertsmith.tasks.task import Examples, Task


class TaskDataSettings(Settings):
    """What to learn and be scored on: a named task's folder, or files of one's own."""

    task: str | None = Field(
        None, description="name of a task (docs/tasks.md), or glue for all of GLUE's; default: files of your own"
    )
    kind: KindName = Field("sentences", description="what files of your own are")
    data: Path | None = Field(None, description="folder with the task's train and dev files, or one file")
    train: Path | None = Field(None, description="file to learn from, instead of --data's")
    dev: Path | None = Field(None, description="file to be scored on, instead of --data's")
    regression: bool = Field(False, description="sentences: the label is a number to be predicted, not one of a set")
    several_labels: bool = Field(
        False, description="sentences: a text has any number of labels; a list, or names with commas between"
    )
    template: str | None = Field(
        None, description="masked-words: what becomes of a text, such as '{text} It was [MASK].'; default: the text"
    )
    words: tuple[str, ...] = Field(
        (), description="masked-words: the word that stands for each label, LABEL=WORD; default: the label is the word"
    )
    dev_share: float = Field(0.1, gt=0, lt=1, description="share of train held out as dev where there is no dev file")
    on_error: OnError = Field(
        "strict", description="an example that cannot be used: strict = refuse, skip = count and list"
    )
    from_mnli: bool = Field(
        False, description="task glue: RTE, MRPC and STS-B start from the fine-tuned MNLI model (Phang et al. 2018)"
    )

    @property
    def is_whole_glue(self) -> bool:
        """Whether all tasks of GLUE are meant and not one task."""
        return self.task is not None and self.task.casefold() == "glue"

    @model_validator(mode="after")
    def _has_an_mnli_model_to_start_from(self) -> Self:
        if self.from_mnli and not self.is_whole_glue:
            raise ValueError("from_mnli is for the task glue; one task starts from the model that you give")
        return self


@dataclass(frozen=True)
class TaskData:
    """Examples to learn from and to be scored on.

    dev    part -> examples; one part, or for MNLI "dev" (matched) and "dev_mismatched"
    files  "train", "dev", ... -> SHA-256 of the file, for the manifest
    """

    task: Task[Any, Any]
    train: Examples[Any]
    dev: Mapping[str, Examples[Any]]
    files: Mapping[str, str]

    def first(self, count: int) -> "TaskData":
        """The first `count` examples of each part, for a rehearsal."""
        dev = {part: examples.first(count) for part, examples in self.dev.items()}
        return replace(self, train=self.train.first(count), dev=dev)


def load_task_data(settings: TaskDataSettings, columns: ColumnSettings, seed: int) -> TaskData:
    """Read train and dev, find out the labels where the task does not say them, and hold a dev part out if need be."""
    task = _describe(settings, columns)
    train_path = _train_path(settings, task)
    train = task.read(train_path, settings.on_error)
    task = task.with_labels_of(train)
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
    dev = {part: task.read(path, settings.on_error) for part, path in dev_paths.items()}
    return TaskData(task, train, dev, files)


def _describe(settings: TaskDataSettings, columns: ColumnSettings) -> Task[Any, Any]:
    """The named task, or a description of one's own files, whose labels the training file will tell."""
    if settings.task is None:
        name = (settings.data or settings.train or Path("task")).stem
        task = own_task(
            settings.kind, name, columns, regression=settings.regression, several_labels=settings.several_labels
        )
        return _with_prompt(task, settings)
    if settings.template is not None or settings.words:
        raise ConfigurationError("--template and --words are for files of your own, with --kind masked-words.")
    if settings.regression or settings.several_labels:
        raise ConfigurationError(
            f"What {settings.task} predicts is known: leave --regression and --several-labels out, or leave --task out."
        )
    return find_task(settings.task).with_columns(columns)


def _with_prompt(task: Task[Any, Any], settings: TaskDataSettings) -> Task[Any, Any]:
    """The same task with the template and the words that are given."""
    if settings.template is None and not settings.words:
        return task
    if not isinstance(task, MaskedWordTask):
        raise ConfigurationError(f"--template and --words are for --kind masked-words, not for {task.kind}.")
    template = settings.template or task.template
    if not settings.words:
        return replace(task, template=template)
    pairs = [entry.partition("=") for entry in settings.words]
    if wrong := [f"'{label}'" for label, sign, word in pairs if not (label and sign and word)]:
        raise ConfigurationError(
            f"--words takes LABEL=WORD for each label, such as good=great; {wrong[0]} has no word."
        )
    return task.with_prompt(template, {label: word for label, _, word in pairs})


def _train_path(settings: TaskDataSettings, task: Task[Any, Any]) -> Path:
    if settings.train is not None:
        return settings.train
    if settings.data is None:
        raise ConfigurationError("Say what to learn from: --data FOLDER (with the task's files), or --train FILE.")
    return settings.data if settings.data.is_file() else require_part(settings.data, task, "train")


def _dev_paths(settings: TaskDataSettings, task: Task[Any, Any]) -> dict[str, Path]:
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

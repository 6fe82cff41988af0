"""A study: one question, and the runs that answer it, as a TOML file.

question = "What is lost when a part of the neighbour initialisation is left out?"
budget.minutes = 15               # of pre-training, for each variant; or tokens, or flops

[quick]                           # over all that follows, with --quick
budget.minutes = 3

[settings]                        # of all runs, as for `pretrain --config`
recipe = "mini"

[[variants]]
name = "whole"
settings.model.initialisation = "neighbour"

[[variants]]
name = "ordinary-queries"         # what differs, over the settings of all
settings.model.initialisation = "neighbour"
start = "neighbour-without-queries"

[[tasks]]                         # each variant is fine-tuned on each task
task = "mrpc"
folder = "mrpc"
settings.training.epochs = 4
"""

import importlib.resources
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, field_validator, model_validator

from bertsmith.core.configuration import Settings, build_settings, read_toml
from bertsmith.core.errors import ConfigurationError
from bertsmith.study.budget import Budget
from bertsmith.study.other_graphs import GraphName
from bertsmith.study.starting_weights import StartName
from bertsmith.study.trials import TaskTrial

_GROUPS = ("model", "data", "training", "runtime")  # of the settings of `pretrain`
_SAID_ELSEWHERE = {
    "store": "--store",
    "out": "--out",
    "seed": "the study's seeds",
    "dry_run": "nobody: a study is always run",
}


def _are_for_a_cell(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    for name, place in _SAID_ELSEWHERE.items():
        if name in settings:
            raise ValueError(f"{name} is not set here; it is decided by {place}")
    for group in _GROUPS:
        if not isinstance(settings.get(group, {}), Mapping):
            raise ValueError(f"{group} = {settings[group]!r} is not a table of settings")
    return settings


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]  # becomes part of a file name
RunSettings = Annotated[Mapping[str, Any], AfterValidator(_are_for_a_cell)]


class Variant(Settings):
    """One of the things that are compared."""

    name: Name = Field(description="name in tables and file names")
    settings: RunSettings = Field({}, description="settings of `pretrain` over those of the study")
    start: StartName | None = Field(None, description="initial weights that no recipe has, by name")
    graph: GraphName | None = Field(None, description="a network that is not BERT, as a yardstick, by name")
    columns: Mapping[str, str] = Field({}, description="what it is, in columns of the tables")
    finetuning: Mapping[str, Any] = Field({}, description="settings of `finetune` over those of each task")
    untrained: bool = Field(False, description="no pre-training: initial weights, to be fine-tuned on the tasks")

    @model_validator(mode="after")
    def _is_one_thing(self) -> Self:
        given = [name for name in ("start", "graph", "untrained") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; give one of them")
        return self


class PapersFinding(Settings):
    """A table of the paper, to be held against the study's."""

    table: str = Field(description="which one")
    found: str = Field(description="what it says, in a sentence or two")
    scores: Mapping[str, Mapping[str, float]] = Field(
        {}, description="row of the study -> task -> score in points, where the paper has a counterpart"
    )


class Study(Settings):
    """A question and the variants that answer it; each is run once with each seed."""

    question: str = Field(description="what the study asks, in a sentence")
    settings: RunSettings = Field({}, description="settings of `pretrain` that all runs share")
    variants: tuple[Variant, ...] = Field(min_length=1, description="what is compared")
    budget: Budget | None = Field(None, description="what each pre-training may cost; default: as the settings say")
    seeds: tuple[int, ...] = Field((0,), min_length=1, description="seeds of each variant")
    tasks: tuple[TaskTrial, ...] = Field((), description="what each pre-trained network is fine-tuned on")
    checkpoints: int = Field(0, ge=0, description="how many states on the way are fine-tuned as well")
    paper: PapersFinding | None = Field(None, description="what the paper found")

    @model_validator(mode="after")
    def _tasks_are_told_apart(self) -> Self:
        keys = [trial.key for trial in self.tasks]
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"two tasks are called {', '.join(twice)}: give them a name or a way")
        return self

    @model_validator(mode="after")
    def _tasks_are_for_what_can_be_saved(self) -> Self:
        others = [variant.name for variant in self.variants if variant.graph is not None]
        if self.tasks and others:
            raise ValueError(f"{others[0]} is a network that is not BERT, so it cannot be fine-tuned on tasks")
        return self

    @property
    def ways(self) -> list[str | None]:
        """Ways of learning its tasks that it compares, in the order of its file; None where it compares none."""
        return list(dict.fromkeys(trial.way for trial in self.tasks)) or [None]

    def row_name(self, variant: Variant, way: str | None) -> str:
        """What a variant is called in the tables, learnt in one way."""
        if way is None:
            return variant.name
        return way if len(self.variants) == 1 else f"{variant.name}, {way}"

    @field_validator("seeds")
    @classmethod
    def _seeds_are_different(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("a seed is there twice, and would count as two runs")
        return seeds

    @field_validator("variants")
    @classmethod
    def _names_are_unique(cls, variants: tuple[Variant, ...]) -> tuple[Variant, ...]:
        names = [variant.name for variant in variants]
        if len(set(names)) < len(names):
            raise ValueError("two variants have the same name")
        return variants


def study_names() -> list[str]:
    """Names of the studies that bertsmith brings."""
    folder = importlib.resources.files("bertsmith.study.studies")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_study(name_or_path: str, *, quick: bool = False) -> tuple[str, Study]:
    """A study that bertsmith brings, by its name, or one of the user's own, by its path. Returns its name too.

    quick   with what its table `quick` says over the rest
    raises  ConfigurationError for a study that is not there or has no such table, and for scores of the paper that
            stand beside nothing
    """
    if name_or_path in study_names():
        path = Path(str(importlib.resources.files("bertsmith.study.studies") / f"{name_or_path}.toml"))
    elif Path(name_or_path).suffix == ".toml":
        path = Path(name_or_path)
    else:
        raise ConfigurationError(
            f"There is no study '{name_or_path}'. There are: {', '.join(study_names())}. A study of your own is a file "
            f"that ends in .toml."
        )
    entries = read_toml(path)
    shorter = entries.pop("quick", None)
    if shorter is not None and not isinstance(shorter, Mapping):
        raise ConfigurationError(
            f"In {path}, 'quick' = {shorter!r} is not a table of settings: write [quick] above them."
        )
    study = build_settings(Study, entries)
    _require_counterparts(path, study)
    if not quick:
        return path.stem, study
    if shorter is None:
        raise ConfigurationError(f"The study {path.stem} has no table 'quick', so it cannot be run with --quick.")
    if "budget" in shorter:
        entries.pop("budget", None)
    return path.stem, build_settings(Study, entries, shorter)


def _require_counterparts(path: Path, study: Study) -> None:
    """Refuse scores of the paper for a row or a task that the study does not have."""
    rows = [study.row_name(variant, way) for variant in study.variants for way in study.ways]
    tasks = list(dict.fromkeys(trial.column for trial in study.tasks))
    for row, scores in (study.paper.scores if study.paper else {}).items():
        for given, there, what in (({row}, rows, "rows"), (set(scores), tasks, "tasks")):
            if unknown := sorted(given - set(there)):
                raise ConfigurationError(
                    f"{path} has scores of the paper for '{unknown[0]}', which it does not compare. Its {what} are "
                    f"{', '.join(there) or 'none'}."
                )

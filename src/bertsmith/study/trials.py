"""What a pre-trained network is worth on tasks: fine-tuned with several seeds, dev scores after the last epoch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bertsmith.core.artefact import read_manifest
from bertsmith.core.configuration import Settings, build_settings
from bertsmith.core.errors import BertsmithError, ConfigurationError, MismatchedArtefact
from bertsmith.model.bilstm_for_tasks import EncoderConfig
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.finished_runs import FinishedRuns
from bertsmith.tasks.task import Task, require_usable_loss
from bertsmith.tasks.task_data import load_task_data
from bertsmith.tasks.task_finetuning import RESULTS_FILE, finetune_task
from bertsmith.tasks.task_network import network_of
from bertsmith.training.machine import MachineSettings

TaskFiles = Mapping[str, Mapping[str, str]]  # key of a trial -> "train", "dev", ... -> SHA-256 of the file


class TaskTrial(Settings):
    """A task of a study, and how it is learnt."""

    task: str = Field(description="name of the task, as for `finetune --task`")
    folder: str = Field(description="its folder below --task-data")
    name: str | None = Field(None, description="what it is called in the tables; default: as the task")
    way: str | None = Field(None, description="what this way of learning it is called, where a study compares ways")
    seeds: int = Field(5, ge=1, description="how many runs")
    settings: Mapping[str, Any] = Field({}, description="settings of `finetune`, group by group")

    @property
    def key(self) -> str:
        """Its name in a cell's file."""
        return self.column if self.way is None else f"{self.column}, {self.way}"

    @property
    def column(self) -> str:
        """Its name in the tables."""
        return self.name or self.task


@dataclass(frozen=True)
class TaskOutcome:
    """Dev scores on one task.

    scores     for each metric, the task's first one first: one score for each seed, after the last epoch
    collapsed  seeds whose runs learnt nothing; their scores count like any other
    examples   "train", "dev", ... -> how many were learnt from, and scored
    """

    scores: Mapping[str, tuple[float, ...]]
    collapsed: tuple[int, ...]
    examples: Mapping[str, int]


def run_trials(
    trials: Sequence[TaskTrial],
    *,
    model: Path,
    initialisation: Literal["pretrained", "random"],
    pretraining_seed: int,
    own_settings: Mapping[str, Any],
    task_data: Path,
    files: TaskFiles,
    out: Path,
    runtime: MachineSettings,
) -> dict[str, TaskOutcome]:
    """Fine-tune a model on every task of a study. One that is done already in `out`, on these files, is not run again.

    initialisation    random: the same network untrained
    pretraining_seed  each has seeds of fine-tuning of its own: an untrained network differs by nothing else
    own_settings      settings of `finetune` that this model has over those of each task
    files             of each task, as `require_runnable` found them
    raises            MismatchedArtefact if a task was learnt from other files than these
    """
    outcomes = {}
    for trial in trials:
        decides = {"trial": trial.model_dump(mode="json"), "own": own_settings, "initialisation": initialisation}
        decides["files"] = files[trial.key]
        folder = out / f"{trial.task}-{FinishedRuns.key(decides)}"
        if not folder.exists():
            settings = {
                "model": model,
                "out": folder,
                "seed": pretraining_seed * trial.seeds,
                "initialisation": initialisation,
                "runtime": runtime.model_dump(exclude_unset=True),
            }
            finetune_task(_finetuning(trial, settings, own_settings, task_data))
        learnt_from = read_manifest(folder, "finetuning").made_from
        if {part: learnt_from.get(part) for part in files[trial.key]} != files[trial.key]:
            raise MismatchedArtefact(
                f"The files of the task {trial.key} in {task_data / trial.folder} have changed since this study was "
                f"started. Start it again: what is learnt from these is not mixed with what was learnt from others."
            )
        outcomes[trial.key] = read_outcome(folder / RESULTS_FILE)
    return outcomes


def require_runnable(
    trials: Sequence[TaskTrial], learners: Sequence[tuple[EncoderConfig, Mapping[str, Any]]], task_data: Path
) -> list[TaskFiles]:
    """Look at settings, network and files of every task, hours before they are needed.

    learners  the networks that will be fine-tuned, and the settings of `finetune` that each has of its own
    returns   for each of them, the SHA-256 of the files of every task
    raises    ConfigurationError for the first task that could not be run, with the reason
    """
    found: list[dict[str, Mapping[str, str]]] = [{} for _ in learners]
    for trial in trials:
        read: dict[str, tuple[Task[Any, Any], Mapping[str, str]]] = {}  # most learners read the same files
        try:
            for files, (network, own_settings) in zip(found, learners, strict=True):
                config = _finetuning(trial, {"model": "", "out": ""}, own_settings, task_data)
                place = config.model_dump_json(include={"task_data", "columns"})
                if place not in read:
                    data = load_task_data(config.task_data, config.columns, config.seed)
                    read[place] = data.task, data.files
                task, files[trial.key] = read[place]
                config = config.with_recommended(task)
                require_usable_loss(task, config.loss)
                network_of(task, network, config.strategy.bilstm(network, config.training.dropout))
        except BertsmithError as error:
            raise ConfigurationError(f"The task {trial.key} of the study could not be learnt. {error}") from error
    return list(found)


def _finetuning(
    trial: TaskTrial, settings: Mapping[str, Any], own_settings: Mapping[str, Any], task_data: Path
) -> FinetuneConfig:
    files = {"task_data": {"task": trial.task, "data": task_data / trial.folder}, "seeds": trial.seeds}
    return build_settings(FinetuneConfig, settings, files, trial.settings, own_settings)


def read_outcome(path: Path) -> TaskOutcome:
    """The dev scores in a `results.json` of `finetune`."""
    results = json.loads(path.read_text(encoding="utf-8"))
    last = [next(iter(seed["epochs"][seed["kept_epoch"] - 1]["dev"].values())) for seed in results["seeds"]]
    metrics = sorted(last[0], key=lambda metric: metric != results["metric"])  # the task's first one first
    scores = {metric: tuple(dev[metric] for dev in last) for metric in metrics}
    examples = {part: entries["examples"] for part, entries in results["parts"].items()}
    return TaskOutcome(scores, tuple(results["collapsed"]), examples)

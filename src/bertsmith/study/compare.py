"""The verb `compare`: run the cells of a study, and say what came out."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import Field
from rich.console import Group
from rich.table import Table

from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.core.errors import ArtefactError, ConfigurationError, InputError
from bertsmith.study.cell import (
    Cell,
    cell_name,
    cell_settings,
    claim,
    inputs_of_cell,
    read_cell,
    require_same_cell,
)
from bertsmith.study.cell_run import run_cell
from bertsmith.study.study_file import Study, Variant, load_study, study_names
from bertsmith.study.study_report import REPORT, write_study_report
from bertsmith.study.study_subject import tells_next_words
from bertsmith.study.study_tables import spread
from bertsmith.study.trials import TaskFiles, require_runnable
from bertsmith.text.token_store import TokenStore
from bertsmith.training.configuration import PretrainConfig
from bertsmith.training.machine import MachineSettings
from bertsmith.training.network import network_config
from bertsmith.training.processes import require_alone
from bertsmith.training.run import fingerprints

PICTURE = "curves.png"


class CompareConfig(Settings):
    """Pre-train the variants of a study at equal cost and compare them on held-out text."""

    study: str = Field(description=f"study to run: {', '.join(study_names())}, or a TOML file of your own")
    store: Path = Field(description="token store made by `prepare`")
    out: Path = Field(description="folder of the cells, one small file each; what is in it is not run again")
    task_data: Path | None = Field(None, description="folder of the tasks' folders, for a study with tasks")
    only: tuple[str, ...] = Field((), description="variants to run now; default: all")
    quick: bool = Field(False, description="the study's short version, for an evening on a laptop")
    runtime: MachineSettings = MachineSettings()


@dataclass(frozen=True)
class StudyResult:
    """The finished cells of a study, variant by variant in the order of the study."""

    question: str
    cells: Mapping[str, Sequence[Cell]]
    missing: int

    def __rich__(self) -> Group:
        """The tables for a terminal."""
        title = self.question if not self.missing else f"{self.question} ({self.missing} cells are not done yet)"
        text = Table("variant", "minutes", "tokens", "held-out loss", "accuracy", "NSP accuracy", title=title)
        heads = [f"{task}\n{metric}" for task, metric in self._metrics.items()]
        tasks = Table("variant", *heads, title="Tasks, dev scores in points")
        for name, cells in self.cells.items():
            if any(cell.curve for cell in cells):
                text.add_row(name, *_on_text(cells))
            if any(cell.tasks for cell in cells):
                tasks.add_row(name, *(_on_task(cells, task, metric) for task, metric in self._metrics.items()))
        return Group(text, tasks) if self._metrics else Group(text)

    @property
    def _metrics(self) -> dict[str, str]:
        """The primary metric of each task, in the order of the cells."""
        outcomes = (item for cells in self.cells.values() for cell in cells for item in cell.tasks.items())
        return {task: next(iter(outcome.scores)) for task, outcome in outcomes}


def compare(config: CompareConfig) -> StudyResult:
    """Run the cells that are not done yet, one after the other, and read all that are.

    Start it in several terminals to run several cells at a time.
    """
    require_alone("compare")
    name, study = load_study(config.study, quick=config.quick)
    if study.tasks and config.task_data is None:
        folders = ", ".join(task.folder for task in study.tasks)
        raise ConfigurationError(f"The study {name} has tasks: give --task-data, the folder that holds {folders}.")
    if unknown := sorted(set(config.only) - {variant.name for variant in study.variants}):
        known = ", ".join(variant.name for variant in study.variants)
        raise ConfigurationError(f"The study {name} has no variant '{unknown[0]}'. It has {known}.")
    store = TokenStore.open(config.store)
    if store.held_out.num_blocks == 0:
        raise InputError(
            f"{config.store} holds no held-out text, on which variants are compared. Prepare it with --held-out."
        )
    plan = [_planned(config, study, variant, seed) for seed in study.seeds for variant in study.variants]
    files = _require_runnable(config, study, [each for each in plan if each.is_of_now], store)
    try:
        config.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtefactError(f"{config.out} cannot be made: {error.strerror}. Choose another --out.") from None
    cells: dict[str, list[Cell]] = {variant.name: [] for variant in study.variants}
    missing = 0
    for each in plan:
        if each.is_to_be_run:
            with claim(each.path) as is_ours:
                if is_ours and not each.path.exists():
                    console.rule(f"{name}: {each.variant.name}, seed {each.settings.seed}")
                    run_cell(each.settings, study, each.variant, config.task_data, files[each.path], each.path)
        if each.path.exists():
            cell = read_cell(each.path)
            made_from = inputs_of_cell(fingerprints(store), files[each.path])
            require_same_cell(cell, each.settings, study, each.variant, made_from, each.path)
            cells[each.variant.name].append(cell)
        else:
            missing += 1
    result = StudyResult(study.question, cells, missing)
    _draw(result, config.out / PICTURE)
    write_study_report(config.out / REPORT, name, study, cells, missing, _text(store), _command(config))
    console.print(f"The report is {config.out / REPORT}.", soft_wrap=True)
    return result


@dataclass(frozen=True)
class _PlannedCell:
    """A cell of the study: the settings of its run, the file that stays of it, and whether it is asked for now."""

    variant: Variant
    settings: PretrainConfig
    path: Path
    is_asked_for: bool

    @property
    def is_to_be_run(self) -> bool:
        return self.is_asked_for and not self.path.exists()

    @property
    def is_of_now(self) -> bool:
        """Whether it is on file, or to be run."""
        return self.is_asked_for or self.path.exists()


def _planned(config: CompareConfig, study: Study, variant: Variant, seed: int) -> _PlannedCell:
    return _PlannedCell(
        variant=variant,
        settings=cell_settings(study, variant, seed, config.store, config.out, config.runtime),
        path=config.out / f"{cell_name(variant, seed)}.json",
        is_asked_for=not config.only or variant.name in config.only,
    )


def _require_runnable(
    config: CompareConfig, study: Study, plan: Sequence[_PlannedCell], store: TokenStore
) -> dict[Path, TaskFiles]:
    """Refuse a network that there cannot be, and a task that could not be learnt after the pre-training.

    returns  cell -> SHA-256 of the files of its tasks
    """
    learners = [(network_config(each.settings, store.tokenizer), each.variant.finetuning) for each in plan]
    found: Sequence[TaskFiles] = [{} for _ in plan]
    if config.task_data is not None:
        found = require_runnable(study.tasks, learners, config.task_data)
    return {each.path: files for each, files in zip(plan, found, strict=True)}


def _text(store: TokenStore) -> dict[str, str]:
    """What every network read, in words."""
    facts = store.manifest.facts
    size = f"{facts['tokens'] / 1e6:,.1f} million tokens in {facts['documents']:,} documents"
    return {
        "text": f"{store.folder.resolve().name}: {size} (fingerprint {store.fingerprint[:12]})",
        "vocabulary": f"{store.tokenizer.vocabulary_size:,} pieces (fingerprint {store.tokenizer.fingerprint[:12]})",
    }


def _command(config: CompareConfig) -> list[str]:
    """What made the report, without paths of this machine: only the names of folders."""
    command = ["bertsmith", "compare", config.study, "--store", config.store.name, "--out", config.out.name]
    if config.task_data is not None:
        command += ["--task-data", config.task_data.name]
    if config.quick:
        command.append("--quick")
    if config.only:
        command += ["--only", *config.only]
    for name, value in config.runtime.model_dump(mode="json", exclude_unset=True, exclude_none=True).items():
        command += [f"--{name}", str(value)]
    return command


def _on_text(cells: Sequence[Cell]) -> list[str]:
    """Minutes, tokens, loss, accuracy and NSP accuracy at the end of pre-training."""
    final = [cell.curve[-1] for cell in cells]
    pairs = [scores.nsp_accuracy for scores in final if scores.nsp_accuracy is not None]
    return [
        f"{statistics.fmean(scores.minutes for scores in final):.1f}",
        f"{statistics.fmean(cell.tokens for cell in cells) / 1e6:.1f} M",
        _spread([scores.token_loss for scores in final], "{:.3f}"),
        _spread([scores.token_accuracy for scores in final], "{:.1%}"),
        _spread(pairs, "{:.1%}") if pairs else "",
    ]


def _on_task(cells: Sequence[Cell], task: str, metric: str) -> str:
    """Mean and deviation over all fine-tunings of all seeds."""
    scores = [score for cell in cells if task in cell.tasks for score in cell.tasks[task].scores[metric]]
    return spread(scores) if scores else ""


def _spread(values: Sequence[float], form: str) -> str:
    mean = form.format(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(statistics.stdev(values))}"


def _draw(result: StudyResult, target: Path) -> None:
    """Held-out loss of every cell over minutes, a colour for each variant, all its seeds."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, cells) in enumerate(result.cells.items()):
        for cell in cells:
            if not cell.curve:
                continue
            points = [(scores.minutes, scores.token_loss) for scores in cell.curve]
            told = f"{name} (next words)" if tells_next_words(cell) else name
            label = told if cell is cells[0] else None
            axes.plot(*zip(*points, strict=True), label=label, color=f"C{number}", linewidth=1.4)
    axes.set(xlabel="minutes", ylabel="held-out loss (nats)", title=result.question)
    axes.grid(alpha=0.3)
    if axes.lines:
        axes.legend()
    partial = target.with_name(f".{os.getpid()}-{target.name}")  # several processes may draw at a time
    figure.savefig(partial, dpi=110)
    partial.replace(target)

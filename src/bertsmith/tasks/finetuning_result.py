"""What a fine-tuning gave over all its seeds, as a value, as a table on the screen, and as pages beside the model."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bertsmith.model.task_networks import TaskNetwork
from bertsmith.tasks.seed_run import SeedResult, primary_score
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_card import task_card


@dataclass(frozen=True)
class Spread:
    """A score over several seeds."""

    mean: float
    standard_deviation: float | None  # of the sample; None for one seed

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.standard_deviation is None else f" ± {self.standard_deviation:.4f}")


@dataclass(frozen=True)
class CellResult:
    """The runs of one cell of a grid: the settings that it changes, and a run for each seed."""

    cell: Mapping[str, float]
    runs: tuple[SeedResult, ...]

    def mean(self, task: Task[Any, Any]) -> float:
        """The mean of the primary metric on the first dev part."""
        return statistics.fmean(primary_score(run.dev, task) for run in self.runs)


@dataclass(frozen=True)
class FinetuneResult:
    """Dev scores of each seed, and over all seeds: part -> metric -> spread. Of a grid, those of the best cell.

    metric     the primary metric; `best_seed` has the highest of it on the first dev part
    metrics    the task's own, which the screen shows; `means` may have more
    collapsed  seeds whose runs learnt nothing; they count in the means like any other
    cell       the settings of the best cell; empty without a grid
    grid       all cells; empty without a grid
    """

    out: Path
    task: str
    metric: str
    metrics: tuple[str, ...]
    means: Mapping[str, Mapping[str, Spread]]
    best_seed: int
    collapsed: tuple[int, ...]
    seeds: tuple[SeedResult, ...]
    cell: Mapping[str, float]
    grid: tuple[CellResult, ...]

    @property
    def primary(self) -> Spread:
        """The primary metric on the first dev part."""
        return next(iter(self.means.values()))[self.metric]

    def __rich__(self) -> Table:
        """The table for a terminal: the task's own metrics, as narrow as they can be."""
        columns = [(part, metric) for part in self.means for metric in self.metrics]
        named = [f"{part} {metric}" if len(self.means) > 1 else metric for part, metric in columns]
        table = Table(title=f"{self.task}, dev scores {_when(self)}")
        for name in ("seed", *named):
            table.add_column(name, no_wrap=True)
        table.add_column("note")
        for run in self.seeds:
            scores = [f"{run.dev[part][metric]:.4f}" for part, metric in columns]
            table.add_row(str(run.seed), *scores, _note(self, run))
        spreads = [self.means[part][metric] for part, metric in columns]
        table.add_section()
        table.add_row("mean", *(f"{spread.mean:.4f}" for spread in spreads))
        if len(self.seeds) > 1:
            table.add_row("s.d.", *(f"{spread.standard_deviation:.4f}" for spread in spreads))
        return table


def best_run(runs: Sequence[SeedResult], task: Task[Any, Any]) -> SeedResult:
    """The run with the highest primary metric on the first dev part; of equals the first."""
    return max(runs, key=lambda run: primary_score(run.dev, task))


def best_cell(cells: Sequence[CellResult], task: Task[Any, Any]) -> CellResult:
    """The cell whose runs have the highest mean of it; of equals the first."""
    return max(cells, key=lambda cell: cell.mean(task))


def summarise(out: Path, task: Task[Any, Any], cells: Sequence[CellResult]) -> FinetuneResult:
    """Means and spreads over the seeds of the best cell."""
    chosen = best_cell(cells, task)
    runs = chosen.runs
    means = {
        part: {metric: _spread([run.dev[part][metric] for run in runs]) for metric in metrics}
        for part, metrics in runs[0].dev.items()
    }
    return FinetuneResult(
        out=out,
        task=task.name,
        metric=task.metrics[0],
        metrics=tuple(task.metrics),
        means=means,
        best_seed=best_run(runs, task).seed,
        collapsed=tuple(run.seed for run in runs if run.collapse),
        seeds=runs,
        cell=chosen.cell,
        grid=tuple(cells) if len(cells) > 1 else (),
    )


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _rows(result: FinetuneResult) -> list[list[str]]:
    """For a page: header, a row for each seed with every metric, and the row of means."""
    columns = [(part, metric) for part, metrics in result.means.items() for metric in metrics]
    rows = [["seed", *(f"{part} {metric}" for part, metric in columns), "note"]]
    for run in result.seeds:
        scores = [f"{run.dev[part][metric]:.4f}" for part, metric in columns]
        rows.append([str(run.seed), *scores, _note(result, run)])
    label = "mean" if len(result.seeds) == 1 else "mean ± s.d."
    rows.append([label, *(str(result.means[part][metric]) for part, metric in columns), ""])
    return rows


def _note(result: FinetuneResult, run: SeedResult) -> str:
    """What one has to know of a run."""
    notes = ["best"] * (run.seed == result.best_seed) + ["collapsed"] * (run.collapse is not None)
    if run.restarted_from:
        notes.append(f"in the place of {len(run.restarted_from)} collapsed")
    if run.kept_epoch < len(run.epochs):
        notes.append(f"epoch {run.kept_epoch} of {len(run.epochs)}")
    return ", ".join(notes)


def _when(result: FinetuneResult) -> str:
    if any(run.kept_epoch < len(run.epochs) for run in result.seeds):
        return "of the best epoch"
    return "after the last epoch"


def _grid_page(result: FinetuneResult) -> str:
    """The table of a grid: the mean of each cell, the best first."""
    if not result.grid:
        return ""
    names = list(result.cell)

    def spread(cell: CellResult) -> Spread:
        return _spread([next(iter(run.dev.values()))[result.metric] for run in cell.runs])

    ranked = sorted(result.grid, key=lambda cell: -spread(cell).mean)
    rows = [[*(f"{cell.cell[name]:g}" for name in names), str(spread(cell))] for cell in ranked]
    header = [*(name.replace("_", " ") for name in names), result.metric]
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    told = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in result.cell.items())
    return (
        f"These are the runs with {told}, the best of {len(result.grid)} settings by their mean on dev. So the scores "
        f"above flatter a little: they were chosen on the examples that they are of.\n\n" + "\n".join(lines) + "\n\n"
    )


def results_page(result: FinetuneResult) -> str:
    """README.md of the `--out` folder: the table and how to use the model."""
    header, *rows = _rows(result)
    lines = ["| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows]]
    collapses = [f"- seed {run.seed}: {run.collapse}\n" for run in result.seeds if run.collapse]
    told = "Collapsed runs (kept and counted in the means):\n\n" + "".join(collapses) + "\n" if collapses else ""
    chosen = (
        f"`model/` is the run of seed {result.best_seed}, chosen by dev {result.metric}. Being chosen on dev, it looks "
        "a little better there than it is; the mean over seeds does not.\n"
        if len(result.seeds) > 1
        else ""
    )
    table = "\n".join(lines)
    return (
        f"# Fine-tuned on {result.task}\n\nDev scores {_when(result)}:\n\n{table}\n\n"
        f"{_grid_page(result)}{told}{chosen}\n"
        f"```\nbertsmith evaluate {result.out} --data FILE\nbertsmith predict {result.out} FILE\n```\n\n"
        "Each epoch of each seed is in `results.json`, the way there in `metrics.jsonl`, every setting in "
        "`manifest.json`.\n"
    )


def model_card(result: FinetuneResult, network: TaskNetwork) -> str:
    """README.md of the model folder. It names no time and no path, so that equal runs give equal folders."""
    run = next(run for run in result.seeds if run.seed == result.best_seed)
    scores = "\n".join(
        f"| {part} {metric} | {value:.4f} |" for part, row in run.dev.items() for metric, value in row.items()
    )
    body = (
        f"| scores of seed {run.seed} | |\n|---|---|\n{scores}\n\n"
        "`task.json` says which columns, labels and metrics these are; `manifest.json` what it was made from."
    )
    return task_card(network, f"Fine-tuned on {result.task}", body)

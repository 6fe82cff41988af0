"""What a fine-tuning gave over all its seeds, as a value, as a table on the screen, and as pages beside the model."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from bertsmith.tasks.seed_run import SeedResult
from bertsmith.tasks.task import Task


@dataclass(frozen=True)
class Spread:
    """A score over several seeds."""

    mean: float
    standard_deviation: float | None  # of the sample; None for one seed

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.standard_deviation is None else f" ± {self.standard_deviation:.4f}")


@dataclass(frozen=True)
class FinetuneResult:
    """Dev scores after the last epoch of each seed, and over all seeds: part -> metric -> spread.

    metric     the primary metric; `best_seed` has the highest of it on the first dev part
    collapsed  seeds whose runs learnt nothing; they count in the means like any other
    """

    out: Path
    task: str
    metric: str
    means: Mapping[str, Mapping[str, Spread]]
    best_seed: int
    collapsed: tuple[int, ...]
    seeds: tuple[SeedResult, ...]

    @property
    def primary(self) -> Spread:
        """The primary metric on the first dev part."""
        return next(iter(self.means.values()))[self.metric]

    def __rich__(self) -> Table:
        """The table for a terminal."""
        header, *rows = _rows(self)
        table = Table(*header, title=f"{self.task}, dev scores after the last epoch")
        for row in rows[:-1]:
            table.add_row(*row)
        table.add_section()
        table.add_row(*rows[-1])
        return table


def best_run(runs: Sequence[SeedResult], task: Task[Any, Any]) -> SeedResult:
    """The run with the highest primary metric on the first dev part; of equals the first."""
    return max(runs, key=lambda run: next(iter(run.dev.values()))[task.metrics[0]])


def summarise(out: Path, task: Task[Any, Any], runs: Sequence[SeedResult]) -> FinetuneResult:
    """Means and spreads over the seeds."""
    means = {
        part: {metric: _spread([run.dev[part][metric] for run in runs]) for metric in task.metrics}
        for part in runs[0].dev
    }
    collapsed = tuple(run.seed for run in runs if run.collapse)
    return FinetuneResult(out, task.name, task.metrics[0], means, best_run(runs, task).seed, collapsed, tuple(runs))


def _spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


def _rows(result: FinetuneResult) -> list[list[str]]:
    """Header, a row for each seed, and the row of means."""
    columns = [(part, metric) for part, metrics in result.means.items() for metric in metrics]
    rows = [["seed", *(f"{part} {metric}" for part, metric in columns), "note"]]
    for run in result.seeds:
        notes = ["best"] * (run.seed == result.best_seed) + ["collapsed"] * (run.collapse is not None)
        rows.append([str(run.seed), *(f"{run.dev[part][metric]:.4f}" for part, metric in columns), ", ".join(notes)])
    label = "mean" if len(result.seeds) == 1 else "mean ± s.d."
    rows.append([label, *(str(result.means[part][metric]) for part, metric in columns), ""])
    return rows


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
        f"# Fine-tuned on {result.task}\n\nDev scores after the last epoch:\n\n{table}\n\n{told}{chosen}\n"
        f"```\nbertsmith evaluate {result.out} --data FILE\nbertsmith predict {result.out} FILE\n```\n\n"
        "Each epoch of each seed is in `results.json`, the way there in `metrics.jsonl`, every setting in "
        "`manifest.json`.\n"
    )


def model_card(result: FinetuneResult) -> str:
    """README.md of the model folder. It names no time and no path, so that equal runs give equal folders."""
    run = next(run for run in result.seeds if run.seed == result.best_seed)
    scores = "\n".join(
        f"| {part} {metric} | {value:.4f} |" for part, row in run.dev.items() for metric, value in row.items()
    )
    return (
        "---\nlibrary_name: transformers\npipeline_tag: text-classification\ntags: [bert, bertsmith]\n---\n"
        f"# BERT fine-tuned on {result.task}\n\n| scores of seed {run.seed} | |\n|---|---|\n{scores}\n\n"
        "`task.json` says which columns, labels and metrics these are; `manifest.json` what it was made from.\n\n"
        "```python\nfrom transformers import pipeline\n"
        'pipeline("text-classification", "path/to/this/folder")("...")\n```\n'
    )

"""The verb `compare`: run the cells of a study, and say what came out."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pydantic import Field
from rich.table import Table

from bertsmith.core.configuration import Settings
from bertsmith.core.console import console
from bertsmith.study.cell import Cell, cell_name, cell_settings, claim, read_cell, require_same_cell, run_cell
from bertsmith.study.study_file import load_study, study_names
from bertsmith.training.machine import MachineSettings

PICTURE = "curves.png"


class CompareConfig(Settings):
    """Pre-train the variants of a study at equal cost and compare them on held-out text."""

    study: str = Field(description=f"study to run: {', '.join(study_names())}, or a TOML file of your own")
    store: Path = Field(description="token store made by `prepare`")
    out: Path = Field(description="folder of the cells, one small file each; what is in it is not run again")
    only: tuple[str, ...] = Field((), description="variants to run now; default: all")
    runtime: MachineSettings = MachineSettings()


@dataclass(frozen=True)
class StudyResult:
    """The finished cells of a study, variant by variant in the order of the study."""

    question: str
    cells: Mapping[str, Sequence[Cell]]
    missing: int

    def __rich__(self) -> Table:
        """The table for a terminal."""
        title = self.question if not self.missing else f"{self.question} ({self.missing} cells are not done yet)"
        table = Table("variant", "minutes", "tokens", "held-out loss", "accuracy", "NSP accuracy", title=title)
        for name, cells in self.cells.items():
            if not cells:
                continue
            pairs = [cell.final.nsp_accuracy for cell in cells if cell.final.nsp_accuracy is not None]
            table.add_row(
                name,
                f"{statistics.fmean(cell.final.minutes for cell in cells):.1f}",
                f"{statistics.fmean(cell.tokens for cell in cells) / 1e6:.1f} M",
                _spread([cell.final.mlm_loss for cell in cells], "{:.3f}"),
                _spread([cell.final.mlm_accuracy for cell in cells], "{:.1%}"),
                _spread(pairs, "{:.1%}") if pairs else "",
            )
        return table


def compare(config: CompareConfig) -> StudyResult:
    """Run the cells that are not done yet, one after the other, and read all that are.

    Start it in several terminals to run several cells at a time.
    """
    name, study = load_study(config.study)
    config.out.mkdir(parents=True, exist_ok=True)
    cells: dict[str, list[Cell]] = {variant.name: [] for variant in study.variants}
    missing = 0
    for seed in study.seeds:
        for variant in study.variants:
            path = config.out / f"{cell_name(variant, seed)}.json"
            settings = cell_settings(study, variant, seed, config.store, config.out, config.runtime)
            if not path.exists() and (not config.only or variant.name in config.only):
                with claim(path) as is_ours:
                    if is_ours and not path.exists():
                        console.rule(f"{name}: {variant.name}, seed {seed}")
                        run_cell(settings, variant, path)
            if path.exists():
                cell = read_cell(path)
                require_same_cell(cell, settings, variant, path)
                cells[variant.name].append(cell)
            else:
                missing += 1
    result = StudyResult(study.question, cells, missing)
    _draw(result, config.out / PICTURE)
    return result


def _spread(values: Sequence[float], form: str) -> str:
    mean = form.format(statistics.fmean(values))
    return mean if len(values) == 1 else f"{mean} ± {form.format(statistics.stdev(values))}"


def _draw(result: StudyResult, target: Path) -> None:
    """Held-out loss of every cell over minutes, a colour for each variant."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, cells) in enumerate(result.cells.items()):
        for cell in cells:
            points = [(scores.minutes, scores.mlm_loss) for scores in cell.curve]
            label = name if cell is cells[0] else None
            axes.plot(*zip(*points, strict=True), label=label, color=f"C{number}", linewidth=1.4)
    axes.set(xlabel="minutes", ylabel="held-out masked-LM loss (nats)", title=result.question)
    axes.grid(alpha=0.3)
    axes.legend()
    partial = target.with_name(f".{os.getpid()}-{target.name}")  # several processes may draw at a time
    figure.savefig(partial, dpi=110)
    partial.replace(target)

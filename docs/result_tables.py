"""The tables of measured results: what networks came to on held-out text and on tasks, from the files in `results`."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bertsmith.study.cell import Cell, cell_name, read_cell
from bertsmith.study.study_file import load_study
from bertsmith.study.study_tables import (
    StudyRow,
    TextTable,
    cost_table,
    difference_table,
    pair_table,
    paper_pairs,
    score_table,
    study_rows,
)

DOCS = Path(__file__).parent
EVERY_TASK = DOCS / "results" / "every-task"  # of benchmarks/every_task.py, a file for each task and start
_PLANNED = {10: "evening-10", 30: "evening-30", 60: "hour", 150: "evening-150"}  # minutes -> the run planned for them
_STEPS_OF_TRANSFORMERS = 5770 / 60  # a minute, on the machine on which bertsmith makes 137 (docs/plateau.md)
CELLS = DOCS / "results" / "cells"  # of `bertsmith compare`, a folder for each study


def pretraining_table() -> str:
    """What each run of the first run ended with on held-out text."""
    rows = []
    for name, run in _first_run()["pretraining"].items():
        scores = run["held_out"][-1]
        length = f"{run['steps']:,} | {run['tokens'] / 1e6:.1f} M | {run['minutes']:.0f}"
        masked_words = f"{scores['token_loss']:.3f} | {scores['perplexity']:.0f} | {scores['token_accuracy']:.1%}"
        rows.append(f"| `{name}` | {length} | {masked_words} | {scores['nsp_accuracy']:.1%} |")
    header = (
        "| initialisation | steps | tokens | minutes | loss (nats) | perplexity | words guessed | next sentence told |"
    )
    return "\n".join([header, "|---|---|---|---|---|---|---|---|", *rows]) + "\n"


def task_table() -> str:
    """Dev scores of the first run's tasks: mean and standard deviation over seeds, and the gain by pre-training."""
    rows = []
    for task, result in _first_run()["tasks"].items():
        untrained, *pretrained = (result["scores"][start] for start in ("untrained", "normal", "neighbour"))
        cells = [f"{task}, {result['metric']}", f"{100 * result['same_answer']:.1f}", _spread(untrained)]
        for scores in pretrained:
            cells += [_spread(scores), f"{100 * (statistics.fmean(scores) - statistics.fmean(untrained)):+.1f}"]
        rows.append(f"| {' | '.join(cells)} |")
    header = "| task | same answer for all | untrained | `normal` | gain | `neighbour` | gain |"
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows]) + "\n"


def every_task_table() -> str:
    """Dev scores of the thirteen tasks from an untrained and a pre-trained network, and the settings of each."""
    rows = []
    for path in sorted(EVERY_TASK.glob("*-pretrained.json")):
        task = path.name.removesuffix("-pretrained.json")
        pretrained = json.loads(path.read_text(encoding="utf-8"))
        other = EVERY_TASK / f"{task}-untrained.json"
        untrained = json.loads(other.read_text(encoding="utf-8")) if other.is_file() else None
        metric, scores = next(iter(pretrained["scores"].items()))
        before = untrained["scores"][metric] if untrained else None
        gain = f"{100 * (statistics.fmean(scores) - statistics.fmean(before)):+.1f}" if before else ""
        settings = "; ".join(
            f"`{key} = {value:g}`"
            for group in pretrained["settings"].values()
            for key, value in group.items()
            if isinstance(value, int | float)
        )
        counts = f"{pretrained['examples']['train']:,} | {pretrained['examples']['dev']:,}"
        cells = [_spread(before) if before else "", f"{_spread(scores)} ({len(scores)})", gain, settings]
        rows.append(f"| {task}, {metric} | {counts} | {' | '.join(cells)} |")
    header = "| task | learnt from | scored on | untrained | pre-trained (seeds) | gain | settings |"
    return "\n".join([header, "|---|---|---|---|---|---|---|", *rows]) + "\n"


def study_table(study: str, *, folder: str | None = None, minutes: bool = False, tasks: bool = True) -> str:
    """What each variant of a study came to on held-out text and on its tasks; over its seeds if there are several.

    folder   of its cells, if not the study's own: the same study on another text
    minutes  show them: for cells whose machine did nothing else
    tasks    show them, with the first metric of each
    """
    found = _by_variant([cell for cell in _cells(study, folder) if cell.curve or tasks])
    outcomes = next(iter(found.values()))[0].tasks if tasks and found else {}
    metrics = {task: next(iter(outcome.scores)) for task, outcome in outcomes.items()}
    rows = []
    for variant, cells in found.items():
        ends = [cell.curve[-1] for cell in cells if cell.curve]
        columns = [f"`{variant}`", str(len(cells)), f"{statistics.fmean(cell.tokens for cell in cells) / 1e6:.1f} M"]
        if minutes:
            columns.append(f"{statistics.fmean(end.minutes for end in ends):.0f}" if ends else "")
        columns.append(f"{statistics.fmean(cell.curve[0].token_loss for cell in cells):.2f}" if ends else "")
        columns.append(_spread([end.token_loss for end in ends], scale=1, digits=3) if ends else "")
        columns.append(_spread([100 * end.token_accuracy for end in ends], scale=1) if ends else "")
        pairs = [end.nsp_accuracy for end in ends if end.nsp_accuracy is not None]
        columns.append(_spread(pairs) if pairs else "")
        for task, metric in metrics.items():
            columns.append(_spread([score for cell in cells for score in cell.tasks[task].scores[metric]]))
        rows.append(f"| {' | '.join(columns)} |")
    heads = ["variant", "seeds", "tokens", *(["minutes"] if minutes else []), "loss before", "loss after"]
    heads += ["words guessed, %", "next sentence told, %", *(f"{task}, {metric}" for task, metric in metrics.items())]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}", *rows]) + "\n"


def paper_tables(study: str) -> dict[str, Callable[[], str]]:
    """Tables of a study that holds the paper's scores against ours, by their names; of its quick version."""
    _, settings = load_study(study, quick=True)
    assert settings.paper is not None

    def rows() -> list[StudyRow]:
        found = {variant.name: [] for variant in settings.variants} | _by_variant(_cells(study))
        return study_rows(settings, found)

    return {
        f"{study}-scores": lambda: _markdown(score_table(rows())),
        f"{study}-differences": lambda: _markdown(difference_table(found := rows(), found[0])),
        f"{study}-paper": lambda: _markdown(pair_table(list(paper_pairs(rows(), settings.paper)))),
        f"{study}-cost": lambda: _markdown(cost_table(rows())),
    }


def _markdown(table: TextTable) -> str:
    lines = [f"| {' | '.join(line)} |" for line in (table.header, ["---"] * len(table.header), *table.rows)]
    return "\n".join(lines) + "\n"


def _by_variant(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Cells by the name of their variant, in the order in which they come."""
    found: dict[str, list[Cell]] = {}
    for cell in cells:
        found.setdefault(cell.variant, []).append(cell)
    return found


def gain_table(studies: Sequence[str], reference: str) -> str:
    """The tasks and metrics of the first study, a column for each variant of all; the lead of the first variant."""
    cells = {cell.variant: cell for study in studies for cell in _cells(study)}
    best = next(iter(cells))
    for cell in cells.values():  # the same fine-tuning for all
        assert all(trial in cell.settings["tasks"] for trial in cells[best].settings["tasks"])
    rows = []
    for task, outcome in cells[best].tasks.items():
        for metric in outcome.scores:
            scores = {variant: cell.tasks[task].scores[metric] for variant, cell in cells.items()}
            gain = statistics.fmean(scores[best]) - statistics.fmean(scores[reference])
            larger = max(statistics.stdev(scores[variant]) for variant in (best, reference))
            columns = " | ".join(_spread(each) for each in scores.values())
            rows.append(f"| {task}, {metric} | {columns} | {100 * gain:+.1f} | {gain / larger:.1f} |")
    names = " | ".join(f"`{variant}`" for variant in cells)
    header = f"| task, metric | {names} | gain over `{reference}` | in deviations (the larger one) |"
    return "\n".join([header, f"|{'---|' * (len(cells) + 3)}", *rows]) + "\n"


def clock_table() -> str:
    """The loss after so many minutes of two cores, from runs that were planned for that time, where they are on file.

    The opponents: what a run that was planned for longer had come to by then, at a rate that was still higher than that
    of a run planned for the time would have been. "Begins" is before the first step.
    """
    runs = {cell.variant: cell for study in ("by-the-clock", "hour") for cell in _cells(study)}
    ours = {minutes: runs[name].curve[-1] for minutes, name in _PLANNED.items() if name in runs}
    normal = _first_run()["pretraining"]["normal"]
    longer = [asdict(scores) for scores in runs["paper-150"].curve] if "paper-150" in runs else []
    hour, hours = (_replay(name) for name in ("transformers-replay.json", "transformers-replay-150.json"))
    first = next(iter(runs.values())).curve[0].token_loss
    rows = [f"| begins | 0 | {first:.2f} | {_loss_at(normal['held_out'], 0)} | {_loss_at(hour, 0)} |"]
    for minutes, end in ours.items():
        paper = _loss_at(normal["held_out"], end.step) or _loss_at(longer, end.step)
        steps = _STEPS_OF_TRANSFORMERS * minutes
        theirs = _loss_at(hour, steps) or _loss_at(hours, steps)
        rows.append(f"| {minutes} | {end.step:,} | {end.token_loss:.2f} | {paper} | {theirs} |")
    header = "| minutes | steps | recipe `evening` | recipe `mini`, normal initial values | transformers |"
    return "\n".join([header, "|---|---|---|---|---|", *rows]) + "\n"


def _replay(name: str) -> list[dict[str, float]]:
    """The curve of a file of benchmarks/transformers_replay.py; empty if it is not there."""
    path = DOCS / "results" / name
    curve: list[dict[str, float]] = json.loads(path.read_text(encoding="utf-8"))["curve"] if path.exists() else []
    return curve


def _loss_at(curve: Sequence[Mapping[str, float]], step: float) -> str:
    """The loss after a step, between two readings on the line from one to the other; "" after the last one."""
    steps, losses = [scores["step"] for scores in curve], [scores["token_loss"] for scores in curve]
    return f"{np.interp(step, steps, losses):.2f}" if steps and step <= steps[-1] else ""


def _cells(study: str, folder: str | None = None) -> list[Cell]:
    """The finished cells of a study in its order."""
    _, settings = load_study(study)
    names = [f"{cell_name(each, seed)}.json" for each in settings.variants for seed in settings.seeds]
    paths = [CELLS / (folder or study) / name for name in names]
    return [read_cell(path) for path in paths if path.exists()]


def _spread(scores: Sequence[float], scale: float = 100, digits: int = 1) -> str:
    """Mean and, of several, standard deviation; in points (of 100) unless told otherwise."""
    mean = f"{scale * statistics.fmean(scores):.{digits}f}"
    return mean if len(scores) == 1 else f"{mean} ± {scale * statistics.stdev(scores):.{digits}f}"


def _first_run() -> dict[str, Any]:
    results: dict[str, Any] = json.loads((DOCS / "results" / "first-run.json").read_text(encoding="utf-8"))
    return results

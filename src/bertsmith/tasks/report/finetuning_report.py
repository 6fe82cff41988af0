"""The report of a fine-tuning: what was done, how all runs went, and what the kept model does well and badly on dev."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bertsmith.core import page
from bertsmith.core.configuration import Settings
from bertsmith.tasks.findings import Findings
from bertsmith.tasks.finetuning_result import FinetuneResult, summarise
from bertsmith.tasks.finetuning_settings import FinetuneConfig
from bertsmith.tasks.grid import Cell
from bertsmith.tasks.report.drawings import RunCurve, RunKind, run_curves
from bertsmith.tasks.report.findings_page import findings_elements
from bertsmith.tasks.seed_run import EncodedPart, SeedResult
from bertsmith.tasks.task import Blindness, Task

REPORT_FILE = "report.html"
_MOST_LOSSES = 60  # points of a curve; each is the mean over a stretch of the run
_LISTED = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class FinetuningReport:
    """What the page tells.

    parts      "train", then the dev parts
    log        the lines of metrics.jsonl
    findings   on the kept model's predictions for the first dev part
    blindness  of the same
    """

    task: Task[Any, Any]
    result: FinetuneResult
    settings: FinetuneConfig
    precision: str
    model: Path
    parts: Mapping[str, EncodedPart]
    log: Sequence[Mapping[str, Any]]
    findings: Findings
    blindness: Blindness

    @property
    def dev_part(self) -> str:
        """The first dev part."""
        return next(iter(self.result.means))

    @property
    def kept(self) -> SeedResult:
        """The run whose weights are the model."""
        return next(run for run in self.result.seeds if run.seed == self.result.best_seed)


def write_report(target: Path, report: FinetuningReport) -> None:
    """Write the page."""
    target.write_text(render(report), encoding="utf-8", errors="xmlcharrefreplace")  # half a surrogate pair is no UTF-8


def render(report: FinetuningReport) -> str:
    """The report as one self-contained HTML page."""
    train, dev = len(report.parts["train"].examples.rows), len(report.parts[report.dev_part].examples.rows)
    return page.page(
        f"Fine-tuned on {report.result.task}",
        f"{train:,} examples to learn from, {dev:,} to be judged by.",
        [
            *_answer(report),
            *_what_was_done(report),
            *_scores(report),
            *_collapses(report.result),
            *_curves(report),
            *_grid(report),
            *_kept_model(report),
            *_next(report.result),
        ],
        footer="Made by bertsmith finetune.",
    )


def _answer(report: FinetuningReport) -> Iterator[page.Markup]:
    result, part = report.result, report.dev_part
    runs = len(result.seeds)
    score = f"{_words(result.metric).capitalize()} {result.primary}"
    if runs == 1:
        told = f"One run on {part}. More seeds (--seeds) would tell how much of it is luck."
    else:
        kept = report.kept.dev[part][result.metric]
        told = (
            f"Mean and standard deviation of {runs} runs on {part}. Kept is seed {result.best_seed} with {kept:.4f}; "
            f"chosen on {part}, it looks a little better there than it is."
        )
    if result.collapsed:
        number = "The run" if runs == 1 else f"{len(result.collapsed)} of {runs} runs"
        yield page.verdict(f"{number} learnt nothing.", f"{score}. {told}", good=False)
    elif report.blindness.no_better:
        blind = f"On {part} the kept model does no better than an answer that needs no reading."
        yield page.verdict(f"{score}.", f"{blind} {told}", good=False)
    else:
        yield page.verdict(f"{score}.", told, good=True)
    figures = [(f"{spread.mean:.4f}", f"{_words(name)} on {part}") for name, spread in result.means[part].items()][:3]
    minutes = sum(run.seconds for cell in _cells(result) for run in cell) / 60
    time = f"{minutes / 60:.1f} h" if minutes >= 90 else f"{minutes:.1f} min"
    num_runs = sum(map(len, _cells(result)))
    yield page.figures([*figures, (time, f"for {'one run' if num_runs == 1 else f'{num_runs:,} runs'}")])


def _scores(report: FinetuningReport) -> Iterator[page.Markup]:
    """A row for each run, the mean and the standard deviation."""
    result = report.result
    columns = [(part, metric) for part, metrics in result.means.items() for metric in metrics]
    several_parts = len(result.means) > 1
    header = ["seed", *(f"{part} {_words(metric)}" if several_parts else _words(metric) for part, metric in columns)]
    rows: list[list[str | page.Markup]] = []
    for run in result.seeds:
        is_kept = run.seed == result.best_seed
        seed = page.emphasised("", str(run.seed), "") if is_kept else str(run.seed)
        scores = (f"{run.dev[part][metric]:.4f}" for part, metric in columns)
        rows.append([seed, *scores, f"{run.seconds:,.0f} s", _notes(run, is_kept=is_kept)])
    if len(result.seeds) > 1:
        spreads = [result.means[part][metric] for part, metric in columns]
        rows.append(["mean", *(f"{spread.mean:.4f}" for spread in spreads), "", ""])
        rows.append(["s.d.", *(f"{spread.standard_deviation:.4f}" for spread in spreads), "", ""])
    yield page.heading("Every run" if len(result.seeds) > 1 else "The run")
    yield page.table([*header, "time", ""], rows, numbers=range(1, len(columns) + 2))


def _notes(run: SeedResult, *, is_kept: bool) -> str:
    notes = ["kept"] * is_kept + ["collapsed"] * (run.collapse is not None)
    if run.kept_epoch < len(run.epochs):
        notes.append(f"epoch {run.kept_epoch} of {len(run.epochs)}")
    return ", ".join(notes)


def _collapses(result: FinetuneResult) -> Iterator[page.Markup]:
    for run in result.seeds:
        if run.restarted_from:
            number = "a run" if len(run.restarted_from) == 1 else f"{len(run.restarted_from)} runs"
            seeds = ", ".join(map(str, run.restarted_from))
            yield page.paragraph(f"Seed {run.seed} stands in the place of {number} that collapsed: seed {seeds}.")
        if run.collapse is not None:
            first = run.first_sign_of_collapse
            since = "" if first is None else f" The first sign of it was seen after step {first:,}."
            yield page.paragraph(f"Seed {run.seed} collapsed: {run.collapse}.{since} It counts like any other.")


def _curves(report: FinetuningReport) -> Iterator[page.Markup]:
    kinds: dict[int, RunKind] = {}
    for run in report.result.seeds:
        kinds |= dict.fromkeys(run.restarted_from, "collapsed")
        kinds[run.seed] = "collapsed" if run.collapse is not None else "other"
    kinds[report.result.best_seed] = "kept"
    losses, scores = [], []
    for seed, kind in kinds.items():
        lines = _lines_of(report.log, report.result.cell, seed)
        measured = [line for line in lines if "dev" in line]
        steps_per_epoch = measured[0]["step"] / measured[0]["epoch"]
        trained = [(line["step"] / steps_per_epoch, line["train"]["loss"]) for line in lines if "train" in line]
        losses.append(RunCurve(kind, _means(trained)))
        metric = report.result.metric
        scores.append(RunCurve(kind, [(line["epoch"], line["dev"][report.dev_part][metric]) for line in measured]))
    pictures = (
        (losses, False, "training loss", "The loss on training batches, each point a mean over a stretch of the run."),
        (scores, True, f"{_words(report.result.metric)} on {report.dev_part}", "The score after each epoch."),
    )
    yield page.heading("How they learnt" if len(kinds) > 1 else "How it learnt")
    for curves, marked, y_label, caption in pictures:
        drawn = [curve for curve in curves if len(curve.points) > 1]
        if drawn:
            yield page.picture(run_curves(drawn, y_label=y_label, marked=marked).svg(), caption)


def _lines_of(log: Sequence[Mapping[str, Any]], cell: Cell, seed: int) -> list[Mapping[str, Any]]:
    """The lines of a run of a cell."""
    return [line for line in log if line["seed"] == seed and all(line[name] == value for name, value in cell.items())]


def _means(points: Sequence[Point]) -> list[Point]:
    """The same curve with fewer points, each the mean of some neighbours."""
    groups = np.array_split(np.array(points).reshape(-1, 2), min(len(points), _MOST_LOSSES) or 1)
    return [tuple(group.mean(axis=0).tolist()) for group in groups if len(group)]


def _grid(report: FinetuningReport) -> Iterator[page.Markup]:
    """The cells of a grid, the best first."""
    result = report.result
    if not result.grid:
        return
    spreads = [(cell.cell, summarise(result.out, report.task, [cell]).primary) for cell in result.grid]
    rows: list[list[str | page.Markup]] = []
    for cell, spread in sorted(spreads, key=lambda item: -item[1].mean):
        score = page.emphasised("", str(spread), "") if cell == result.cell else str(spread)
        rows.append([*(f"{value:g}" for value in cell.values()), score])
    yield page.heading("Every setting")
    yield page.paragraph(
        f"{len(rows)} settings were tried with {len(result.seeds)} seeds each; everything else on this page is of "
        f"the best one by its mean on {report.dev_part}. So its scores flatter a little: it was chosen on the examples "
        f"that they are of."
    )
    header = [*map(_words, result.cell), f"{_words(result.metric)} on {report.dev_part}"]
    yield page.table(header, rows, numbers=range(len(header)))


def _kept_model(report: FinetuningReport) -> Iterator[page.Markup]:
    yield page.heading(f"The kept model on {report.dev_part}")
    source = report.parts[report.dev_part].examples.source
    yield page.paragraph(
        f"From here on this page is about what the model of seed {report.result.best_seed} says of the "
        f"{report.findings.num_examples:,} examples of {report.dev_part} ({source.name})."
    )
    yield from findings_elements(report.findings)


def _what_was_done(report: FinetuningReport) -> Iterator[page.Markup]:
    config = report.settings.with_cell(report.result.cell)
    start = "" if config.initialisation == "pretrained" else f", untrained ({config.initialisation} initial weights)"
    yield page.heading("What was done")
    yield page.paragraph(f"The model {report.model}{start}, {_way(report)} in {report.precision}.")
    rows = []
    for name, part in report.parts.items():
        cut, skipped = part.encoded.num_cut, len(part.examples.skipped)
        counts = [f"{number:,}" for number in (len(part.examples.rows), cut, skipped)]
        rows.append([name, str(part.examples.source), *counts])
    yield page.table(["part", "file", "examples", "cut", "skipped"], rows, numbers=(2, 3, 4))
    for name, part in report.parts.items():
        if part.examples.skipped:
            listed = "; ".join(f"line {line}: {reason}" for line, reason in part.examples.skipped[:_LISTED])
            more = len(part.examples.skipped) - _LISTED
            yield page.paragraph(f"Skipped in {name}: {listed}{f'; and {more:,} more' if more > 0 else ''}.", "note")
    told = (
        f'{page.text(name).html} <b style="color:var(--ink)">{page.text(value).html}</b>'
        for name, value in _settings(config)
    )
    yield page.paragraph(page.Markup(" · ".join(told)), "note")


def _way(report: FinetuningReport) -> str:
    """In words, what was learnt."""
    strategy = report.settings.strategy
    if strategy.strategy == "feature-based":
        return "kept as it is, with a BiLSTM that was trained on its states"
    if strategy.has_bilstm:
        return "fine-tuned with a BiLSTM on its states"
    if report.task.kind == "masked-words":
        return "fine-tuned with the head that it was pre-trained with"
    return "fine-tuned with one added layer"


def _settings(config: FinetuneConfig) -> Iterator[tuple[str, str]]:
    """Names and values: those of the training, the longest input, and of the others those that are not the defaults."""
    for name, value in config.training.model_dump().items():
        if value is not None:
            yield _words(name), _value(value)
    yield "max seq length", _value(config.inputs.max_seq_length)
    others: tuple[Settings, ...] = (config.inputs, config.loss, config.layers, config.strategy)
    for group in others:
        for name, value in group.model_dump().items():
            if name != "max_seq_length" and value != type(group).model_fields[name].default:
                yield _words(name), _value(value)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _next(result: FinetuneResult) -> Iterator[page.Markup]:
    yield page.heading("Use it")
    yield page.commands(f"bertsmith evaluate {result.out} --data FILE\nbertsmith predict {result.out} FILE")
    files = ", ".join(f"{part}-predictions.jsonl" for part in result.means)
    yield page.paragraph(
        f"Every prediction on dev, with the right answer, is in {files}; every epoch of every run in results.json, the "
        f"way there in metrics.jsonl; the model in model/.",
        "note",
    )


def _cells(result: FinetuneResult) -> list[Sequence[SeedResult]]:
    """The runs of each setting."""
    return [cell.runs for cell in result.grid] or [result.seeds]


def _words(name: str) -> str:
    return name.replace("_", " ")

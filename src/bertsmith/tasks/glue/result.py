"""What fine-tuning on all of GLUE gave: as a value, on the screen, and as pages. The table is the paper's table 1.

Its nine scores are those on the two dev parts of MNLI and on seven other tasks; their mean is the paper's "Average",
which leaves WNLI out. The paper's own figures are those of the leaderboard, on the test sets.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from bertsmith.tasks.finetuning_result import FinetuneResult, Spread
from bertsmith.tasks.glue.submission import OFFICIAL_FILES, Submission
from bertsmith.tasks.seed_run import SeedResult


class Column(NamedTuple):
    """A score of the table: the primary metric of a task on one of its dev parts."""

    title: str
    task: str
    part: str


COLUMNS: Sequence[Column] = (
    Column("MNLI-m", "mnli", "dev"),
    Column("MNLI-mm", "mnli", "dev_mismatched"),
    Column("QQP", "qqp", "dev"),
    Column("QNLI", "qnli", "dev"),
    Column("SST-2", "sst-2", "dev"),
    Column("CoLA", "cola", "dev"),
    Column("STS-B", "sts-b", "dev"),
    Column("MRPC", "mrpc", "dev"),
    Column("RTE", "rte", "dev"),
)
_WNLI = Column("WNLI", "wnli", "dev")  # not in the paper's table
_NONE = "-"
_LISTED = 5  # rows of a file that were left out


@dataclass(frozen=True)
class LearntTask:
    """The fine-tuning on one task, how many examples it had, and whether it began with the fine-tuned MNLI model.

    skipped  part -> rows of its file that could not be used: (line, reason)
    """

    result: FinetuneResult
    train_examples: int
    from_mnli: bool
    skipped: Mapping[str, Sequence[tuple[int, str]]] = field(default_factory=dict)

    @property
    def runs(self) -> Sequence[SeedResult]:
        """The runs of all seeds; of a grid, in all of its cells."""
        return [run for cell in self.result.grid for run in cell.runs] or self.result.seeds

    @property
    def collapsed(self) -> int:
        """How many of them collapsed."""
        return sum(run.collapse is not None for run in self.runs)

    @property
    def restarted(self) -> int:
        """How many others collapsed and had one of them in their place."""
        return sum(len(run.restarted_from) for run in self.runs)


@dataclass(frozen=True)
class GlueResult:
    """Every task that was learnt, why the others were not, and the answers to the test sets (None: no test set)."""

    out: Path
    tasks: Mapping[str, LearntTask]
    absent: Mapping[str, str]
    submission: Submission | None

    @property
    def scores(self) -> dict[str, Spread]:
        """The scores of the table that there are, by column, from 0 to 1 or from -1 to 1."""
        found = {column.title: self.score(column) for column in COLUMNS}
        return {title: score for title, score in found.items() if score is not None}

    @property
    def average(self) -> float | None:
        """The mean of those scores. Of all nine it is the paper's "Average"; None of none."""
        return statistics.fmean(score.mean for score in self.scores.values()) if self.scores else None

    def score(self, column: Column) -> Spread | None:
        """One score over the seeds, if there is one."""
        learnt = self.tasks.get(column.task)
        part = None if learnt is None else learnt.result.means.get(column.part)
        return None if part is None or learnt is None else part[learnt.result.metric]

    def __rich__(self) -> Table:
        """The table for a terminal, a score in each row."""
        table = Table("", "score", "note", title="GLUE, dev scores times 100")
        for column in (*COLUMNS, _WNLI):
            learnt = self.tasks.get(column.task)
            note = self.absent.get(column.task, "not there") if learnt is None else _note(learnt)
            table.add_row(column.title, _percent(self.score(column)), note)
        table.add_section()
        table.add_row("Average", _average(self), "without WNLI")
        return table


def _note(learnt: LearntTask) -> str:
    """What one has to know of the runs behind a score."""
    notes = [learnt.result.metric, "1 run" if len(learnt.runs) == 1 else f"{len(learnt.runs)} runs"]
    if learnt.result.grid:
        notes[-1] += f" with {len(learnt.result.grid)} settings"
    if learnt.collapsed:
        notes.append(f"{learnt.collapsed} of them collapsed")
    if learnt.restarted:
        notes.append(f"{learnt.restarted} more collapsed and were started again")
    if learnt.from_mnli:
        notes.append("from MNLI")
    return ", ".join(notes)


def _percent(score: Spread | None) -> str:
    if score is None:
        return _NONE
    spread = "" if score.standard_deviation is None else f" ± {100 * score.standard_deviation:.1f}"
    return f"{100 * score.mean:.1f}{spread}"


def _average(result: GlueResult) -> str:
    if result.average is None:
        return _NONE
    of = "" if len(result.scores) == len(COLUMNS) else f" ({len(result.scores)} of {len(COLUMNS)})"
    return f"{100 * result.average:.1f}{of}"


def results_of(result: GlueResult) -> dict[str, Any]:
    """results.json: JSON-able, without times and places, so that equal runs give equal files."""
    return {
        "scores": {title: asdict(score) for title, score in result.scores.items()},
        "average": {"mean": result.average, "of": list(result.scores)},
        "tasks": {name: _results_of_task(learnt) for name, learnt in result.tasks.items()},
        "absent": dict(result.absent),
        "submission": result.submission
        and {"files": dict(result.submission.files), "problems": list(result.submission.problems)},
    }


def _results_of_task(learnt: LearntTask) -> dict[str, Any]:
    result = learnt.result
    return {
        "train_examples": learnt.train_examples,
        "from_mnli": learnt.from_mnli,
        "metric": result.metric,
        "means": {part: {name: asdict(spread) for name, spread in row.items()} for part, row in result.means.items()},
        "runs": len(result.seeds),
        "collapsed": list(result.collapsed),
        "runs_of_all_cells": len(learnt.runs),
        "collapsed_of_all_cells": learnt.collapsed,
        "restarted": learnt.restarted,
        "skipped": {part: len(rows) for part, rows in learnt.skipped.items()},
        "best_seed": result.best_seed,
        "cell": dict(result.cell),
        "cells": max(1, len(result.grid)),
    }


def glue_page(result: GlueResult) -> str:
    """README.md of the `--out` folder."""
    sections = (
        _scores_page(result),
        _runs_page(result),
        _skipped_page(result),
        _absent_page(result),
        _submission_page(result.submission),
    )
    return "\n".join(section for section in sections if section)


def _table(rows: Sequence[Sequence[str]]) -> str:
    header, *others = rows
    return "".join(f"| {' | '.join(row)} |\n" for row in [header, ["---"] * len(header), *others])


def _scores_page(result: GlueResult) -> str:
    mnli, mismatched, *others = COLUMNS

    def examples(column: Column) -> str:
        learnt = result.tasks.get(column.task)
        return _NONE if learnt is None else f"{learnt.train_examples:,}"

    rows = [
        ["", "MNLI-(m/mm)", *(column.title for column in others), "Average"],
        ["training examples", examples(mnli), *map(examples, others), _NONE],
        [
            "dev",
            f"{_percent(result.score(mnli))}/{_percent(result.score(mismatched))}" if "mnli" in result.tasks else _NONE,
            *(_percent(result.score(column)) for column in others),
            _average(result),
        ],
    ]
    missing = [column.title for column in COLUMNS if column.title not in result.scores]
    compared = (
        f"Missing here: {', '.join(missing)}. The mean is that of the other {len(result.scores)}, so it is no figure "
        "to set beside another's.\n"
        if missing
        else ""
    )
    wnli = result.score(_WNLI)
    return (
        "# GLUE\n\nScores on dev times 100, the mean over the runs of a task ± their standard deviation: F1 for QQP "
        "and MRPC, Spearman's correlation for STS-B, Matthews' for CoLA, accuracy for the rest (BERT 4.1, table 1; "
        f"the figures there are those on the test sets).\n\n{_table(rows)}\n"
        "The average is that of the paper: the mean of nine scores, of which MNLI has two, without WNLI.\n"
        f"{compared}" + (f"\nWNLI: {_percent(wnli)} (accuracy).\n" if wnli is not None else "")
    )


def _runs_page(result: GlueResult) -> str:
    rows = [["task", "metric", "runs", "collapsed", "started again", "settings", "model", "started from"]]
    for name, learnt in result.tasks.items():
        found = learnt.result
        told = ", ".join(f"{setting.replace('_', ' ')} {value:g}" for setting, value in found.cell.items())
        rows.append(
            [
                name,
                found.metric,
                str(len(learnt.runs)),
                str(learnt.collapsed),
                str(learnt.restarted),
                (f"{told}: {_grid_note(found)}" if found.grid else told) or _NONE,
                f"`{name}/model`, seed {found.best_seed}",
                "the MNLI model" if learnt.from_mnli else "the pre-trained model",
            ]
        )
    return (
        f"## Runs\n\n{_table(rows)}\n"
        'A collapsed run learnt nothing; it is kept and counts in the mean like any other. "Started again" are runs '
        "that collapsed and that another seed took the place of: these count in no mean. Of a grid the runs with all "
        "settings are counted. The model of several runs is the one that is best on dev. Each folder has a page of its "
        "own with every run.\n"
    )


def _grid_note(found: FinetuneResult) -> str:
    """Out of how much the best cell was chosen, and how many of its own runs collapsed."""
    runs = "1 run" if len(found.seeds) == 1 else f"{len(found.seeds)} runs"
    return f"best of {len(found.grid)} by the mean on dev of {runs}, of which {len(found.collapsed)} collapsed"


def _skipped_page(result: GlueResult) -> str:
    """The first few rows of each file that were left out."""
    lines = []
    for name, learnt in result.tasks.items():
        for part, rows in learnt.skipped.items():
            first = "; ".join(f"line {line:,}: {reason}" for line, reason in rows[:_LISTED])
            more = f"; and {len(rows) - _LISTED:,} more" if len(rows) > _LISTED else ""
            counted = "1 row" if len(rows) == 1 else f"{len(rows):,} rows"
            lines.append(f"- {name}, {part}: {counted}. {first}{more}.\n")
    if not lines:
        return ""
    told = "Rows that could not be used. All of them are in the `results.json` of their task's folder."
    return f"## Left out\n\n{told}\n\n{''.join(lines)}"


def _absent_page(result: GlueResult) -> str:
    if not result.absent:
        return ""
    return "## Not there\n\n" + "".join(f"- {name}: {reason}\n" for name, reason in result.absent.items())


def _submission_page(submission: Submission | None) -> str:
    if submission is None:
        return "## Submission\n\nNo test set is there, so nothing was answered.\n"
    rows = [["file", "rows", "official test set"]]
    for official in OFFICIAL_FILES:
        here = submission.files.get(official.name)
        rows.append([f"`{official.name}`", _NONE if here is None else f"{here:,}", f"{official.rows:,}"])
    problems = "".join(f"- {problem}\n" for problem in submission.problems)
    verdict = (
        f"The leaderboard would not take it, or not score it as meant:\n\n{problems}"
        if problems
        else "It has every file that the leaderboard asks for, in the form that it asks for.\n"
    )
    opening = "`submission.zip` holds the answers of the models to the test sets."
    return f"## Submission\n\n{opening}\n\n{_table(rows)}\n{verdict}"

"""The tables of a study, in the shape of the paper's: a row for each variant (and way of learning), a column a task."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bertsmith.study.cell import Cell
from bertsmith.study.significance import PairedDifference, Pairs, corrected, paired_difference
from bertsmith.study.study_file import PapersFinding, Study, Variant
from bertsmith.study.study_subject import processor
from bertsmith.study.trials import TaskOutcome


@dataclass(frozen=True)
class StudyRow:
    """What one variant gave, learnt in one way.

    name       of the variant, and of the way where the study compares ways
    columns    what the variant is, from the study's file
    cells      a finished cell for each seed of pre-training
    by_seed    "column, metric" of the primary metric -> seed of pre-training -> a score for each fine-tuning
    collapsed  how many of these runs learnt nothing
    """

    name: str
    columns: Mapping[str, str]
    cells: Sequence[Cell]
    by_seed: Mapping[str, Mapping[int, Sequence[float]]]
    collapsed: int

    @property
    def scores(self) -> dict[str, list[float]]:
        """The same of all seeds, one after the other."""
        return {task: [score for some in seeds.values() for score in some] for task, seeds in self.by_seed.items()}

    @property
    def perplexities(self) -> list[float]:
        """Of the held-out text at the end of each pre-training."""
        return [math.exp(cell.curve[-1].token_loss) for cell in self.cells if cell.curve]


@dataclass(frozen=True)
class TextTable:
    """A table, ready to be shown anywhere. The first `names` columns are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int


def study_rows(study: Study, cells: Mapping[str, Sequence[Cell]]) -> list[StudyRow]:
    """The rows of what is finished, in the order of the study's file."""
    variants = [variant for variant in study.variants if cells[variant.name]]
    return [_row(study, variant, way, cells[variant.name]) for variant in variants for way in study.ways]


def _row(study: Study, variant: Variant, way: str | None, cells: Sequence[Cell]) -> StudyRow:
    by_seed: dict[str, dict[int, Sequence[float]]] = {}
    collapsed = 0
    for trial in study.tasks:
        if trial.way != way:
            continue
        for cell in cells:
            outcome = cell.tasks[trial.key]
            by_seed.setdefault(f"{trial.column}, {_metric(outcome)}", {})[cell.seed] = outcome.scores[_metric(outcome)]
            collapsed += len(outcome.collapsed)
    return StudyRow(study.row_name(variant, way), variant.columns, cells, by_seed, collapsed)


def _metric(outcome: TaskOutcome) -> str:
    return next(iter(outcome.scores))


def score_table(rows: Sequence[StudyRow]) -> TextTable:
    """Mean and deviation of each row on each task, in points; the best of a column is bold."""
    columns = list(dict.fromkeys(column for row in rows for column in row.columns))
    tasks = list(dict.fromkeys(task for row in rows for task in row.scores))
    best = {task: leaders(rows, task) for task in tasks}
    lines = []
    for row in rows:
        told = [row.columns.get(column, "") for column in columns]
        perplexity = spread(row.perplexities, scale=1) if row.perplexities else ""
        scores = [spread(row.scores[task]) if task in row.scores else "" for task in tasks]
        marked = [
            f"**{score}**" if score and row in best[task] else score for task, score in zip(tasks, scores, strict=True)
        ]
        lines.append([row.name, *told, perplexity, *marked])
    return TextTable(["", *columns, "perplexity", *tasks], lines, names=1 + len(columns))


def leaders(rows: Sequence[StudyRow], task: str) -> list[StudyRow]:
    """The row with the highest mean on a task; all of them where several have the same."""
    means = {row.name: statistics.fmean(row.scores[task]) for row in rows if task in row.scores}
    return [row for row in rows if row.name in means and math.isclose(means[row.name], max(means.values()))]


def differences(rows: Sequence[StudyRow], reference: StudyRow) -> dict[tuple[str, str], PairedDifference | None]:
    """(row, task) -> how far a row is from a reference, with p corrected for the number of them all."""
    places = [(row, task) for row in rows if row is not reference for task in reference.scores]
    found = corrected([difference(row, reference, task) for row, task in places])
    return {(row.name, task): each for (row, task), each in zip(places, found, strict=True)}


def difference_table(rows: Sequence[StudyRow], reference: StudyRow) -> TextTable:
    """How far each row is from a reference on each task, in points, with the corrected p of the paired test."""
    found = differences(rows, reference)
    marks = len(pairs_of(list(found.values()))) > 1
    lines = []
    for row in rows:
        if row is not reference:
            shown = [found[row.name, task] for task in reference.scores]
            lines.append([row.name, *(in_words(each, marks_finetunings=marks) if each else "" for each in shown)])
    return TextTable(["", *reference.scores], lines, names=1)


def pairs_of(found: Sequence[PairedDifference | None]) -> list[Pairs]:
    """What the tests of a table paired, in the order of `Pairs`."""
    tested = {each.pairs for each in found if each is not None and each.p is not None}
    return [pairs for pairs in Pairs if pairs in tested]


def difference(row: StudyRow, other: StudyRow, task: str) -> PairedDifference | None:
    """Of two rows on a task, over the seeds of pre-training that both have; None where there are none.

    Fine-tunings of one network are not independent of each other, so they are averaged, and the pairs are those of
    pre-training; of a single one the fine-tunings are the pairs, and nothing is said of other seeds of pre-training.
    """
    ours, theirs = row.by_seed.get(task, {}), other.by_seed.get(task, {})
    shared = [seed for seed in ours if seed in theirs]
    if not shared:
        return None
    if len(shared) == 1:
        pair = ours[shared[0]], theirs[shared[0]]
        return paired_difference(*pair, Pairs.FINETUNINGS) if len(pair[0]) == len(pair[1]) else None
    our_means, their_means = ([statistics.fmean(side[seed]) for seed in shared] for side in (ours, theirs))
    return paired_difference(our_means, their_means, Pairs.PRETRAININGS)


def in_words(found: PairedDifference, *, marks_finetunings: bool = False) -> str:
    """Points and p; with an f after a p over fine-tunings, if asked for."""
    mark = " f" if marks_finetunings and found.pairs is Pairs.FINETUNINGS else ""
    return f"{100 * found.mean:+.1f}" + ("" if found.p is None else f" (p {found.p:.2g}{mark})")


def cost_table(rows: Sequence[StudyRow]) -> TextTable:
    """What each variant's pre-training cost."""
    lines = []
    for cells in {row.cells[0].variant: row.cells for row in rows}.values():
        minutes = [cell.curve[-1].minutes for cell in cells if cell.curve]
        cost = [
            spread(minutes, scale=1) if minutes else "",
            f"{statistics.fmean(cell.tokens for cell in cells) / 1e6:.1f} M",
            f"{statistics.fmean(cell.flops for cell in cells) / 1e12:,.0f}",
            "; ".join(sorted({processor(cell) for cell in cells if cell.precision})),
        ]
        lines.append([cells[0].variant, str(len(cells)), *cost])
    return TextTable(["", "seeds", "minutes", "tokens", "TFLOP", "processor"], lines, names=1)


@dataclass(frozen=True)
class PaperPair:
    """Two rows that the paper puts in an order on a task, and what the study found.

    better, worse  names of the rows, as the paper has them
    papers         difference in the paper, in points
    ours           difference here, with p corrected for the number of pairs
    """

    task: str
    better: str
    worse: str
    papers: float
    ours: PairedDifference

    @property
    def verdict(self) -> str:
        """Whether the study agrees."""
        if not self.ours.is_clear:
            return "not told apart"
        return "as in the paper" if self.ours.mean > 0 else "the other way round"


def paper_pairs(rows: Sequence[StudyRow], paper: PapersFinding) -> list[PaperPair]:
    """Every pair of rows that has a counterpart in the paper, task by task."""
    pairs = list(_paper_pairs(rows, paper))
    found = corrected([pair.ours for pair in pairs])
    return [replace(pair, ours=each) for pair, each in zip(pairs, found, strict=True) if each is not None]


def _paper_pairs(rows: Sequence[StudyRow], paper: PapersFinding) -> Iterator[PaperPair]:
    by_name = {row.name: row for row in rows}
    known = [name for name in paper.scores if name in by_name]
    for first in known:
        for second in known:
            for task, score in paper.scores[first].items():
                margin = score - paper.scores[second].get(task, score)
                column = next((found for found in by_name[first].scores if found.rpartition(", ")[0] == task), None)
                if margin <= 0 or column is None:
                    continue
                found = difference(by_name[first], by_name[second], column)
                if found is not None:
                    yield PaperPair(column, first, second, margin, found)


def pair_table(pairs: Sequence[PaperPair]) -> TextTable:
    """How far apart the rows of each pair are in the paper and here, in points."""
    marks = len(pairs_of([pair.ours for pair in pairs])) > 1
    lines = [
        [
            *(pair.task, f"{pair.better} over {pair.worse}", f"{pair.papers:+.1f}"),
            *(in_words(pair.ours, marks_finetunings=marks), pair.verdict),
        ]
        for pair in pairs
    ]
    return TextTable(["task", "pair", "paper", "here", ""], lines, names=2)


def spread(values: Sequence[float], scale: float = 100) -> str:
    """Mean and, of several, standard deviation."""
    scaled = [scale * value for value in values]
    mean = f"{statistics.fmean(scaled):.1f}"
    return mean if len(scaled) == 1 else f"{mean} ± {statistics.stdev(scaled):.1f}"

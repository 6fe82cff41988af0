"""The page of a study: what was compared, at what cost, what won and by how much, what the paper found."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bertsmith.core.page import Markup, commands, figures, heading, page, paragraph, picture, table, text, verdict
from bertsmith.core.plots import ComparedCurve, compared_curves
from bertsmith.study.cell import Cell
from bertsmith.study.significance import CLEAR
from bertsmith.study.study_file import Study
from bertsmith.study.study_tables import (
    StudyRow,
    TextTable,
    cost_table,
    difference,
    difference_table,
    pair_table,
    paper_pairs,
    score_table,
    spread,
    study_rows,
)

REPORT = "report.html"


def write_study_report(
    target: Path, name: str, study: Study, cells: Mapping[str, Sequence[Cell]], missing: int, command: Sequence[str]
) -> None:
    """Write the page of what is finished.

    missing  cells that are not done yet
    command  what made the page
    """
    rows = study_rows(study, cells)
    subtitle = f"Study {name}: {sum(map(len, cells.values()))} cells" + (f", {missing} to come" if missing else "")
    content: list[Markup] = []
    if rows and rows[0].scores:
        content += _scores(rows)
    content += _cost(rows)
    content += _curves(rows)
    if study.paper is not None and rows:
        content += _paper(study, rows)
    content += [heading("The command"), commands(shlex.join(command))]
    footer = "bertsmith compare. Every number is of a run on this machine; the cells beside this page hold them all."
    partial = target.with_suffix(".partial")
    partial.write_text(page(study.question, subtitle, content, footer), encoding="utf-8")
    partial.replace(target)


def _scores(rows: Sequence[StudyRow]) -> list[Markup]:
    reference = rows[0]
    content = [_verdict(rows), heading("Scores"), _shown(score_table(rows))]
    runs = len(next(iter(reference.scores.values())))
    collapsed = sum(row.collapsed for row in rows)
    content.append(
        paragraph(
            f"Dev scores in points, mean and standard deviation over {runs} runs; the best of a column is bold. "
            "Perplexity is that of the held-out text, to be compared only between networks that tell the same thing. "
            + (f"{collapsed} runs learnt nothing; they count like any other." if collapsed else "No run collapsed."),
            "note",
        )
    )
    if len(rows) > 1:
        content += [
            heading(f"Against {reference.name}"),
            _shown(difference_table(rows, reference)),
            paragraph(
                f"Differences in points, and p of a paired t-test over {_tested(rows)}: how often chance alone would "
                f"put two equal ways so far apart. Under {CLEAR:g} we call it clear.",
                "note",
            ),
        ]
    return content


def _tested(rows: Sequence[StudyRow]) -> str:
    """In words, what the pairs are."""
    if max(len({cell.seed for cell in row.cells}) for row in rows) > 1:
        return "the seeds of pre-training, each the mean of its fine-tunings"
    return (
        "the fine-tunings of one pre-trained network each, with the same seeds on both sides; it says nothing of other "
        "seeds of pre-training"
    )


def _verdict(rows: Sequence[StudyRow]) -> Markup:
    """Who is best on how many tasks, and whether that is clear."""
    tasks = list(rows[0].scores)
    wins: Counter[str] = Counter()
    clear = 0
    for task in tasks:
        scored = [row for row in rows if task in row.scores]
        first, *others = sorted(scored, key=lambda row: -sum(row.scores[task]) / len(row.scores[task]))
        wins[first.name] += 1
        found = difference(first, others[0], task) if others else None
        clear += found is not None and found.is_clear
    best, count = wins.most_common(1)[0]
    rest = ", ".join(f"{name} on {number}" for name, number in wins.most_common()[1:])
    explanation = (
        f"It has the highest mean on {count} of {len(tasks)} tasks{f'; {rest}' if rest else ''}. "
        f"On {clear} of {len(tasks)} the best is clearly ahead of the second."
    )
    return verdict(f"Best: {best}", f" {explanation}", good=clear > 0)


def _cost(rows: Sequence[StudyRow]) -> list[Markup]:
    trained = [cell for row in rows for cell in row.cells if cell.curve]
    if not trained:
        return []
    minutes, work = [cell.curve[-1].minutes for cell in trained], [cell.flops / 1e12 for cell in trained]
    return [
        heading("What it cost"),
        figures([(spread(minutes, 1), "minutes of pre-training"), (spread(work, 1), "TFLOP in matrix products")]),
        _shown(cost_table(rows)),
    ]


def _curves(rows: Sequence[StudyRow]) -> list[Markup]:
    cells = {cell.variant: cell for row in rows for cell in row.cells if cell.curve}
    content: list[Markup] = []
    losses = [
        ComparedCurve(name, [(scores.minutes, scores.token_loss) for scores in cell.curve])
        for name, cell in cells.items()
    ]
    if losses:
        drawing = compared_curves(losses, x_label="minutes", y_label="held-out loss (nats)")
        content += [heading("While they learn"), picture(drawing.svg(), "Loss on held-out text over the clock")]
    tasks = list(dict.fromkeys(task for cell in cells.values() for step in cell.on_the_way.values() for task in step))
    for task in tasks:
        on_task = [ComparedCurve(name, _task_curve(cell, task)) for name, cell in cells.items()]
        drawing = compared_curves(on_task, x_label="pre-training steps", y_label=f"{task} (points)")
        content.append(picture(drawing.svg(), f"Dev score on {task} after so many steps of pre-training"))
    return content


def _task_curve(cell: Cell, task: str) -> list[tuple[float, float]]:
    """Mean score over steps: of the states on the way, and of the end."""
    states = [*cell.on_the_way.items(), (cell.curve[-1].step, cell.tasks)]
    scored = [(step, next(iter(outcomes[task].scores.values()))) for step, outcomes in states]
    return [(step, 100 * sum(scores) / len(scores)) for step, scores in scored]


def _paper(study: Study, rows: Sequence[StudyRow]) -> list[Markup]:
    assert study.paper is not None
    content = [heading(f"What the paper found ({study.paper.table})"), paragraph(study.paper.found)]
    pairs = list(paper_pairs(rows, study.paper))
    if pairs:
        counted = Counter(pair.verdict for pair in pairs)
        content += [
            paragraph(
                f"Of {len(pairs)} pairs that the paper puts in an order, "
                + ", ".join(f"{count} are {said}" for said, count in counted.most_common())
                + " here."
            ),
            _shown(pair_table(pairs)),
        ]
    return content


def _shown(shown: TextTable) -> Markup:
    """A table of text for the page; **bold** becomes bold."""
    rows = [[_bold(cell) for cell in row] for row in shown.rows]
    return table(shown.header, rows, numbers=range(shown.names, len(shown.header)))


def _bold(cell: str) -> Markup:
    if cell.startswith("**") and cell.endswith("**"):
        return Markup(f"<b>{text(cell.strip('*')).html}</b>")
    return text(cell)

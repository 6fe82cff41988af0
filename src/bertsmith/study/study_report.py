"""The page of a study: what was compared, at what cost, what won and by how much, what the paper found."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from bertsmith.core.page import Markup, commands, figures, heading, page, paragraph, picture, table, text, verdict
from bertsmith.core.plots import ComparedCurve, compared_curves
from bertsmith.study.cell import Cell
from bertsmith.study.significance import CLEAR, PairedDifference, corrected
from bertsmith.study.study_file import Study
from bertsmith.study.study_subject import subject, tells_next_words
from bertsmith.study.study_tables import (
    StudyRow,
    TextTable,
    cost_table,
    difference,
    difference_table,
    differences,
    leaders,
    pair_table,
    pairs_of,
    paper_pairs,
    score_table,
    spread,
    study_rows,
)

REPORT = "report.html"


def write_study_report(
    target: Path,
    name: str,
    study: Study,
    cells: Mapping[str, Sequence[Cell]],
    missing: int,
    text: Mapping[str, str],
    command: Sequence[str],
) -> None:
    """Write the page of what is finished.

    missing  cells that are not done yet
    text     what every network read, name and words
    command  what made the page
    """
    rows = study_rows(study, cells)
    finished = [cell for some in cells.values() for cell in some]
    subtitle = f"Study {name}: {len(finished)} cells" + (f", {missing} to come" if missing else "")
    content: list[Markup] = []
    if rows and rows[0].scores:
        content += _scores(rows)
    if finished:
        content += [heading("What was compared"), table(["", ""], list(subject(finished, text)))]
    content += _cost(rows)
    content += _curves(rows)
    if study.paper is not None and rows:
        content += _paper(study, rows)
    content += [heading("The command"), commands(shlex.join(command))]
    footer = "bertsmith compare. The cells beside this page hold every number; they may come from several machines."
    partial = target.with_suffix(".partial")
    partial.write_text(page(study.question, subtitle, content, footer), encoding="utf-8")
    partial.replace(target)


def _scores(rows: Sequence[StudyRow]) -> list[Markup]:
    reference = rows[0]
    content = [_verdict(rows)] if len(rows) > 1 else []
    runs = len(next(iter(reference.scores.values())))
    collapsed = sum(row.collapsed for row in rows)
    content += [
        heading("Scores"),
        _shown(score_table(rows)),
        paragraph(
            f"Dev scores in points, mean and standard deviation over {runs} runs; the best of a column is bold. "
            "Perplexity is that of the held-out text, to be compared only between networks that tell the same thing. "
            + (f"{collapsed} runs learnt nothing; they count like any other." if collapsed else "No run collapsed."),
            "note",
        ),
    ]
    if len(rows) > 1:
        found = list(differences(rows, reference).values())
        content += [
            heading(f"Against {reference.name}"),
            _shown(difference_table(rows, reference)),
            paragraph(f"Differences in points. {_tested(found)}", "note"),
        ]
    return content


def _tested(found: Sequence[PairedDifference | None]) -> str:
    """What the p of a table is, and what it is not."""
    pairs = pairs_of(found)
    if not pairs:
        return "There is no p: no two rows have several runs in common."
    over = f"the {pairs[0].value}" + "".join(f"; p with an f: over the {each.value}" for each in pairs[1:])
    count = sum(each is not None and each.p is not None for each in found)
    return (
        f"p is that of a paired t-test over {over}. It is corrected for the number of comparisons, here {count} (Holm "
        f"1979): if no two rows differed, at most one such table in {1 / CLEAR:.0f} would hold a p under {CLEAR:g}. "
        f"Under that we call a difference clear."
    )


def _verdict(rows: Sequence[StudyRow]) -> Markup:
    """Who leads on most tasks, if one row does; green if it would by its clear leads alone."""
    tasks = list(dict.fromkeys(task for row in rows for task in row.scores))
    ahead = {task: found[0] for task in tasks if len(found := leaders(rows, task)) == 1}
    leads = Counter(row.name for row in ahead.values())
    tested = corrected([_over_second(rows, row, task) for task, row in ahead.items()])
    clear = Counter(row.name for row, found in zip(ahead.values(), tested, strict=True) if found and found.is_clear)
    counts = ", ".join(f"{name} on {number}" for name, number in leads.most_common())
    level = f"; {len(tasks) - len(ahead)} with two rows level at the top" if len(ahead) < len(tasks) else ""
    explanation = f"Of {len(tasks)} tasks the highest mean has: {counts or 'no single row'}{level}. "
    most = max(leads.values(), default=0)
    best, *others = [name for name in leads if leads[name] == most] or [""]
    over = f" (p over the {' or the '.join(pairs.value for pairs in pairs_of(tested))})" if pairs_of(tested) else ""
    if not best or others:
        return verdict("No row is best", f" {explanation}{clear.total()} of these leads are clear{over}.", good=False)
    rival = max((number for name, number in leads.items() if name != best), default=0)
    explanation += f"The lead of {best} over the second is clear on {clear[best]} of its {most}{over}."
    is_clear = clear[best] > rival
    return verdict(f"{'Best' if is_clear else 'Ahead, not clearly'}: {best}", f" {explanation}", good=is_clear)


def _over_second(rows: Sequence[StudyRow], first: StudyRow, task: str) -> PairedDifference | None:
    """How far a leader is from the next row; None if nobody else has learnt the task."""
    others = leaders([row for row in rows if row is not first], task)
    return difference(first, others[0], task) if others else None


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
    """Of one seed of each variant, the first that is done."""
    cells: dict[str, Cell] = {}
    for row in rows:
        cells |= {cell.variant: cell for cell in row.cells[:1] if cell.curve}
    seeds = "seed " + " or ".join(str(seed) for seed in sorted({cell.seed for cell in cells.values()}))
    next_words = [name for name, cell in cells.items() if tells_next_words(cell)]
    content: list[Markup] = []
    losses = [
        ComparedCurve(name, [(scores.minutes, scores.token_loss) for scores in cell.curve])
        for name, cell in cells.items()
    ]
    if losses:
        drawing = compared_curves(losses, x_label="minutes", y_label="held-out loss (nats)")
        caption = f"Loss on held-out text over the clock, one pre-training each ({seeds})."
        if 0 < len(next_words) < len(cells):
            caption += f" That of {', '.join(next_words)} is of the next word, that of the others of hidden words."
        content += [heading("While they learn"), picture(drawing.svg(), caption)]
    tasks = list(dict.fromkeys(task for cell in cells.values() for step in cell.on_the_way.values() for task in step))
    for task in tasks:
        on_task = [ComparedCurve(name, _task_curve(cell, task)) for name, cell in cells.items()]
        drawing = compared_curves(on_task, x_label="pre-training steps", y_label=f"{task} (points)")
        caption = f"Dev score on {task} after so many steps of pre-training, one pre-training each ({seeds})."
        content.append(picture(drawing.svg(), caption))
    return content


def _task_curve(cell: Cell, task: str) -> list[tuple[float, float]]:
    """Mean score over steps: of the states on the way, and of the end."""
    states = [*cell.on_the_way.items(), (cell.curve[-1].step, cell.tasks)]
    scored = [(step, next(iter(outcomes[task].scores.values()))) for step, outcomes in states]
    return [(step, 100 * sum(scores) / len(scores)) for step, scores in scored]


def _paper(study: Study, rows: Sequence[StudyRow]) -> list[Markup]:
    assert study.paper is not None
    content = [heading(f"What the paper found ({study.paper.table})"), paragraph(study.paper.found)]
    pairs = paper_pairs(rows, study.paper)
    if pairs:
        counted = Counter(pair.verdict for pair in pairs)
        content += [
            paragraph(
                f"Of {len(pairs)} pairs that the paper puts in an order, "
                + ", ".join(f"{count} are {said}" for said, count in counted.most_common())
                + " here."
            ),
            _shown(pair_table(pairs)),
            paragraph(_tested([pair.ours for pair in pairs]), "note"),
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

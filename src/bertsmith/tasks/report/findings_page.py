"""Findings as elements of a page: tables, a heat map, pictures, the worst mistakes."""

from collections.abc import Iterator

from bertsmith.core import page
from bertsmith.tasks.findings import Calibration, Confusion, Figure, Findings, GroupTable, Mistake, WorstMistakes
from bertsmith.tasks.report.drawings import MOST_POINTS, against_gold, reliability
from bertsmith.tasks.report.heat_map import heat_map, shortened

_MOST_ROWS = 24  # of a table that is open when the page is
_LONGEST_TEXT = 400  # characters of a mistake's text
_LONGEST_NAME = 48  # of a group
_SURE = 0.02  # confidence and share of right answers are told apart from here on


def findings_elements(findings: Findings) -> Iterator[page.Markup]:
    """The figures of all, and the sections in the order in which one wants to read them."""
    yield page.figures(list(_figures(findings)))
    if findings.confusion is not None:
        yield from _confusion(findings.confusion)
    if findings.comparison is not None:
        yield page.heading("Predicted and right scores")
        left_out = (
            f" Only some of the {findings.num_examples:,} are drawn." if findings.num_examples > MOST_POINTS else ""
        )
        caption = f"A dot is an example; on the dashed line the prediction is right.{left_out}"
        yield page.picture(against_gold(findings.comparison).svg(), caption)
    for group_table in findings.groups:
        yield from _group_table(group_table)
    if findings.calibration is not None:
        yield from _calibration(findings.calibration)
    yield from _mistakes(findings.mistakes, findings.num_examples)


def figure(value: Figure) -> str:
    """A count with commas, a score with three digits, nothing for None."""
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def _figures(findings: Findings) -> Iterator[tuple[str, str]]:
    if findings.comparison is not None:
        yield f"{findings.comparison.mean_error:.3f}", "mean difference from the right score"
    else:
        yield f"{findings.mistakes.total:,}", f"of {findings.num_examples:,} examples {findings.mistakes.what}"
    if findings.calibration is not None:
        yield f"{findings.calibration.error:.3f}", "calibration error: how far its confidence is off"


def _confusion(confusion: Confusion) -> Iterator[page.Markup]:
    yield page.heading("What is taken for what")
    most = _most_frequent(confusion)
    if most is not None:
        count, gold, predicted = most
        times = "once" if count == 1 else f"{count:,} times"
        yield page.paragraph(f"Most often “{gold}” is taken for “{predicted}”: {times}.")
    yield heat_map(confusion)
    note = "A row is a right label, a column a predicted one; the stronger a cell, the larger its share of its row."
    if confusion.num_others:
        note += (
            f" Of {len(confusion.labels) - 1 + confusion.num_others} labels those are shown that are taken for one "
            f"another most often. The rest stands together; where it meets itself, mistakes among it are counted too."
        )
    yield page.paragraph(note, "note")


def _most_frequent(confusion: Confusion) -> tuple[int, str, str] | None:
    """The most frequent mistake between two labels that are shown: how often, the right one, the predicted one."""
    shown = len(confusion.labels) - bool(confusion.num_others)
    mistakes = [
        (confusion.counts[gold][predicted], -gold, -predicted)
        for gold in range(shown)
        for predicted in range(shown)
        if gold != predicted and confusion.counts[gold][predicted]
    ]
    if not mistakes:
        return None
    count, gold, predicted = max(mistakes)
    return count, confusion.labels[-gold], confusion.labels[-predicted]


def _group_table(group_table: GroupTable) -> Iterator[page.Markup]:
    yield page.heading(group_table.title)
    rows = [(shortened(name, _LONGEST_NAME), *(figure(value) for value in values)) for name, values in group_table.rows]
    table = page.table(group_table.columns, rows, numbers=range(1, len(group_table.columns)))
    if len(rows) > _MOST_ROWS:
        table = page.Markup(f"<details><summary>All {len(rows):,}</summary>{table.html}</details>")
    yield table
    if group_table.note:
        yield page.paragraph(group_table.note, "note")


def _calibration(calibration: Calibration) -> Iterator[page.Markup]:
    total = sum(bin_.count for bin_ in calibration.bins)
    sure = sum(bin_.count * bin_.confidence for bin_ in calibration.bins) / total
    right = sum(bin_.count * bin_.share_right for bin_ in calibration.bins) / total
    if abs(sure - right) < _SURE:
        sense = "On the whole it is as sure as it should be"
    else:
        sense = "On the whole it is surer than it should be" if sure > right else "It is less sure than it could be"
    yield page.heading("Can its confidence be believed?")
    yield page.paragraph(
        f"{sense}: its {calibration.of} have a confidence of {sure:.1%} on average, and {right:.1%} of them are right. "
        f"The calibration error, {calibration.error:.3f}, is the mean distance from the dashed line."
    )
    caption = "A dot is for those of like confidence. On the dashed line as many are right as it says."
    yield page.picture(reliability(calibration).svg(), caption)
    rows = [
        (
            f"{bin_.lowest:.0%} to {bin_.highest:.0%}",
            f"{bin_.count:,}",
            f"{bin_.confidence:.1%}",
            f"{bin_.share_right:.1%}",
        )
        for bin_ in calibration.bins
    ]
    yield page.table(["confidence", "how many", "mean", "right"], rows, numbers=(1, 2, 3))


def _mistakes(mistakes: WorstMistakes, num_examples: int) -> Iterator[page.Markup]:
    yield page.heading("The worst mistakes")
    if not mistakes.shown:
        yield page.paragraph(f"None of the {num_examples:,} examples {mistakes.what}.")
        return
    yield page.paragraph(
        f"The largest {mistakes.measure} first. It is worth a look whether the file is right about each of them."
    )
    header = ["text", "right", "predicted", mistakes.measure]
    yield page.table(header, [_mistake(mistake) for mistake in mistakes.shown], numbers=(3,))


def _mistake(mistake: Mistake) -> tuple[str | page.Markup, ...]:
    texts = [page.text(shortened(text, _LONGEST_TEXT)).html for text in mistake.texts]
    place = f'<div class="note">{page.text(mistake.place).html}</div>'
    return (
        page.Markup(place + "".join(f'<div style="margin-bottom:.3rem">{text}</div>' for text in texts)),
        shortened(mistake.gold, _LONGEST_TEXT),
        shortened(mistake.predicted, _LONGEST_TEXT),
        figure(mistake.size),
    )

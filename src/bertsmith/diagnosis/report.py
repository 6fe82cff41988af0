"""The diagnosis as a folder: a page to read, pictures, and JSON for machines."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from bertsmith.core import page, plots
from bertsmith.core.artefact import stage_artefact
from bertsmith.diagnosis.diagnosis import Diagnosis, LossCurves
from bertsmith.diagnosis.finding import Finding, Level

KIND = "diagnosis"
PAGE, FINDINGS, LOSS, ATTENTION = "report.html", "diagnosis.json", "loss.png", "attention.png"


def write_report(
    diagnosis: Diagnosis, target: Path, configuration: Mapping[str, Any], made_from: Mapping[str, str]
) -> None:
    """Write the folder. Raises ArtefactExists if there is something in it."""
    with stage_artefact(
        target, kind=KIND, command="doctor", configuration=configuration, made_from=made_from
    ) as staging:
        (staging.folder / PAGE).write_text(render(diagnosis), encoding="utf-8")
        (staging.folder / FINDINGS).write_bytes(to_json(diagnosis, indent=2, inf_nan_mode="null") + b"\n")
        if diagnosis.losses is not None:
            draw_losses(diagnosis.losses).save_png(staging.folder / LOSS)
        if diagnosis.attention is not None:
            draw_attention(diagnosis.attention).save_png(staging.folder / ATTENTION)
        staging.facts |= {level.value: diagnosis.count(level) for level in Level}


def render(diagnosis: Diagnosis) -> str:
    """The page."""
    good = not diagnosis.count(Level.WARNING)
    elements = [page.verdict(diagnosis.verdict, "The worst comes first.", good=good)]
    if diagnosis.losses is not None:
        caption = "Loss on hidden words, lower is better. Dashed: what counting words and pairs of words gives."
        elements += [page.heading("The loss"), page.picture(draw_losses(diagnosis.losses).svg(), caption)]
    if diagnosis.attention is not None:
        caption = (
            "Where the heads look: a cell is a head of a layer, the stronger its colour, the larger the share of its "
            "attention that goes there."
        )
        elements += [page.heading("Attention"), page.picture(draw_attention(diagnosis.attention).svg(), caption)]
    for finding in diagnosis.findings:
        elements += _section(finding)
    return page.page("What the doctor says", diagnosis.examined, elements, footer="Made by bertsmith doctor.")


def draw_losses(losses: LossCurves) -> plots.Drawing:
    """Training and held-out loss, and the levels that counting reaches."""
    lines = [
        plots.Curve(name, points, faint=faint)
        for name, points, faint in (
            ("training batches", losses.training, True),
            ("held-out text", losses.held_out, False),
        )
        if points
    ]
    return plots.curves(lines, x_label="step", y_label="loss on hidden words (nats)", floors=losses.levels)


def draw_attention(attention: Mapping[str, Sequence[Sequence[float]]]) -> plots.Drawing:
    """A map of layers by heads for each place that is looked at."""
    return plots.shades(attention, x_label="head", y_label="layer")


def _section(finding: Finding) -> Iterator[page.Markup]:
    headline = {Level.GOOD: "As it should be.", Level.NOTE: "Worth knowing.", Level.WARNING: "Warning."}[finding.level]
    yield page.heading(f"{finding.about[0].upper()}{finding.about[1:]}")
    yield page.verdict(headline, finding.meaning, good=finding.level is Level.GOOD)
    yield page.paragraph(finding.measured)
    for label, text in (("Likely cause: ", finding.cause), ("What to do: ", finding.remedy)):
        if text:
            yield page.paragraph(page.emphasised("", label, text))
    if finding.rows is not None:
        numbers = range(1, len(finding.rows.header)) if finding.rows.header[0] != "times" else (0,)
        yield page.table(finding.rows.header, finding.rows.rows, numbers=numbers)

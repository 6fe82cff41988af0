"""A diagnosis: all findings about a run or a store, and what is drawn of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bertsmith.diagnosis.finding import Finding, Level, Rows

_COLOURS = {Level.GOOD: "green", Level.NOTE: "cyan", Level.WARNING: "bold yellow"}
_SHOWN_ROWS = 8


@dataclass(frozen=True)
class LossCurves:
    """Masked-LM losses in nats by step, and the levels to compare them with."""

    training: Sequence[tuple[float, float]]
    held_out: Sequence[tuple[float, float]]
    levels: Mapping[str, float]


@dataclass(frozen=True)
class Diagnosis:
    """What was found, the worst first.

    examined   one line that says what was looked at
    losses     of a run that has recorded any
    attention  place that is looked at -> share of it by layer and head; of a run
    """

    examined: str
    findings: Sequence[Finding]
    losses: LossCurves | None = None
    attention: Mapping[str, Sequence[Sequence[float]]] | None = None

    def count(self, level: Level) -> int:
        """How many findings have a level."""
        return sum(finding.level is level for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The diagnosis in one line."""
        warnings, notes = self.count(Level.WARNING), self.count(Level.NOTE)
        if not warnings and not notes:
            return f"Nothing amiss in {self.count(Level.GOOD)} examinations."
        counts = " and ".join(filter(None, [_counted(warnings, "warning"), _counted(notes, "note")]))
        return f"{counts}; {self.count(Level.GOOD)} examinations found nothing amiss."

    def __rich__(self) -> RenderableType:
        """What a terminal shows."""
        return Group(Text(self.examined), Text(self.verdict, style="bold"), *map(_shown, self.findings))


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Warnings, then notes, then the rest, each in the order in which they came."""
    order = [Level.WARNING, Level.NOTE, Level.GOOD]
    return sorted(findings, key=lambda finding: order.index(finding.level))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else ""


def _shown(finding: Finding) -> RenderableType:
    colour = _COLOURS[finding.level]
    table = Table.grid(padding=(0, 2))
    table.add_column(width=7)
    table.add_column(ratio=1)
    table.add_row("", "")
    table.add_row(Text(finding.level.value, style=colour), Text(finding.about, style="bold"))
    for label, text in (
        ("", finding.measured),
        ("", finding.meaning),
        ("cause", finding.cause),
        ("remedy", finding.remedy),
    ):
        if text:
            table.add_row(Text(label, style="dim"), Text(text))
    if finding.rows is not None and finding.level is not Level.GOOD:
        table.add_row("", _shown_rows(finding.rows))
    return table


def _shown_rows(rows: Rows) -> RenderableType:
    table = Table(*rows.header, box=None, padding=(0, 2, 0, 0), header_style="dim")
    for row in rows.rows[:_SHOWN_ROWS]:
        table.add_row(*map(Text, row))
    if len(rows.rows) > _SHOWN_ROWS:
        table.add_row(Text(f"and {len(rows.rows) - _SHOWN_ROWS} more: see the report of --out", style="dim"))
    return table

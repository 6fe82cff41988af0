"""A finding: what was measured, what it means, and where it is not good, the likely cause and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Level(StrEnum):
    """How much a finding asks of the reader."""

    GOOD = "good"  # as it should be
    NOTE = "note"  # worth knowing; nothing has to be done
    WARNING = "warning"  # likely to spoil the result


@dataclass(frozen=True)
class Rows:
    """A small table that belongs to a finding."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Finding:
    """One thing that the doctor looked at. `cause` and `remedy` are empty where nothing has to be done.

    values  the numbers behind `measured`, by name, for machines
    """

    about: str
    level: Level
    measured: str
    meaning: str
    cause: str = ""
    remedy: str = ""
    values: Mapping[str, float | None] = field(default_factory=dict)
    rows: Rows | None = None


def graded(value: float, *, note_above: float, warning_above: float) -> Level:
    """The level of a number that should be small."""
    if value > warning_above:
        return Level.WARNING
    return Level.NOTE if value > note_above else Level.GOOD

"""Where a row of a table holds what."""

from dataclasses import dataclass, replace
from typing import Self

from bertsmith.core.errors import ConfigurationError
from bertsmith.tasks.columns import ColumnSettings
from bertsmith.tasks.tables import Column


@dataclass(frozen=True)
class Columns:
    """Names; or places (from 0), which say that the file has no header."""

    text: Column
    text_pair: Column | None = None
    label: Column | None = None

    @property
    def have_names(self) -> bool:
        """Whether the first line of a tsv or csv file names the columns."""
        return isinstance(self.text, str)

    def changed_by(self, settings: ColumnSettings) -> Self:
        """The same columns, with those that are given in their places."""
        given = {name: value for name, value in settings.model_dump().items() if value is not None}
        if not given or self.have_names:
            return replace(self, **given)
        if settings.text is None:
            raise ConfigurationError("This task's files name no columns, so --text must be given with the others.")
        return type(self)(settings.text, settings.text_pair, settings.label or "label")

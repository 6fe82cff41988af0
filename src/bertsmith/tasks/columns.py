"""Where a file of one's own holds what, as a person says it with flags."""

from pydantic import Field

from bertsmith.core.configuration import Settings


class ColumnSettings(Settings):
    """Names in the first line of a csv or tsv, or keys of a jsonl; for tags, places (from 0; -1 is the last)."""

    text: str | None = Field(None, description="column of the text; default: the task's, or 'text'")
    text_pair: str | None = Field(None, description="column of the second text, where an example is a pair")
    label: str | None = Field(None, description="column of the label or score; default: the task's, or 'label'")

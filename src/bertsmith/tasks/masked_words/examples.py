"""Files -> examples: rows of a table as for sentences, whose texts have a [MASK] where the template has none."""

from pathlib import Path

from bertsmith.core.errors import InputError
from bertsmith.tasks.masked_words.template import Template
from bertsmith.tasks.sentences.columns import Columns
from bertsmith.tasks.sentences.examples import LabelParser, SentenceExample, read_examples
from bertsmith.tasks.tables import BadRows, OnError
from bertsmith.tasks.task import Examples


def read_masked(
    path: Path, columns: Columns, template: Template, parse_label: LabelParser | None, on_error: OnError
) -> Examples[SentenceExample]:
    """All examples of a file. Without `parse_label` they have no labels.

    raises  InputError naming file, line and reason for a row that is not an example (on_error "strict"), for a missing
            column, and for a file without a single example
    """
    examples = read_examples(path, columns, parse_label, on_error)
    bad_rows = BadRows(str(path), on_error)
    rows = []
    for example in examples.rows:
        try:
            template.require_mask(example.text)
        except ValueError as error:
            bad_rows.add(example.line, str(error))
        else:
            rows.append(example)
    bad_rows.print_summary()
    if not rows:
        raise InputError(f"{path} holds no text with one [MASK]. Give such texts, or a template that has it.")
    return Examples(path, rows, sorted([*examples.skipped, *bad_rows.skipped]))

"""The files of predictions that the official evaluation of a task reads: a folder that appears whole or not at all.

Most of these files name an example by its place, so no row of the input may be missing.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertsmith.tasks.tables import OnError
from bertsmith.tasks.task import Task


def require_every_row(official: Path | None, on_error: OnError) -> None:
    """Raise ValueError where official files are asked for and rows may be skipped."""
    if official is not None and on_error == "skip":
        raise ValueError(
            "the official evaluation needs an answer for every row, and on_error = skip leaves rows out: the answers "
            "after a skipped one would stand at wrong places. Mend the rows, or leave official out"
        )


def write_official_files(
    folder: Path, task: Task[Any, Any], predictions: Sequence[Any], examples: Sequence[Any]
) -> None:
    """Write them into `folder`, which must not be there yet (`require_free` says so before work is done)."""
    folder = folder.resolve()  # "." has a name then
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    partial.mkdir(parents=True)
    task.write_predictions(partial, predictions, examples)
    partial.rename(folder)

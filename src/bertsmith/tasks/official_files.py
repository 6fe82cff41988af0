"""The files of predictions that the official evaluation of a task reads: a folder that appears whole or not at all."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertsmith.tasks.task import Task


def write_official_files(
    folder: Path, task: Task[Any, Any], predictions: Sequence[Any], examples: Sequence[Any]
) -> None:
    """Write them into `folder`, which must not be there yet (`require_free` says so before work is done)."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a killed run
    partial.mkdir(parents=True)
    task.write_predictions(partial, predictions, examples)
    partial.rename(folder)

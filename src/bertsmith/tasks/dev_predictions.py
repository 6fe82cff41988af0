"""What the kept model of a fine-tuning predicts for dev, as JSON lines with the right answer in each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertsmith.tasks.task import Task


def write_predictions(path: Path, task: Task[Any, Any], predictions: Sequence[Any], examples: Sequence[Any]) -> None:
    """One line for each example: what `predict` says of it, and "gold"."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:  # half a surrogate pair is no UTF-8
        for example, prediction in zip(examples, predictions, strict=True):
            line = task.entry(example, prediction) | {"gold": task.gold(example)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

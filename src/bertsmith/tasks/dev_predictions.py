"""What the kept model of a fine-tuning predicts for dev, as JSON lines with the right answer in each."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bertsmith.model.bert_for_tasks import TaskNetwork
from bertsmith.tasks.seed_run import EncodedPart
from bertsmith.tasks.task import Task
from bertsmith.tasks.task_model import network_outputs

_BATCH = 32  # as after each epoch, so that the scores are those of results.json to the last digit


def predict_part(network: TaskNetwork, task: Task[Any, Any], part: EncodedPart) -> list[Any]:
    """A prediction for each example."""
    outputs = network_outputs(network, part.encoded, _BATCH)
    return task.predictions(outputs, part.encoded, part.examples.rows)


def write_predictions(path: Path, task: Task[Any, Any], predictions: Sequence[Any], examples: Sequence[Any]) -> None:
    """One line for each example: what `predict` says of it, and "gold"."""
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:  # half a surrogate pair is no UTF-8
        for example, prediction in zip(examples, predictions, strict=True):
            line = task.entry(example, prediction) | {"gold": task.gold(example)}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

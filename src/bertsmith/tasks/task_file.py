"""`task.json` of a fine-tuned model folder: the task, and how the model reads its inputs."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bertsmith.core.artefact import MANIFEST, verify_artefact
from bertsmith.core.errors import ArtefactError
from bertsmith.tasks.catalogue import KINDS
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.task import Task

TASK_FILE = "task.json"


def save_task(folder: Path, task: Task[Any, Any], limits: InputLimits, **facts: int) -> None:
    """Write `task.json` into a model folder; `facts` (the seed) stand beside the description."""
    content = {"kind": task.kind, "task": asdict(task), "limits": limits.model_dump()} | facts  # type: ignore[call-overload]
    (folder / TASK_FILE).write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load_task(folder: Path) -> tuple[Task[Any, Any], InputLimits]:
    """The task of a fine-tuned model folder, and the limits that it was trained with. Raises ArtefactError."""
    path = folder / TASK_FILE
    if path.is_file() and (folder / MANIFEST).is_file():
        verify_artefact(folder, "model", only=[TASK_FILE])
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = KINDS[content["kind"]]
        task: Task[Any, Any] = TypeAdapter(kind).validate_python(content["task"])
        return task, InputLimits.model_validate(content["limits"])
    except FileNotFoundError:
        raise ArtefactError(
            f"{folder} is not a fine-tuned model: it has no {TASK_FILE}. "
            f"Make one with `bertsmith finetune {folder} ...`."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        raise ArtefactError(
            f"{path} is not a task description of this bertsmith. Restore the folder from a copy."
        ) from None

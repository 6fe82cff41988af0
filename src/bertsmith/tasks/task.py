"""A task of the kind *sentence(s)*: one text or a pair of texts, and one label or one number for it (BERT 4.1).

A task is a description, not code: where the texts and the label stand, what the labels are, how predictions are scored
and in which files the parts lie. The nine tasks of GLUE are rows of a table of such descriptions (`glue.py`); a file of
one's own is described by the names of its columns. Reading, encoding, head, loss, metrics and prediction follow from
it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bertsmith.core.artefact import MANIFEST, verify_artefact
from bertsmith.core.errors import ArtefactError
from bertsmith.tasks.tables import Column

TASK_FILE = "task.json"


@dataclass(frozen=True)
class Columns:
    """Where a row holds what. Names; or places (from 0), which say that the file has no header."""

    text: Column
    text_pair: Column | None = None
    label: Column | None = None

    @property
    def have_names(self) -> bool:
        """Whether the first line of a tsv or csv file names the columns."""
        return isinstance(self.text, str)


@dataclass(frozen=True)
class SentenceTask:
    """Classification (`labels` in the order of the model's outputs) or regression (`labels` is None).

    score_range  the smallest and largest score that a regression label may have, or None for any finite number
    metrics      names from `metrics.METRICS`; the first is the primary one, by which the best run is chosen
    files        part ("train", "dev", "test", ...) -> names that its file may have in the task's folder
    unlabelled   columns of the official test file where they differ from the others'
    """

    name: str
    columns: Columns
    labels: tuple[str, ...] | None
    metrics: tuple[str, ...]
    score_range: tuple[float, float] | None = None
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unlabelled: Columns | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the model gives one number instead of one output for each label."""
        return self.labels is None

    @property
    def is_pair(self) -> bool:
        """Whether an example has two texts."""
        return self.columns.text_pair is not None

    @property
    def input_columns(self) -> Columns:
        """Columns of a file without labels: what `predict` reads."""
        return self.unlabelled or self.columns

    def save(self, folder: Path, **facts: int) -> None:
        """Write `task.json` into a model folder; `facts` (seed, max_seq_length, ...) stand beside the description."""
        content = json.dumps({"task": asdict(self)} | facts, indent=2, sort_keys=True)
        (folder / TASK_FILE).write_text(content + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> tuple["SentenceTask", dict[str, int]]:
        """The description in a fine-tuned model folder, and the facts beside it."""
        path = folder / TASK_FILE
        if path.is_file() and (folder / MANIFEST).is_file():
            verify_artefact(folder, "model", only=[TASK_FILE])
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            entries = content.pop("task")
            entries["columns"] = Columns(**entries["columns"])
            if entries["unlabelled"] is not None:
                entries["unlabelled"] = Columns(**entries["unlabelled"])
            for name in ("labels", "metrics", "score_range"):
                entries[name] = None if entries[name] is None else tuple(entries[name])
            entries["files"] = {part: tuple(names) for part, names in entries["files"].items()}
            return cls(**entries), content
        except FileNotFoundError:
            raise ArtefactError(
                f"{folder} is not a fine-tuned model: it has no {TASK_FILE}. "
                f"Make one with `bertsmith finetune {folder} ...`."
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            raise ArtefactError(
                f"{path} is not a task description of this bertsmith. Restore the folder from a copy."
            ) from None

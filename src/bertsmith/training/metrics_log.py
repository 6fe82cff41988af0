"""`metrics.jsonl`: one JSON object a line, always; TensorBoard beside it when that is installed."""

import importlib.util
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bertsmith.core.errors import DamagedArtefact

METRICS_FILE = "metrics.jsonl"
TENSORBOARD_FOLDER = "tensorboard"


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All records of a run, oldest first. A last line that a kill cut short is left out; any other is an error."""
    path = folder / METRICS_FILE
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise DamagedArtefact(f"{path}, line {number}, is not JSON. Remove the line to go on.") from None
    return records


def with_minutes(records: Iterable[Mapping[str, Any]]) -> Iterator[tuple[float, Mapping[str, Any]]]:
    """Each record with the clock of the run in minutes. Only training records know it; others take the last one's."""
    minutes = 0.0
    for record in records:
        if "train" in record:
            minutes = record["train"]["elapsed_seconds"] / 60
        yield minutes, record


class MetricsLog:
    """Appends records to a run's `metrics.jsonl`, each with its "step", flushed line by line."""

    def __init__(self, folder: Path, *, keep_until_step: int):
        """Open for appending. Records after `keep_until_step` are dropped: a resumed run writes those steps again."""
        kept = [record for record in read_metrics(folder) if record["step"] <= keep_until_step]
        path = folder / METRICS_FILE
        rewritten = path.with_suffix(".jsonl.partial")
        rewritten.write_text("".join(_line(record) for record in kept), encoding="utf-8")
        rewritten.replace(path)
        self._file = path.open("a", encoding="utf-8")
        self._tensorboard = _open_tensorboard(folder / TENSORBOARD_FOLDER, keep_until_step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        if self._tensorboard is not None:
            self._tensorboard.close()

    def write(self, step: int, group: str, values: Mapping[str, float]) -> None:
        """Add one record: {"step": ..., group: {name: value}}. docs/formats.md lists the groups."""
        self._file.write(_line({"step": step, group: dict(values)}))
        self._file.flush()
        if self._tensorboard is not None:
            for name, value in values.items():
                self._tensorboard.add_scalar(f"{group}/{name}", value, step)


def _line(record: Mapping[str, Any]) -> str:
    return json.dumps(record) + "\n"


def _open_tensorboard(folder: Path, purge_after_step: int) -> Any:  # noqa: ANN401 - an optional library's class
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional, and slow to import

    return SummaryWriter(str(folder), purge_step=purge_after_step + 1)

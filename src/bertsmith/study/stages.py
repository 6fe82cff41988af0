"""The stages of a chain of verbs, timed and told on the screen as they pass."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from bertsmith.core.console import console
from bertsmith.study.report import Stage


class StageLog:
    """Prints the name of each stage when it starts and what it made when it ends, and keeps both with the seconds.

    file  JSON with the seconds of each stage: those of a chain that is stopped and goes on are added up
    """

    def __init__(self, file: Path, total: int):
        self.stages: list[Stage] = []
        self._file = file
        self._total = total
        self._seconds: dict[str, float] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    @property
    def seconds(self) -> float:
        """Of all stages until now."""
        return sum(self._seconds.values())

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a stage. Call what is yielded with one line that says what was made."""
        title = Text(f"{len(self.stages) + 1}/{self._total}  {name}", style="bold")
        console.rule(title, align="left", style="dim")
        started = time.monotonic()
        made: list[str] = []
        try:
            yield made.append
        finally:
            self._add(name, time.monotonic() - started)
        stage = Stage(name, " ".join(made), self._seconds[name])
        self.stages.append(stage)
        console.print(f"{stage.made} [{stage.seconds:.0f} s]", style="green", markup=False, soft_wrap=True)

    def _add(self, name: str, seconds: float) -> None:
        self._seconds[name] = self._seconds.get(name, 0.0) + seconds
        partial = self._file.with_name(f".{self._file.name}.partial")
        partial.write_text(json.dumps(self._seconds, indent=2) + "\n", encoding="utf-8")
        partial.replace(self._file)

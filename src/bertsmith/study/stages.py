"""The stages of a chain of verbs, timed and told on the screen as they pass."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.text import Text

from bertsmith.core.console import console
from bertsmith.study.report import Stage


class StageLog:
    """Prints the name of each stage when it starts and what it made when it ends, and keeps both with the seconds."""

    def __init__(self, total: int):
        self.stages: list[Stage] = []
        self._total = total
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the log was made."""
        return time.monotonic() - self._started

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[str], None]]:
        """Time a stage. Call what is yielded with one line that says what was made."""
        title = Text(f"{len(self.stages) + 1}/{self._total}  {name}", style="bold")
        console.rule(title, align="left", style="dim")
        started = time.monotonic()
        made: list[str] = []
        yield made.append
        stage = Stage(name, " ".join(made), time.monotonic() - started)
        self.stages.append(stage)
        console.print(f"{stage.made} [{stage.seconds:.0f} s]", style="green", markup=False, soft_wrap=True)

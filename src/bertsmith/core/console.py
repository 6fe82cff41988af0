"""The screen: messages and progress go to stderr, results to stdout."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(stderr=True, highlight=False, markup=False)  # "[unused5]" is a piece of text, not a colour

_LINE_EVERY_SECONDS = 10.0


class ProgressLine:
    """One line of progress: a live bar on a terminal, a line now and then in a log."""

    def __init__(self, title: str, total: float | None, bar: Progress | None):
        self._title = title
        self._total = total
        self._bar = bar
        self._task = bar.add_task(title, total=total, status="") if bar else None
        self._printed_at = time.monotonic()

    def update(self, completed: float, status: str = "") -> None:
        """Show that `completed` of the total is done, with a short text beside it."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=completed, status=status)
        elif time.monotonic() - self._printed_at >= _LINE_EVERY_SECONDS:
            self._printed_at = time.monotonic()
            share = f" {completed / self._total:4.0%}" if self._total else ""
            console.print(f"{self._title}{share}  {status}", soft_wrap=True, markup=False)


@contextmanager
def progress_line(title: str, total: float | None = None) -> Iterator[ProgressLine]:
    """Show progress towards `total` (any unit; None if unknown) while the block runs."""
    if not console.is_terminal:
        yield ProgressLine(title, total, None)
        return
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[status]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        yield ProgressLine(title, total, bar)

"""Ctrl-C and SIGTERM: finish what must be finished, save, and leave."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bertsmith.core.console import console


class StopRequest:
    """Whether a signal has asked to stop; `name` is that signal's."""

    def __init__(self) -> None:
        self.name: str | None = None

    def __call__(self) -> bool:
        """True once a signal has arrived."""
        return self.name is not None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """While the block runs, the first SIGINT or SIGTERM is noted; a second one interrupts at once."""
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        if request():
            raise KeyboardInterrupt
        request.name = signal.Signals(number).name
        console.print(f"{request.name}: saving a checkpoint, then leaving. Once more to leave at once.")

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

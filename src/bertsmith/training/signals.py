"""Ctrl-C and SIGTERM: finish what must be finished, save, and leave."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bertsmith.core.console import console

# One request may arrive twice: Slurm signals every process of a job, and torchrun tells its own once more.
_SAME_REQUEST_SECONDS = 2.0


class StopRequest:
    """Whether a signal has asked to stop; `name` is that signal's, `since` when it came, on the monotonic clock."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.since = 0.0

    def __call__(self) -> bool:
        """True once a signal has arrived."""
        return self.name is not None


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """While the block runs, the first SIGINT or SIGTERM is noted; one more, two seconds later or more, interrupts.

    Only the main thread of a program can hear signals; in another one nothing is asked for.
    """
    request = StopRequest()

    def note(number: int, _frame: FrameType | None) -> None:
        if request():
            if time.monotonic() - request.since < _SAME_REQUEST_SECONDS:
                return
            raise KeyboardInterrupt
        request.name, request.since = signal.Signals(number).name, time.monotonic()
        console.print(f"{request.name}: saving a checkpoint, then leaving. Once more to leave at once.")

    heard = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    previous = {number: signal.signal(number, note) for number in heard}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

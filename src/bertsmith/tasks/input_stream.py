"""What is read as it arrives: a file, or standard input where a dash stands for it.

Items are handed on in windows. Of a file these have a fixed size, so that the same file gives the same windows. A pipe
may pause, and who wrote the last line into it may wait for the answer before writing the next: then a window ends with
what has come.
"""

import os
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from queue import Empty, Queue
from threading import Event, Thread
from typing import Literal, TypeVar

from bertsmith.core.errors import InputError

ItemT = TypeVar("ItemT")

_PATIENCE_SECONDS = 0.03  # for what follows the first item of a window


@contextmanager
def open_input(path: Path) -> Iterator[BufferedReader]:
    """Open a file, or standard input for a path `-`. Raises InputError for a file that cannot be read."""
    if str(path) == "-":
        if sys.stdin is None:
            raise InputError("Standard input is closed. Give a file, or pipe the text in.")
        yield os.fdopen(sys.stdin.fileno(), "rb", closefd=False)  # never closed: a thread may be waiting in it
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    with file:
        yield file


def guess_format(stream: BufferedReader) -> Literal["jsonl", "lines"]:
    """Standard input is JSON lines if it begins with a brace."""
    return "jsonl" if stream.peek(1).lstrip(b"\xef\xbb\xbf \r\n")[:1] == b"{" else "lines"


def begins_with_columns(stream: BufferedReader) -> bool:
    """Whether a text begins like a file in CoNLL's columns: a word a line, a blank line after each sentence.

    That is a line -DOCSTART-, or three rows and more with a blank line among them, as many columns in each, and no
    blank in a column; and what stands in the last one stands there again, as tags do, and words in the end.
    """
    text = stream.peek(1).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").lstrip()
    lines = [line.rstrip() for line in text.split("\n")[:-1] if not line.startswith("#")]  # the last may not be whole
    if any(line.startswith("-DOCSTART-") for line in lines):
        return True
    separator = "\t" if any("\t" in line for line in lines) else None
    rows = [line.split(separator) for line in lines if line]
    are_even = len({len(row) for row in rows}) == 1
    have_blanks = any(" " in column for row in rows for column in row)
    return are_even and not have_blanks and "" in lines and len({row[-1] for row in rows}) < len(rows) >= 3


def windows_of(path: Path, stream: BufferedReader, items: Iterator[ItemT], size: int) -> Iterator[list[ItemT]]:
    """The items that are made of an open input, up to `size` at a time.

    Those before an error come first, and then the error.
    """
    if str(path) == "-" and not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        return arrived_windows(items, size)
    return full_windows(items, size)


def full_windows(items: Iterator[ItemT], size: int) -> Iterator[list[ItemT]]:
    """Windows of `size` items; the last may be smaller."""
    window: list[ItemT] = []
    try:
        for item in items:
            window.append(item)
            if len(window) == size:
                yield window
                window = []
    except Exception:
        if window:
            yield window
        raise
    if window:
        yield window


@dataclass(frozen=True)
class _End:
    """Stands behind the last item; `error` is what ended them, if it was one."""

    error: Exception | None


def arrived_windows(
    items: Iterator[ItemT], size: int, patience_seconds: float = _PATIENCE_SECONDS
) -> Iterator[list[ItemT]]:
    """Windows of what has come within `patience_seconds` of their first item, and of `size` items at most.

    A thread reads, at most `size` items ahead. It ends with the items, or with the next one after the caller has
    stopped; the program need not wait for it.
    """
    arrived: Queue[ItemT | _End] = Queue(size)
    has_stopped = Event()

    def read() -> None:
        error = None
        try:
            for item in items:
                arrived.put(item)
                if has_stopped.is_set():
                    return
        except Exception as raised:  # the caller raises it
            error = raised
        arrived.put(_End(error))

    Thread(target=read, name="input", daemon=True).start()
    try:
        end = None
        while end is None:
            window, end = _next_window(arrived, size, patience_seconds)
            if window:
                yield window
        if end.error is not None:
            raise end.error
    finally:
        has_stopped.set()
        with suppress(Empty):  # makes room for the one item that the thread may be holding
            while True:
                arrived.get_nowait()


def _next_window(arrived: "Queue[ItemT | _End]", size: int, patience_seconds: float) -> tuple[list[ItemT], _End | None]:
    window: list[ItemT] = []
    closes_at = 0.0
    while len(window) < size:
        try:
            item = arrived.get(timeout=max(0.0, closes_at - time.monotonic()) if window else None)
        except Empty:
            break
        if isinstance(item, _End):
            return window, item
        if not window:
            closes_at = time.monotonic() + patience_seconds
        window.append(item)
    return window, None

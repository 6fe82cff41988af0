"""Batches made in the background, so that the model never waits for them."""

import queue
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Self, TypeVar

BatchType = TypeVar("BatchType")
CursorType = TypeVar("CursorType")

_DEPTH = 4
_POLL_SECONDS = 0.1


class Prefetch(Generic[BatchType, CursorType]):
    """Calls `make(cursor)` ahead of use, in one thread, following the cursors.

    The batches are those that would be made without it: it holds no state of its own beyond the cursor.
    """

    def __init__(self, make: Callable[[CursorType], tuple[BatchType, CursorType]], cursor: CursorType):
        self._make = make
        self._ready: queue.Queue[tuple[BatchType, CursorType] | Exception] = queue.Queue(maxsize=_DEPTH)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(cursor,), daemon=True, name="bertsmith-prefetch")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def next(self) -> tuple[BatchType, CursorType]:
        """The next batch and the cursor after it. Raises here what `make` raised there."""
        item = self._ready.get()
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self, cursor: CursorType) -> None:
        while not self._closed.is_set():
            item: tuple[BatchType, CursorType] | Exception
            try:
                item = self._make(cursor)
            except Exception as error:  # handed over to the thread that asks for the batch
                item = error
            self._put(item)
            if isinstance(item, Exception):
                return
            cursor = item[1]

    def _put(self, item: tuple[BatchType, CursorType] | Exception) -> None:
        while not self._closed.is_set():
            try:
                self._ready.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

"""A function over a stream of items by several processes, results in the order of the items, in bounded memory.

Every worker has a pipe of its own and one item at a time. The next item is read while they work. A pipe that closes is
how each side learns that the other has died, whatever it died of: no worker outlives the main process, and the main
process never waits for a worker that is gone. (concurrent.futures hangs, now and then, when a worker is killed while a
large item is on its way to it.)

Workers are started by "spawn", so no lock or thread of ours can be caught in a fork. They do not hear Ctrl-C, which a
terminal sends to all processes: the main process decides.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, TypeAlias, TypeVar

from bertsmith.core.errors import BertsmithError

Item = TypeVar("Item")
Result = TypeVar("Result")
Pipe: TypeAlias = "connection.Connection[Any, Any]"

_AHEAD = 4  # items per worker that may be ready before their turn


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_in_order(
    make_function: Callable[[], Callable[[Item], Result]], items: Iterable[Item], workers: int
) -> Generator[Result, None, None]:
    """Yield function(item) for each item, in order, computed by so many processes; with 1: by this one.

    make_function  called once in each process to make the function; picklable, as are items and results
    raises         BertsmithError if a worker dies
    """
    if workers == 1:
        yield from map(make_function(), items)
        return
    crew = _Crew(make_function, workers)
    try:
        yield from crew.results(items)
    finally:
        crew.dismiss()


class _Crew(Generic[Item, Result]):
    """Worker processes and their pipes."""

    def __init__(self, make_function: Callable[[], Callable[[Item], Result]], workers: int):
        context = multiprocessing.get_context("spawn")
        threads = max(1, available_cores() // workers)
        self._processes: dict[Pipe, BaseProcess] = {}  # by our end of the pipe
        with _undisturbed_start():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(theirs, make_function, threads), daemon=True)
                process.start()
                theirs.close()
                self._processes[ours] = process

    def results(self, items: Iterable[Item]) -> Iterator[Result]:
        """Yield the results in order. An item goes to a worker only when it is idle: no pipe is full both ways."""
        idle: list[Pipe] = list(self._processes)
        busy: dict[Pipe, int] = {}  # number of the item
        done: dict[int, Result] = {}
        given = yielded = 0
        stream = iter(items)
        item = next(stream, None)
        while item is not None or yielded < given:
            if item is not None and idle and given - yielded < _AHEAD * len(self._processes):
                self._send(idle[-1], item)
                busy[idle.pop()] = given
                given += 1
                item = next(stream, None)
                continue
            for pipe in self._readable(busy):
                done[busy.pop(pipe)] = self._receive(pipe)
                idle.append(pipe)
            while yielded in done:
                yield done.pop(yielded)
                yielded += 1

    def dismiss(self) -> None:
        """End all workers, whatever they are doing."""
        for process in self._processes.values():
            process.terminate()
        for pipe, process in self._processes.items():
            process.join()
            pipe.close()

    @staticmethod
    def _readable(pipes: Iterable[Pipe]) -> list[Any]:
        return connection.wait(list(pipes))

    def _send(self, pipe: Pipe, item: Item) -> None:
        try:
            pipe.send(item)
        except OSError:
            raise self._death(pipe) from None

    def _receive(self, pipe: Pipe) -> Result:
        try:
            result: Result = pipe.recv()
        except (EOFError, OSError):
            raise self._death(pipe) from None
        return result

    def _death(self, pipe: Pipe) -> BertsmithError:
        process = self._processes[pipe]
        process.join(timeout=10)
        if process.exitcode == -signal.SIGKILL:
            reason = "was killed, most likely because memory ran out. Try again with fewer --workers"
        else:
            reason = (
                f"ended with exit code {process.exitcode}. Its own message is above; if it speaks of bootstrapping, "
                'the script that calls bertsmith needs `if __name__ == "__main__":`'
            )
        return BertsmithError(f"A worker process {reason}. Nothing was kept.")


def _work(pipe: Pipe, make_function: Callable[[], Callable[[Item], Result]], threads: int) -> None:
    """Live as a worker: until the other end of the pipe closes."""
    os.environ["RAYON_NUM_THREADS"] = str(threads)  # of tokenizers
    os.environ["TOKENIZERS_PARALLELISM"] = "true" if threads > 1 else "false"
    function = make_function()
    try:
        while True:
            pipe.send(function(pipe.recv()))
    except (EOFError, ConnectionError):
        return


@contextmanager
def _undisturbed_start() -> Iterator[None]:
    """A signal that comes while processes start is heard afterwards; and they inherit not to hear Ctrl-C."""
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM) if threading.current_thread() is threading.main_thread() else ()
    handlers = {number: signal.signal(number, note) for number in numbers}
    resource_tracker.ensure_running()  # it would lift the mask if it started later
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for arrived_number in arrived:
            signal.raise_signal(arrived_number)

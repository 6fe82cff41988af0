"""Windows of what arrives: full ones of a file, of a pipe what is there; errors come after what was read before."""

import io
import os
import threading
import time
from contextlib import suppress

import pytest

from bertsmith.core.errors import InputError
from bertsmith.tasks.input_stream import arrived_windows, begins_with_columns, full_windows

CONLL = b"-DOCSTART- -X- O O\n\nEU NNP I-NP I-ORG\nrejects VBZ I-VP O\n"


def failing_after(*items):
    yield from items
    raise InputError("line 4: this is rust")


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "input"]


def wait_for(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.parametrize("windows_of", [full_windows, arrived_windows])
def test_every_item_comes_once_and_in_order(windows_of):
    assert list(windows_of(iter(()), 3)) == []
    for count in (1, 3, 7, 9):
        windows = list(windows_of(iter(range(count)), 3))
        assert [item for window in windows for item in window] == list(range(count))
        assert all(1 <= len(window) <= 3 for window in windows)


def test_windows_of_a_file_are_full():
    assert list(full_windows(iter(range(7)), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("windows_of", [full_windows, arrived_windows])
def test_what_was_read_before_an_error_comes_before_it(windows_of):
    windows, seen = windows_of(failing_after(1, 2, 3), 10), []
    with pytest.raises(InputError, match="this is rust"):
        seen.extend(item for window in windows for item in window)
    assert seen == [1, 2, 3]


def test_a_pipe_that_pauses_is_answered_as_far_as_it_has_come():
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        windows = arrived_windows(iter(stream), 10)
        pipe.write(b"one\n")
        assert next(windows) == [b"one\n"]
        pipe.write(b"two\nthree\nfo")
        assert next(windows) == [b"two\n", b"three\n"]
        pipe.write(b"ur")
        pipe.close()
        assert list(windows) == [[b"four"]]


def test_a_pipe_that_trickles_is_not_waited_for_for_ever():
    def trickle():
        for number in range(100):
            time.sleep(0.01)
            yield number

    windows = arrived_windows(trickle(), 1000)
    assert len(next(windows)) < 50
    windows.close()


def test_the_reader_reads_no_more_than_a_window_ahead_and_ends_when_nobody_listens():
    read = []
    windows = arrived_windows((read.append(number) or number for number in range(10_000)), 10)
    next(windows)
    wait_for(lambda: len(read) >= 20)
    time.sleep(0.02)
    assert len(read) <= 21  # a window, the queue, and the one in hand
    windows.close()
    wait_for(lambda: not threads())
    assert len(read) <= 23


def test_a_reader_that_waits_for_a_pipe_holds_nobody_up():
    reading, writing = os.pipe()
    stream = os.fdopen(os.dup(reading), "rb")
    windows = arrived_windows(iter(stream), 10)
    os.write(writing, b"one\n")
    assert next(windows) == [b"one\n"]
    windows.close()  # the thread waits in the pipe
    assert [thread.daemon for thread in threads()] == [True]
    os.close(writing)
    wait_for(lambda: not threads())
    stream.close()
    with suppress(OSError):
        os.close(reading)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (CONLL, True),
        (CONLL.replace(b"\n", b"\r\n"), True),
        (b"\xef\xbb\xbf" + CONLL, True),
        (b"Ann B-PER\nsaw O\nBob B-PER\n\nShe O\nran O\n", True),
        (b"# from the web\n1\tAnn\tB-PER\tO\n2\tran\tO\tO\n\n# and more\n1\tBob\tB-PER\tO\n", True),
        (b"Ann B-PER\nran O\nhome O\n\n", True),
        (b"Ann\nran\n\nBob\nran\n\n", True),  # without labels
        (b"Ann ran home.\nBob sat.\n\nShe saw him.\n", False),
        (b"Ann Lee\nBob Ray\nAda King\n\nJoe Doe\n", False),  # names
        (b"Ann B-PER\nran O\nhome O\n", False),  # no blank line
        (b"Ann\nLee\n\nBob\nRay\n", False),
        (b"a film\tgood\nthe film\tgood\n\na cat\tgood\n", False),
        (b"\n\n\n", False),
        (b"", False),
    ],
)
def test_columns_are_known_by_their_look(content, expected):
    assert begins_with_columns(io.BufferedReader(io.BytesIO(content))) is expected

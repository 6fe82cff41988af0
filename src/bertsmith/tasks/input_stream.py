"""What is read as it arrives: a file, or standard input where a dash stands for it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Literal

from bertsmith.core.errors import InputError


@contextmanager
def open_input(path: Path) -> Iterator[BufferedReader]:
    """Open a file, or standard input for a path `-`. Raises InputError for a file that cannot be read."""
    if str(path) == "-":
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as stream:
            yield stream
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

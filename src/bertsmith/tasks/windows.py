"""A stream of words that is too long for one input, read in windows that overlap, each word in the best of them.

Windows begin `stride` pieces apart, or less to begin with a word; the last one ends with the stream and reaches back as
far as there is room. A word of several windows is asked in the one where it has most context, the smaller side of both
counting; of equals in the first. So every word is asked exactly once, and a window in which none is asked is left out.

Legend: W words of a stream, N words asked in a window.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Places = npt.NDArray[np.int64]


class Window(NamedTuple):
    """Words begin:end of a stream are read; `asked` [N] of them, places in the stream, are asked for."""

    begin: int
    end: int
    asked: Places


def windows(lengths: Sequence[int], room: int, stride: int) -> list[Window]:
    """The windows of a stream.

    lengths  [W]  pieces of each word, 1 to `room`
    room     pieces that a window may have
    stride   pieces from the beginning of a window to that of the next, at most
    """
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])  # [W+1] pieces before each word
    borders = list(_borders(offsets, room, stride))
    if len(borders) < 2:
        return [Window(begin, end, np.arange(begin, end)) for begin, end in borders]
    most = np.full(len(lengths), -1, dtype=np.int64)  # [W] pieces on the smaller side, in the best window so far
    owner = np.zeros(len(lengths), dtype=np.int64)
    for number, (begin, end) in enumerate(borders):
        left = offsets[begin:end] - offsets[begin]
        right = offsets[end] - offsets[begin + 1 : end + 1]
        smaller = np.minimum(left, right)
        better = smaller > most[begin:end]
        most[begin:end] = np.where(better, smaller, most[begin:end])
        owner[begin:end] = np.where(better, number, owner[begin:end])
    made = [
        Window(begin, end, begin + np.flatnonzero(owner[begin:end] == number))
        for number, (begin, end) in enumerate(borders)
    ]
    return [window for window in made if len(window.asked)]


def _borders(offsets: Places, room: int, stride: int) -> Iterator[tuple[int, int]]:
    """Begin and end of each window, in words. A window goes on where the one before did not reach, at the latest."""
    num_words = len(offsets) - 1
    begin = 0
    while begin < num_words:
        end = _last_within(offsets, offsets[begin] + room)
        if end == num_words:
            yield int(np.searchsorted(offsets, offsets[-1] - room)), end
            return
        yield begin, end
        begin = max(begin + 1, _last_within(offsets, offsets[begin] + min(stride, room)))


def _last_within(offsets: Places, limit: int) -> int:
    """The last word that begins at `limit` or before it."""
    return int(np.searchsorted(offsets, limit, side="right")) - 1

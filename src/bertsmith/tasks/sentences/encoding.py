"""Examples -> what the network reads: `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]` (BERT 3, figure 4).

A text too long is cut at its end (of a pair, the longer one first), or read in windows. In windows, the first text of a
pair stays (cut to half of the length where the second one needs the other half) and the second one moves. Where only
the first window counts, only that one is read. Every example that loses tokens is counted.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from bertsmith.tasks.encoded import EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.sentences.examples import SentenceExample
from bertsmith.tasks.sequences import longest_first, sequence_of
from bertsmith.text.tokenizer import Tokenizer

_Window = tuple[Ids, Ids | None]  # the tokens of a text or of a pair that are read together


def encode_texts(
    texts: Sequence[str],
    text_pairs: Sequence[str] | None,
    tokenizer: Tokenizer,
    limits: InputLimits,
    labels: npt.NDArray[np.generic] | None = None,
) -> EncodedExamples:
    """Encode texts, or pairs of texts.

    labels  [N] or [N, C]; None: unknown
    """
    firsts = tokenizer.encode_plain(texts)
    seconds: Sequence[Ids | None] = [None] * len(texts) if text_pairs is None else tokenizer.encode_plain(text_pairs)
    rows, num_cut = [], 0
    for index, (first, second) in enumerate(zip(firsts, seconds, strict=True)):
        pieces, is_cut = _windows(first, second, limits)
        made = [sequence_of(*piece, tokenizer) for piece in pieces]
        label = None if labels is None else labels[index, ...]
        rows.append(EncodedExample(tuple(ids for ids, _ in made), tuple(segments for _, segments in made), label))
        num_cut += is_cut
    return EncodedExamples(rows, limits, num_cut)


def label_values(examples: Sequence[SentenceExample], labels: Sequence[str] | None) -> npt.NDArray[np.generic]:
    """Labels as numbers: int64 indices into `labels` [N]; float32 scores [N]; of several labels bool [N, C]."""
    if labels is None:
        return np.array([example.label for example in examples], dtype=np.float32)
    index = {label: position for position, label in enumerate(labels)}
    if any(isinstance(example.label, tuple) for example in examples):
        table = np.zeros((len(examples), len(labels)), dtype=np.bool_)
        for row, example in enumerate(examples):
            assert isinstance(example.label, tuple)
            table[row, [index[label] for label in example.label]] = True
        return table
    return np.array([index[str(example.label)] for example in examples], dtype=np.int64)


def _windows(first: Ids, second: Ids | None, limits: InputLimits) -> tuple[list[_Window], bool]:
    """The token ids of each input that an example is read in, and whether tokens are lost."""
    room = limits.max_seq_length - (2 if second is None else 3)
    if len(first) + (0 if second is None else len(second)) <= room:
        return [(first, second)], False
    if limits.long_texts == "cut":
        if second is None:
            return [(first[:room], None)], True
        keep_first, keep_second = longest_first(len(first), len(second), room)
        return [(first[:keep_first], second[:keep_second])], True
    if second is None:
        windows: list[_Window] = [(window, None) for window in _cut(first, room, limits.stride)]
        return _counting(windows, limits, is_cut=False)
    kept = first[: max(room // 2, room - len(second))]
    windows = [(kept, window) for window in _cut(second, room - len(kept), limits.stride)]
    return _counting(windows, limits, is_cut=len(kept) < len(first))


def _counting(windows: list[_Window], limits: InputLimits, *, is_cut: bool) -> tuple[list[_Window], bool]:
    """Those windows whose outputs count, and whether tokens are lost."""
    if limits.long_texts == "first":
        return windows[:1], is_cut or len(windows) > 1
    return windows, is_cut


def _cut(ids: Ids, size: int, stride: int) -> Iterator[Ids]:
    """Windows of `size` that begin `stride` apart, or closer if there would be gaps; the last one reaches the end.

    No tokens make one window without any: of a pair whose second text is empty, the first may fill all of the room.
    """
    step = max(1, min(stride, size))
    for start in range(0, max(1, len(ids) - size + step), step):
        yield ids[start : start + size]

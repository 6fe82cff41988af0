"""Questions -> what the network reads: `[CLS] question [SEP] part of the context [SEP]` (BERT 4.2).

A context that is too long for one input is read in windows, whose starts lie `stride` tokens apart. A question that is
too long is cut at its end. It is counted, and so is one whose answer is whole in no window.

Every window knows which characters of the context each of its tokens was made of. What is predicted is a pair of
tokens; the answer is cut from the context by their characters, never put together from pieces. An uncased vocabulary
drops combining marks; a mark belongs to the letter before it, or "café" could be cut short. What is learnt are the
first and the last token that have a character of the answer. A piece is the smallest thing that a network can point
at: where an answer begins or ends within a piece (the "1990" of "1990s"), what is learnt is a little more than it.

A token near the border of one window usually has more text around it in another one. A token's maximal context is in
the window in which the shorter of its two sides is longest; only there an answer may begin with it.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bertsmith.tasks.encoded import NO_LABEL, EncodedExample, EncodedExamples, Ids
from bertsmith.tasks.input_limits import InputLimits
from bertsmith.tasks.spans.squad_file import Question
from bertsmith.text.tokenizer import Tokenizer

_NUM_SPECIAL = 3  # [CLS], [SEP], [SEP]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One input of a question.

    question    index of the question among the examples
    begin       place in the sequence of the first token of the context
    offsets     [n, 2]  int32, begin and end in characters of the context, of each of its n tokens in this window
    is_maximal  [n]     bool, whether the token has its maximal context here
    """

    question: int
    begin: int
    offsets: Ids
    is_maximal: npt.NDArray[np.bool_]


def encode_questions(
    questions: Sequence[Question], tokenizer: Tokenizer, limits: InputLimits, *, labelled: bool
) -> EncodedExamples:
    """All windows of all questions, in order; `origin` of each row is its `Window`.

    A question keeps at most `limits.max_question_length` tokens, and at most half of the room that it shares with the
    context. The label of a window is the first and the last token of the answer as places in the sequence, [2] int64:
    (0, 0), the place of [CLS], if there is no answer or not all of it is in this window; (-100, -100) if the file does
    not say where it is.
    """
    contexts = list(dict.fromkeys(question.context for question in questions))  # several questions share one
    read = {
        context: (ids, _with_marks(offsets, context))
        for context, (ids, offsets) in zip(contexts, tokenizer.encode_with_offsets(contexts), strict=True)
    }
    room = limits.max_seq_length - _NUM_SPECIAL
    longest_question = min(limits.max_question_length, room // 2)
    rows, num_cut = [], 0
    for index, asked in enumerate(tokenizer.encode_plain([question.question for question in questions])):
        question_ids = asked[:longest_question]
        head = np.concatenate([[tokenizer.cls_id], question_ids, [tokenizer.sep_id]])
        ids, offsets = read[questions[index].context]
        span = _lesson_span(questions[index], offsets) if labelled else None
        borders = window_borders(len(ids), room - len(question_ids), limits.stride)
        num_cut += len(asked) > longest_question or _is_torn(span, borders)
        for (first, end), is_maximal in zip(borders, maximal_context(borders), strict=True):
            token_ids = np.concatenate([head, ids[first:end], [tokenizer.sep_id]]).astype(np.int32)
            segment_ids = (np.arange(len(token_ids)) >= len(head)).astype(np.int32)
            label = None if span is None else _label(span, first, end, len(head))
            origin = Window(index, len(head), offsets[first:end], is_maximal[first:end])
            rows.append(EncodedExample((token_ids,), (segment_ids,), label, origin))
    return EncodedExamples(rows, limits, num_cut)


def window_borders(num_tokens: int, size: int, stride: int) -> list[tuple[int, int]]:
    """First token and end of each window of a context of `num_tokens`. There is at least one; the last reaches the end.

    Starts lie `stride` apart, or `size` if that is less, so that no token is left out.
    """
    step = min(stride, size)
    num_windows = 1 + max(0, -(-(num_tokens - size) // step))
    return [(index * step, min(index * step + size, num_tokens)) for index in range(num_windows)]


def maximal_context(borders: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Whether a token has its maximal context in a window, [windows, tokens]; each token has it in exactly one.

    As the original code has it: a token's context is that of its shorter side, plus a hundredth of the length of the
    window, which decides between equal ones; of windows that are still equal, the first one has it.
    """
    first, end = (np.array(side)[:, None] for side in zip(*borders, strict=True))  # [windows, 1]
    places = np.arange(end.max())
    context = np.minimum(places - first, end - 1 - places) + 0.01 * (end - first)
    best = np.where((places >= first) & (places < end), context, -np.inf).argmax(axis=0)
    maximal: npt.NDArray[np.bool_] = best == np.arange(len(borders))[:, None]
    return maximal


def token_span(offsets: Ids, begin: int, end: int) -> tuple[int, int] | None:
    """First and last of the tokens that have a character of begin:end; None if there are none.

    offsets  [n, 2]  characters of each token, neither side descending
    """
    first = int(np.searchsorted(offsets[:, 1], begin, side="right"))
    last = int(np.searchsorted(offsets[:, 0], end, side="left")) - 1
    return (first, last) if first <= last else None


def _with_marks(offsets: Ids, context: str) -> Ids:
    """The offsets of the pieces of a context, each with the combining marks after it that belong to no piece."""
    begins_next = np.append(offsets[1:, 0], len(context))
    extended = offsets.copy()
    for piece in np.flatnonzero(offsets[:, 1] < begins_next):
        end = offsets[piece, 1]
        while end < begins_next[piece] and unicodedata.category(context[end]) == "Mn":
            end += 1
        extended[piece, 1] = end
    return extended


def _lesson_span(question: Question, offsets: Ids) -> tuple[int, int]:
    """The tokens of the answer, (-1, -1) if there is none, NO_LABEL if it is not known which they are."""
    if question.is_impossible:
        return -1, -1
    answer = question.lesson
    span = None if answer is None else token_span(offsets, answer.start, answer.end)
    return span or (NO_LABEL, NO_LABEL)


def _is_torn(span: tuple[int, int] | None, borders: Sequence[tuple[int, int]]) -> bool:
    """Whether an answer is known and whole in no window: windows that hardly overlap have many such."""
    if span is None or span[0] < 0:
        return False
    return not any(first <= span[0] <= span[1] < end for first, end in borders)


def _label(span: tuple[int, int], first: int, end: int, begin: int) -> npt.NDArray[np.int64]:
    """The span as places in the sequence whose context, tokens first:end, begins at `begin`."""
    if span[0] == NO_LABEL:
        return np.full(2, NO_LABEL, dtype=np.int64)
    if not first <= span[0] <= span[1] < end:
        return np.zeros(2, dtype=np.int64)
    return np.array(span, dtype=np.int64) - first + begin

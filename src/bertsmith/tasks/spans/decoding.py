"""Scores of tokens -> the answer to each question (BERT 4.2, 4.3).

The score of a span is that of its first token as the first, plus that of its last token as the last. Candidates are
all spans in all windows of the question that lie in the context, that are not longer than allowed, and whose first
token has its maximal context in that window; so no two of them are the same part of the text. The best 20 are kept,
and their softmax is what is called probability.

Where there may be no answer, "none" is a candidate too. Its score in a window is that of [CLS] as first and last token,
and of these the lowest counts: a window with the answer in it sees no reason for "none". The answer is "none" if its
score is higher than that of the best span by more than a threshold.

Two things differ from the original code. It looks at the pairs of the 20 best first and the 20 best last tokens of a
window, we look at all pairs. It puts the text of an answer together again from pieces, we cut it from the context.

Legend: n tokens of the context in a window, L longest answer in tokens, K candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.spans.squad_file import Question
from bertsmith.tasks.spans.windows import Window
from bertsmith.tasks.task import Outputs

NUM_CANDIDATES = 20
NO_OTHER_ANSWER = float(np.finfo(np.float32).max)  # null odds where the context has no tokens
_NOWHERE = -1.0  # as the characters of "no answer"

Scores = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SpanCandidate:
    """One possible answer: its text, its characters in the context (None: no answer), and what speaks for it."""

    text: str
    start: int | None
    end: int | None
    probability: float
    start_score: float
    end_score: float


@dataclass(frozen=True, slots=True)
class SpanPrediction:
    """The answer to a question.

    text         cut from the context; "" if there is no answer
    start, end   the characters context[start:end]; None if there is no answer
    probability  of this answer among the candidates
    null_odds    how much higher "no answer" scores than the best span; the higher, the surer that there is none
    n_best       the candidates, the best first; "no answer" is one of them where the task knows such questions
    """

    text: str
    start: int | None
    end: int | None
    probability: float
    null_odds: float
    n_best: tuple[SpanCandidate, ...]

    @property
    def best_text(self) -> str:
        """The text of the best span, whether or not it is the answer; "" if there is no span."""
        return next((candidate.text for candidate in self.n_best if candidate.start is not None), "")


def decode_spans(
    outputs: Sequence[Outputs],
    encoded: EncodedExamples,
    questions: Sequence[Question],
    null_threshold: float | None,
) -> list[SpanPrediction]:
    """The answer to each question.

    outputs         [tokens, 2] of each window: scores as first and as last token
    null_threshold  null odds above which the answer is "none"; None: every question has an answer
    """
    rows = zip((row.origin for row in encoded.rows), outputs, strict=True)
    longest = encoded.limits.max_answer_length
    return [
        _decode(questions[index].context, list(windows), longest, null_threshold)
        for index, windows in groupby(rows, key=lambda row: row[0].question)
    ]


def best_pairs(
    start_scores: Scores, end_scores: Scores, may_start: npt.NDArray[np.bool_], longest: int
) -> tuple[Places, Places]:
    """First and last tokens of the best spans in one window, at most 20, the best span first; of equals the earlier.

    start_scores, end_scores  [n]
    may_start                 [n]  whether a span may begin with the token
    longest                   L
    """
    starts = np.flatnonzero(may_start)
    ends = np.append(end_scores, np.full(longest - 1, -np.inf))  # none is behind the window
    scores = start_scores[starts, None] + ends[starts[:, None] + np.arange(longest)]  # [starts, L]
    if len(starts) > NUM_CANDIDATES:  # the best spans begin with those tokens whose own best spans are the best
        kept = np.sort(np.argpartition(-scores.max(axis=1), NUM_CANDIDATES)[:NUM_CANDIDATES])
        starts, scores = starts[kept], scores[kept]
    best = np.argsort(-scores, axis=None, kind="stable")[:NUM_CANDIDATES]
    best = best[scores.ravel()[best] > -np.inf]
    first = starts[best // longest]
    return first, first + best % longest


def _decode(
    context: str, windows: Sequence[tuple[Window, Outputs]], longest: int, null_threshold: float | None
) -> SpanPrediction:
    """The answer from all windows of a question."""
    spans = np.concatenate([_best_spans(window, outputs, longest) for window, outputs in windows])
    spans = spans[np.argsort(-spans[:, 2:].sum(axis=1), kind="stable")[:NUM_CANDIDATES]]
    no_answer = min((outputs[0].tolist() for _, outputs in windows), key=sum)  # [CLS] as first and as last token
    null_odds = sum(no_answer) - spans[0, 2:].sum() if len(spans) else NO_OTHER_ANSWER
    candidates = spans
    if null_threshold is not None or not len(spans):
        candidates = np.append(spans, [[_NOWHERE, _NOWHERE, *no_answer]], axis=0)
        candidates = candidates[np.argsort(-candidates[:, 2:].sum(axis=1), kind="stable")]
    n_best = _as_candidates(candidates, context)
    is_none = not len(spans) or (null_threshold is not None and null_odds > null_threshold)
    answer = next(candidate for candidate in n_best if (candidate.start is None) == is_none)
    return SpanPrediction(answer.text, answer.start, answer.end, answer.probability, float(null_odds), n_best)


def _best_spans(window: Window, outputs: Outputs, longest: int) -> Scores:
    """The best spans of a window, [K, 4]: begin and end in characters, scores of the first and the last token."""
    start_scores, end_scores = outputs[window.begin : window.begin + len(window.offsets)].astype(np.float64).T
    first, last = best_pairs(start_scores, end_scores, window.is_maximal, longest)
    return np.stack([window.offsets[first, 0], window.offsets[last, 1], start_scores[first], end_scores[last]], axis=1)


def _as_candidates(table: Scores, context: str) -> tuple[SpanCandidate, ...]:
    """Rows as `_best_spans` gives them, with their softmax."""
    scores = table[:, 2:].sum(axis=1)
    likelihoods = np.exp(scores - scores.max())
    candidates = []
    for (begin, end, start_score, end_score), share in zip(
        table.tolist(), (likelihoods / likelihoods.sum()).tolist(), strict=True
    ):
        start, stop = (None, None) if begin == _NOWHERE else (int(begin), int(end))
        text = "" if start is None else context[start:stop]
        candidates.append(SpanCandidate(text, start, stop, share, start_score, end_score))
    return tuple(candidates)

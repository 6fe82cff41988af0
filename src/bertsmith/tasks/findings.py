"""What a person wants to see of predictions on dev, whatever the kind of task: plain values, which a page can show.

Groups of examples and how well each does, what is taken for what, whether confidence can be believed, and the worst
mistakes. Each kind of task has a `findings.py` that makes them from its own predictions.

Legend: N answers that are judged (examples, or labels, words, entities), L labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Figure = int | float | None  # a count, a score, or nothing to say
Indices = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

MOST_LABELS = 20  # that a confusion matrix shows one by one
NUM_BINS = 10  # of confidence
NUM_MISTAKES = 15  # that are shown
_NUM_SIZES = 4  # groups of small to large examples


@dataclass(frozen=True)
class GroupTable:
    """How well each group does.

    title    what the groups are
    columns  the name of the groups, then those of the figures
    rows     each group with its figures
    note     what one must know to read it; "" if nothing
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Figure, ...]], ...]
    note: str = ""


@dataclass(frozen=True)
class Confusion:
    """What is taken for what.

    labels      [L]     those shown; with `num_others`, the last stands for all the others together
    counts      [L][L]  rows: the right label, columns: the predicted one
    num_others  how many labels are together in the last row and column
    """

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    num_others: int = 0


@dataclass(frozen=True)
class ConfidenceBin:
    """The answers with a confidence above `lowest` and not above `highest`: how many, how sure, how many are right."""

    lowest: float
    highest: float
    count: int
    confidence: float  # mean
    share_right: float


@dataclass(frozen=True)
class Calibration:
    """Whether confidence can be believed (Guo et al. 2017).

    of     what is counted, as the start of a sentence
    bins   of equal width, those that are not empty
    error  expected calibration error: the mean over all answers of how far the share of right ones in their bin is from
           its mean confidence
    """

    of: str
    bins: tuple[ConfidenceBin, ...]
    error: float


@dataclass(frozen=True)
class ScoreComparison:
    """Predicted numbers beside the right ones, in the order of the examples."""

    gold: tuple[float, ...]
    predicted: tuple[float, ...]

    @property
    def mean_error(self) -> float:
        """Mean absolute difference."""
        return float(np.abs(np.subtract(self.gold, self.predicted)).mean())


@dataclass(frozen=True)
class Mistake:
    """A wrong answer: where the example stands, its texts, what is right, what was said, and how bad that is."""

    place: str
    texts: tuple[str, ...]
    gold: str
    predicted: str
    size: float | int


@dataclass(frozen=True)
class WorstMistakes:
    """The worst mistakes, the worst first.

    measure  what `Mistake.size` is: "confidence", "difference"
    what     what the examples do that are counted: "get a wrong label"
    total    how many do
    """

    measure: str
    what: str
    total: int
    shown: tuple[Mistake, ...]


@dataclass(frozen=True)
class Findings:
    """All of it for one file of examples; what a kind of task does not have is None."""

    num_examples: int
    mistakes: WorstMistakes
    groups: tuple[GroupTable, ...] = ()
    confusion: Confusion | None = None
    calibration: Calibration | None = None
    comparison: ScoreComparison | None = None


def score_labels(title: str, labels: Sequence[str], right: Indices, predicted: Indices, gold: Indices) -> GroupTable:
    """Precision, recall and F1 of each label; each is 0 where there is nothing to divide by.

    right, predicted, gold  [L]  how often a label is rightly predicted, is predicted, is the right one
    """
    rows = []
    for label, hits, found, wanted in zip(labels, right.tolist(), predicted.tolist(), gold.tolist(), strict=True):
        precision = hits / found if found else 0.0
        recall = hits / wanted if wanted else 0.0
        f1 = 2 * hits / (found + wanted) if hits else 0.0
        rows.append((label, (precision, recall, f1, wanted, found)))
    return GroupTable(title, ("", "precision", "recall", "F1", "in the data", "predicted"), tuple(rows))


def confuse(gold: Indices, predicted: Indices, labels: Sequence[str]) -> Confusion:
    """Count what is taken for what. Of many labels those are shown that are taken for one another most often.

    gold, predicted  [N]  indices into `labels`
    """
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (gold, predicted), 1)
    if len(labels) <= MOST_LABELS + 1:  # to put a single one apart would save nothing
        return Confusion(tuple(labels), _as_tuples(counts))
    mistakes = counts - np.diag(counts.diagonal())
    most_frequent = np.argsort(-mistakes, axis=None, kind="stable")
    pairs = np.stack(np.unravel_index(most_frequent, counts.shape), axis=1)
    shown = np.sort(list(dict.fromkeys(pairs.ravel().tolist()))[:MOST_LABELS])
    place = np.full(len(labels), MOST_LABELS)
    place[shown] = np.arange(MOST_LABELS)
    merged = np.zeros((MOST_LABELS + 1, MOST_LABELS + 1), dtype=np.int64)
    np.add.at(merged, (place[:, None], place[None, :]), counts)
    num_others = len(labels) - MOST_LABELS
    names = (*(labels[index] for index in shown), f"{num_others} others")
    return Confusion(names, _as_tuples(merged), num_others)


def calibrate(confidences: Values, right: Truths, of: str) -> Calibration | None:
    """Compare confidence with the share of right answers, in bins of equal width; None of no answers.

    confidences  [N]  0 to 1
    right        [N]  whether the answer is right
    of           what is counted, as the start of a sentence
    """
    if not len(confidences):
        return None
    edges = np.linspace(0, 1, NUM_BINS + 1)
    bin_of = np.searchsorted(edges[1:-1], confidences, side="left")  # a bin has its upper edge
    bins, error = [], 0.0
    for index in np.unique(bin_of).tolist():
        chosen = bin_of == index
        confidence, share_right = float(confidences[chosen].mean()), float(right[chosen].mean())
        lowest, highest = index / NUM_BINS, (index + 1) / NUM_BINS
        bins.append(ConfidenceBin(lowest, highest, int(chosen.sum()), confidence, share_right))
        error += float(chosen.mean()) * abs(confidence - share_right)
    return Calibration(of, tuple(bins), error)


def score_sizes(title: str, column: str, sizes: Values, scores: Mapping[str, Values]) -> tuple[GroupTable, ...]:
    """The mean scores of up to four groups of about as many examples, from small to large; () if it is one.

    column  what the sizes are of, with their unit
    sizes   [N]
    scores  name -> [N]
    """
    borders = np.unique(np.quantile(sizes, np.arange(1, _NUM_SIZES) / _NUM_SIZES, method="lower"))
    group_of = np.searchsorted(borders, sizes, side="left")  # a group has its upper border
    rows: list[tuple[str, tuple[Figure, ...]]] = []
    for group in np.unique(group_of).tolist():
        chosen = group_of == group
        lowest, highest = sizes[chosen].min(), sizes[chosen].max()
        name = f"{lowest:,g}" if lowest == highest else f"{lowest:,g} to {highest:,g}"
        rows.append((name, (int(chosen.sum()), *(float(values[chosen].mean()) for values in scores.values()))))
    return (GroupTable(title, (column, "examples", *scores), tuple(rows)),) if len(rows) > 1 else ()


def worst_mistakes(
    measure: str, what: str, sizes: Values, is_mistake: Truths, describe: Callable[[int, float], Mistake]
) -> WorstMistakes:
    """The mistakes of the largest size, the largest first; of equals the earlier.

    measure     what the sizes are
    what        what an example does that is a mistake
    sizes       [N]  how bad each answer would be, were it wrong
    is_mistake  [N]
    describe    (index, size) -> a mistake
    """
    order = np.argsort(-sizes, kind="stable")
    indices = order[is_mistake[order]][:NUM_MISTAKES].tolist()
    return WorstMistakes(measure, what, int(is_mistake.sum()), tuple(describe(i, float(sizes[i])) for i in indices))


def _as_tuples(counts: Indices) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(row) for row in counts.tolist())

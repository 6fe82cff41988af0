"""Next sentence prediction guessed from the lengths of A and B, without reading a word: how far that gets.

Measured on the very pairs that training sees. A classifier that knows the two lengths and nothing else
(gradient-boosted trees, cross-validated) orders them by how random they look; the area under its curve is 0.5 where
lengths tell nothing.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from bertsmith.batches.configuration import BatchSettings
from bertsmith.batches.flat_batch import PretrainingBatch
from bertsmith.batches.pretraining import Cursor, PretrainingBatches
from bertsmith.core.errors import ConfigurationError
from bertsmith.diagnosis.finding import Finding, Level, graded
from bertsmith.text.token_store import TokenStore

NOTE_AREA, WARNING_AREA = 0.60, 0.70  # the released code's pairs of Wikipedia: 0.69
STANDARD_ERRORS = 3.0  # by which an area must pass these lines
PAIRS = 8192
_BATCH = 256


@dataclass(frozen=True)
class LengthLeak:
    """How well the lengths tell the label."""

    pairs: int
    random_share: float  # of the pairs: B from another document
    area: float  # under the curve: 0.5 says nothing, 1 everything
    standard_error: float  # of an area of 0.5 in so many pairs
    accuracy: float  # of the classifier; always giving the more frequent answer has max(share, 1 - share)


def measure_length_leak(store: TokenStore, settings: BatchSettings) -> LengthLeak:
    """Sample pairs as training does and let lengths guess.

    raises  ConfigurationError where the store offers no pairs
    """
    first = settings.phases[0].model_copy(update={"share": 1.0, "batch_size": None})
    changes = {"batch_size": _BATCH, "next_sentence": True, "phases": (first,)}
    batches = PretrainingBatches(store.train, store.tokenizer, settings.model_copy(update=changes), seed=0)
    cursor, samples = Cursor(), []
    for _ in range(PAIRS // _BATCH):
        batch, cursor = batches.batch(cursor)
        samples.append(lengths_and_labels(batch))
    return leak_of(np.concatenate(samples))


def lengths_and_labels(batch: PretrainingBatch) -> NDArray[np.int64]:
    """Tokens of A, tokens of B and the label of each pair: [B, 3]."""
    assert batch.not_next is not None
    segment_ids = batch.inputs.segment_ids.numpy()
    rows = []
    for start, end in pairwise(batch.inputs.borders):
        length_b = int(segment_ids[start:end].sum())  # with its [SEP]
        rows.append((end - start - length_b - 2, length_b - 1))
    return np.column_stack([np.array(rows), batch.not_next.numpy()])


def leak_of(samples: NDArray[np.int64]) -> LengthLeak:
    """How well the first two columns tell the third."""
    lengths, labels = samples[:, :2], samples[:, 2]
    positive = int(labels.sum())
    negative = len(labels) - positive
    if not positive or not negative:  # one answer is always right
        return LengthLeak(len(labels), positive / len(labels), 1.0, 0.0, 1.0)
    classifier = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    scores = cross_val_predict(classifier, lengths, labels, cv=3, method="predict_proba")[:, 1]
    return LengthLeak(
        pairs=len(labels),
        random_share=positive / len(labels),
        area=float(roc_auc_score(labels, scores)),
        standard_error=((len(labels) + 1) / (12 * positive * negative)) ** 0.5,
        accuracy=float(((scores > 0.5) == labels).mean()),
    )


def pair_finding(store: TokenStore, settings: BatchSettings) -> Finding:
    """Whether next sentence prediction has to be learnt from the text."""
    about = "next sentence by length"
    try:
        leak = measure_length_leak(store, settings)
    except ConfigurationError as error:
        return Finding(
            about,
            Level.WARNING,
            f"{store.train.num_documents:,} documents with {store.train.num_sentences:,} sentences: no pairs.",
            "Next sentence prediction cannot be trained on this store.",
            cause=str(error),
            remedy="Prepare documents of several sentences, or train with --no-next-sentence.",
        )
    surely = leak.area - STANDARD_ERRORS * leak.standard_error
    level = graded(surely, note_above=NOTE_AREA, warning_above=WARNING_AREA)
    measured = (
        f"From the lengths of A and B alone {leak.accuracy:.1%} of {leak.pairs:,} pairs are told apart "
        f"({max(leak.random_share, 1 - leak.random_share):.1%} by always giving one answer); area under the curve "
        f"{leak.area:.3f} ± {leak.standard_error:.3f}, where 0.5 is chance."
    )
    values = {name: float(value) for name, value in vars(leak).items()}
    if level is Level.GOOD:
        return Finding(about, level, measured, "To tell whether B follows A the network has to read.", values=values)
    return Finding(
        about,
        level,
        measured,
        "A network can be right about next sentences without reading; its NSP accuracy overstates what it learnt.",
        cause="Documents of one sentence beside longer ones: a single sentence has no successor, so its pair is always "
        "random, and its length gives it away.",
        remedy="Give `bertsmith prepare` whole documents instead of lines, or train with --no-next-sentence.",
        values=values,
    )

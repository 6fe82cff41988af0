"""What a network says of a [MASK]: the likeliest label, or the likeliest pieces; and how good the latter are.

Legend: C labels, V vocabulary size.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from bertsmith.tasks.encoded import EncodedExample
from bertsmith.tasks.sentences.predictions import LabelPrediction
from bertsmith.tasks.task import Outputs

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class WordPrediction:
    """The likeliest piece, and the five likeliest with their probabilities, best first.

    answer_rank  the place of the right piece among all, from 1; pieces that are as likely stand before it. None where
                 the answer is unknown
    """

    word: str
    probabilities: Mapping[str, float]
    answer_rank: int | None

    def entry(self) -> dict[str, object]:
        """The prediction as JSON."""
        return {"word": self.word, "probabilities": dict(self.probabilities)}


MaskedWordPrediction = LabelPrediction | WordPrediction


def label_prediction(outputs: Outputs, labels: Sequence[str]) -> LabelPrediction:
    """The logits of the labels' words, [1, C], as a prediction."""
    shares = torch.from_numpy(outputs[0]).softmax(dim=0).tolist()
    return LabelPrediction(labels[int(outputs[0].argmax())], dict(zip(labels, shares, strict=True)))


def word_prediction(outputs: Outputs, row: EncodedExample) -> WordPrediction:
    """The logits of one example, [1, V], as a prediction; `row.origin` holds the pieces of the vocabulary.

    A network may have more rows of embeddings than there are pieces: these are nothing that can be said.
    """
    outputs = outputs[:, : len(row.origin)]
    logits = torch.from_numpy(outputs[0])
    best = logits.topk(min(_SHOWN, len(logits)))
    shares = (best.values - logits.logsumexp(dim=0)).exp().tolist()
    words = [row.origin[index] for index in best.indices.tolist()]
    rank = None if row.label is None else int((outputs[0] >= outputs[0, int(row.label)]).sum())
    return WordPrediction(words[0], dict(zip(words, shares, strict=True)), rank)


def answer_of(prediction: MaskedWordPrediction) -> str:
    """The label, or the word."""
    return prediction.label if isinstance(prediction, LabelPrediction) else prediction.word


def rank_of(prediction: MaskedWordPrediction) -> int:
    """The rank of the right piece, where any may stand and the answer is known."""
    assert isinstance(prediction, WordPrediction) and prediction.answer_rank is not None
    return prediction.answer_rank


def accuracy(ranks: Sequence[int]) -> float:
    """Share of examples whose right piece is the likeliest."""
    return float(np.mean([rank == 1 for rank in ranks]))


def top_5_accuracy(ranks: Sequence[int]) -> float:
    """Share of examples whose right piece is one of the five likeliest."""
    return float(np.mean([rank <= 5 for rank in ranks]))


def mean_reciprocal_rank(ranks: Sequence[int]) -> float:
    """The mean of 1 / rank: 1 if the right piece is always first, 1/2 if always second."""
    return float(np.mean([1 / rank for rank in ranks]))


WORD_METRICS: Mapping[str, Callable[[Sequence[int]], float]] = {
    function.__name__: function for function in (accuracy, top_5_accuracy, mean_reciprocal_rank)
}

"""Outputs of the network -> the tags of each sentence, and the entities that they tell of.

The tag of a word is the likeliest, whatever its neighbours have; tags are grouped into entities as `conlleval` groups
them, which gives every sequence of tags a meaning.

Legend: n tokens of a window, C tags, W words of all sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.tags.encoding import AskedWords
from bertsmith.tasks.tags.schemes import Entity, entities_of
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.task import Outputs


@dataclass(frozen=True, slots=True)
class FoundEntity:
    """An entity that the network found.

    start, end            words start:end of its sentence
    text                  these words; of a plain text, as they stand in it
    probability           mean over its words of the probability of their tags
    start_char, end_char  of a plain text: characters start_char:end_char of it
    """

    type: str
    text: str
    start: int
    end: int
    probability: float
    start_char: int | None = None
    end_char: int | None = None

    def entry(self) -> dict[str, object]:
        """The entity as JSON."""
        places: dict[str, object] = {"start": self.start, "end": self.end}
        if self.start_char is not None:
            places |= {"start_char": self.start_char, "end_char": self.end_char}
        return {"type": self.type, "text": self.text, **places, "probability": self.probability}


@dataclass(frozen=True, slots=True)
class TagPrediction:
    """The tag of each word of a sentence, and the entities; there are none where tags are classes of words."""

    tags: tuple[str, ...]
    entities: tuple[FoundEntity, ...] = ()


def predictions_of(
    outputs: Sequence[Outputs],
    encoded: EncodedExamples,
    sentences: Sequence[Sentence],
    labels: Sequence[str],
    *,
    have_entities: bool,
) -> list[TagPrediction]:
    """Logits [n, C] of each window as a prediction for each sentence."""
    borders = np.concatenate([[0], np.cumsum([len(sentence.words) for sentence in sentences], dtype=np.int64)])
    best = np.full(borders[-1], -1, dtype=np.int64)  # [W] index of the likeliest label
    probabilities = np.zeros(borders[-1], dtype=np.float32)  # [W]
    for logits, row in zip(outputs, encoded.rows, strict=True):
        asked: AskedWords = row.origin
        places = borders[asked.sentences] + asked.words
        most = torch.from_numpy(logits[asked.positions]).softmax(dim=1).max(dim=1)
        best[places], probabilities[places] = most.indices.numpy(), most.values.numpy()
    assert (best >= 0).all()  # every word is asked in one of the windows
    predictions = []
    for sentence, begin, end in zip(sentences, borders, borders[1:], strict=False):
        tags = tuple(labels[index] for index in best[begin:end])
        entities = entities_of(tags) if have_entities else []
        found = tuple(_found(sentence, entity, probabilities[begin:end]) for entity in entities)
        predictions.append(TagPrediction(tags, found))
    return predictions


def _found(sentence: Sentence, entity: Entity, probabilities: npt.NDArray[np.float32]) -> FoundEntity:
    start, end = entity.start, entity.end
    probability = float(probabilities[start:end].mean())
    if sentence.text is None or sentence.offsets is None:
        return FoundEntity(entity.type, " ".join(sentence.words[start:end]), start, end, probability)
    first, last = sentence.offsets[start][0], sentence.offsets[end - 1][1]
    return FoundEntity(entity.type, sentence.text[first:last], start, end, probability, first, last)

"""Outputs of the network -> the tags of each sentence, and the entities that they tell of.

The tag of a word is the likeliest, whatever its neighbours have; tags are grouped into entities as `conlleval` groups
them, which gives every sequence of tags a meaning.

Legend: n tokens of a window, C tags, W words of a sentence or, where all are decoded, of all sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from bertsmith.tasks.encoded import EncodedExamples
from bertsmith.tasks.tags.encoding import AskedWords
from bertsmith.tasks.tags.schemes import Entity, entities_of
from bertsmith.tasks.tags.sentence import Sentence
from bertsmith.tasks.task import Outputs

Probabilities = npt.NDArray[np.float32]


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
    """The tag of each word of a sentence, and the entities; there are none where tags are classes of words.

    probabilities  [W, C]  of all tags that the task has, in its order; None where tags did not come from a network.
                   Predictions with the same tags and entities are equal, whatever these are
    """

    tags: tuple[str, ...]
    entities: tuple[FoundEntity, ...] = ()
    probabilities: Probabilities | None = field(default=None, compare=False, repr=False)


def predictions_of(
    outputs: Sequence[Outputs],
    encoded: EncodedExamples,
    sentences: Sequence[Sentence],
    labels: Sequence[str],
    *,
    have_entities: bool,
) -> list[TagPrediction]:
    """Logits [n, C] of each window as a prediction for each sentence.

    The probabilities of the sentences are views of one array, which is smaller than the logits.
    """
    borders = np.concatenate([[0], np.cumsum([len(sentence.words) for sentence in sentences], dtype=np.int64)])
    best = np.full(borders[-1], -1, dtype=np.int64)  # [W] index of the likeliest label
    probabilities = np.zeros((borders[-1], len(labels)), dtype=np.float32)  # [W, C]
    for logits, row in zip(outputs, encoded.rows, strict=True):
        asked: AskedWords = row.origin
        places = borders[asked.sentences] + asked.words
        shares = torch.from_numpy(logits[asked.positions]).softmax(dim=1)
        best[places], probabilities[places] = shares.argmax(dim=1).numpy(), shares.numpy()
    assert (best >= 0).all()  # every word is asked in one of the windows
    most = probabilities[np.arange(len(best)), best]  # [W]
    predictions = []
    for sentence, begin, end in zip(sentences, borders, borders[1:], strict=False):
        tags = tuple(labels[index] for index in best[begin:end])
        entities = entities_of(tags) if have_entities else []
        found = tuple(_found(sentence, entity, most[begin:end]) for entity in entities)
        predictions.append(TagPrediction(tags, found, probabilities[begin:end]))
    return predictions


def _found(sentence: Sentence, entity: Entity, most: Probabilities) -> FoundEntity:
    """An entity of a sentence. most [W]: the probability of the tag of each of its words."""
    start, end = entity.start, entity.end
    probability = float(most[start:end].mean())
    if sentence.text is None or sentence.offsets is None:
        return FoundEntity(entity.type, " ".join(sentence.words[start:end]), start, end, probability)
    first, last = sentence.offsets[start][0], sentence.offsets[end - 1][1]
    return FoundEntity(entity.type, sentence.text[first:last], start, end, probability, first, last)

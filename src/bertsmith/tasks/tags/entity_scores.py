"""How well entities are found: what `conlleval`, the official evaluation of CoNLL-2000 and 2003, reports.

An entity is right if one of the same type begins and ends at the same words. Precision is the share of right ones
among those that were predicted, recall among those of the gold tags, F1 their harmonic mean; each is 0 where there are
none. The accuracy is the share of words with the right tag, O included. conlleval's accuracy counts a `-DOCSTART-`
line, if it is left in the file, as one more word with the right tag; here it is no word. The other figures do not
depend on that.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bertsmith.tasks.tags.schemes import Tags, entities_of


@dataclass(frozen=True)
class EntityCounts:
    """How many entities are right, were predicted, and are in the gold tags."""

    right: int
    predicted: int
    gold: int

    @property
    def precision(self) -> float:
        """Share of the predicted ones that is right."""
        return self.right / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold ones that was found."""
        return self.right / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        return 2 * self.right / (self.predicted + self.gold) if self.right else 0.0


@dataclass(frozen=True)
class EntityScores:
    """The counts of all entities together (micro-averaged) and of each type, and the accuracy of tags."""

    overall: EntityCounts
    by_type: Mapping[str, EntityCounts]
    accuracy: float


def score_entities(gold: Sequence[Tags], predicted: Sequence[Tags]) -> EntityScores:
    """Compare the tags of sentences, two lists of the same lengths, in IOB2 or any scheme but bare types."""
    right: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    for gold_tags, predicted_tags in zip(gold, predicted, strict=True):
        gold_entities, predicted_entities = set(entities_of(gold_tags)), set(entities_of(predicted_tags))
        wanted.update(entity.type for entity in gold_entities)
        found.update(entity.type for entity in predicted_entities)
        right.update(entity.type for entity in gold_entities & predicted_entities)
    types = sorted(wanted.keys() | found.keys())
    return EntityScores(
        overall=EntityCounts(right.total(), found.total(), wanted.total()),
        by_type={type_: EntityCounts(right[type_], found[type_], wanted[type_]) for type_ in types},
        accuracy=tag_accuracy(gold, predicted),
    )


def tag_accuracy(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Share of the words with the right tag; 0 where there are no words."""
    pairs = [
        gold_tag == predicted_tag
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for gold_tag, predicted_tag in zip(gold_tags, predicted_tags, strict=True)
    ]
    return sum(pairs) / len(pairs) if pairs else 0.0


def macro_f1(gold: Sequence[Tags], predicted: Sequence[Tags]) -> float:
    """Mean over the classes of words that occur on either side of each one's F1; 0 where there are no words."""
    wanted = Counter(tag for tags in gold for tag in tags)
    found = Counter(tag for tags in predicted for tag in tags)
    right = Counter(
        gold_tag
        for gold_tags, predicted_tags in zip(gold, predicted, strict=True)
        for gold_tag, predicted_tag in zip(gold_tags, predicted_tags, strict=True)
        if gold_tag == predicted_tag
    )
    classes = wanted.keys() | found.keys()
    each = [EntityCounts(right[tag], found[tag], wanted[tag]).f1 for tag in sorted(classes)]
    return sum(each) / len(each) if each else 0.0

"""What a person wants to see of tags: entities that are found, missed and confused; or classes of words.

Legend: N entities that are found, S sentences, W words of all sentences, L classes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from bertsmith.tasks.findings import (
    Findings,
    GroupTable,
    Mistake,
    Truths,
    Values,
    calibrate,
    confuse,
    score_labels,
    score_sizes,
    worst_mistakes,
)
from bertsmith.tasks.tags.decoding import FoundEntity, TagPrediction
from bertsmith.tasks.tags.entity_scores import score_entities
from bertsmith.tasks.tags.schemes import Entity, entities_of
from bertsmith.tasks.tags.sentence import Sentence

NO_ENTITY = "no entity"
_FREQUENT = 20  # kinds of errors that are shown
_ERRORS = "have an error"


def entity_findings(predictions: Sequence[TagPrediction], sentences: Sequence[Sentence]) -> Findings:
    """Each type, types and borders that are confused, calibration, long sentences, those with most errors."""
    gold = [set(entities_of(sentence.tags or ())) for sentence in sentences]
    found = [{_place(entity) for entity in prediction.entities} for prediction in predictions]
    errors = np.array([len(right ^ made) for right, made in zip(gold, found, strict=True)], dtype=np.float64)  # [S]
    by_type = score_entities(
        [sentence.tags or () for sentence in sentences], [prediction.tags for prediction in predictions]
    ).by_type
    counts = np.array([(one.right, one.predicted, one.gold) for one in by_type.values()], dtype=np.int64)
    labels = (*by_type, NO_ENTITY)
    pairs = [pair for right, made in zip(gold, found, strict=True) for pair in _same_words(right, made)]
    asked, answered = (np.array([labels.index(pair[side]) for pair in pairs], dtype=np.int64) for side in (0, 1))
    sure = [entity.probability for prediction in predictions for entity in prediction.entities]
    is_right = [
        _place(entity) in right for p, right in zip(predictions, gold, strict=True) for entity in p.entities
    ]  # [N]

    def describe(index: int, size: float) -> Mistake:
        missed, spurious = gold[index] - found[index], found[index] - gold[index]
        sentence = sentences[index]
        return _mistake(sentence, _in_words(missed, sentence), _in_words(spurious, sentence), int(size))

    return Findings(
        num_examples=len(sentences),
        mistakes=worst_mistakes("number of errors", _ERRORS, errors, errors > 0, describe),
        groups=(
            score_labels("Each type", tuple(by_type), *counts.reshape(-1, 3).T),
            *_by_error(gold, found),
            *_by_length("without an error", errors == 0, sentences),
        ),
        confusion=confuse(asked, answered, labels),
        calibration=calibrate(np.array(sure), np.array(is_right, dtype=np.bool_), "entities"),
    )


def class_findings(
    labels: Sequence[str], predictions: Sequence[TagPrediction], sentences: Sequence[Sentence]
) -> Findings:
    """Each class of words, what is taken for what, long sentences, those with most errors."""
    place = {label: index for index, label in enumerate(labels)}
    gold = np.array([place[tag] for sentence in sentences for tag in sentence.tags or ()], dtype=np.int64)  # [W]
    found = np.array([place[tag] for prediction in predictions for tag in prediction.tags], dtype=np.int64)  # [W]
    wrong = [
        [
            word
            for word, (tag, other) in enumerate(zip(sentence.tags or (), prediction.tags, strict=True))
            if tag != other
        ]
        for sentence, prediction in zip(sentences, predictions, strict=True)
    ]
    errors = np.array([len(words) for words in wrong], dtype=np.float64)  # [S]
    each = [np.bincount(chosen, minlength=len(labels)) for chosen in (gold[gold == found], found, gold)]

    def describe(index: int, size: float) -> Mistake:
        sentence, tags = sentences[index], (sentences[index].tags or (), predictions[index].tags)
        right, made = (", ".join(f"{sentence.words[word]} {of[word]}" for word in wrong[index]) for of in tags)
        return _mistake(sentence, right, made, int(size))

    return Findings(
        num_examples=len(sentences),
        mistakes=worst_mistakes("number of errors", _ERRORS, errors, errors > 0, describe),
        groups=(
            score_labels("Each class", labels, *each),
            *_by_length("without an error", errors == 0, sentences),
        ),
        confusion=confuse(gold, found, labels),
    )


def _same_words(gold: set[Entity], found: set[Entity]) -> Iterator[tuple[str, str]]:
    """The right and the predicted type of the same words; "no entity" where one side has none there."""
    places = {(entity.start, entity.end): entity.type for entity in found}
    for entity in gold:
        yield entity.type, places.pop((entity.start, entity.end), NO_ENTITY)
    for type_ in places.values():
        yield NO_ENTITY, type_


def _by_error(gold: Sequence[set[Entity]], found: Sequence[set[Entity]]) -> tuple[GroupTable, ...]:
    """() where there is no error."""
    counts = Counter(error for right, made in zip(gold, found, strict=True) for error in _errors(right, made))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_FREQUENT]
    rows = tuple((error, (count, count / counts.total())) for error, count in ranked)
    note = "Borders are wrong where some of the right words were found, or more than these."
    table = GroupTable("The most frequent errors", ("", "how often", "share of all"), rows, note)
    return (table,) if rows else ()


def _errors(gold: set[Entity], found: set[Entity]) -> Iterator[str]:
    """Each error in words. An entity with wrong borders is one error, not one that is missed and one too many."""
    spurious = sorted(found - gold, key=lambda entity: entity.start)
    for entity in sorted(gold - found, key=lambda entity: entity.start):
        met = next((other for other in spurious if other.start < entity.end and entity.start < other.end), None)
        if met is None:
            yield f"{entity.type} is missed"
            continue
        spurious.remove(met)
        same_words = (met.start, met.end) == (entity.start, entity.end)
        taken = "" if met.type == entity.type else f" is taken for {met.type}"
        yield entity.type + taken + ("" if same_words else " with wrong borders")
    for entity in spurious:
        yield f"{entity.type} is found where there is none"


def _by_length(name: str, is_so: Truths, sentences: Sequence[Sentence]) -> tuple[GroupTable, ...]:
    lengths: Values = np.array([len(sentence.words) for sentence in sentences], dtype=np.float64)
    return score_sizes("Short and long sentences", "words", lengths, {name: is_so.astype(np.float64)})


def _in_words(entities: set[Entity], sentence: Sentence) -> str:
    """The entities of a sentence, in order."""
    ordered = sorted(entities, key=lambda entity: entity.start)
    told = (f"{' '.join(sentence.words[entity.start : entity.end])} ({entity.type})" for entity in ordered)
    return ", ".join(told) or "nothing else"


def _mistake(sentence: Sentence, gold: str, found: str, size: int) -> Mistake:
    text = " ".join(sentence.words) if sentence.text is None else sentence.text
    return Mistake(f"line {sentence.line}", (text,), gold, found, size)


def _place(entity: FoundEntity) -> Entity:
    return Entity(entity.type, entity.start, entity.end)
